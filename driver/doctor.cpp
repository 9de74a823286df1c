// gradc doctor: what this machine offers. It only reports; nothing is tuned by it.
#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "codegen/cpu/target.h"
#include "codegen/cuda/nvrtc.h"
#include "codegen/object_cache.h"
#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/peaks.h"
#include "runtime/cuda/blas.h"
#include "runtime/cuda/context.h"
#include "runtime/thread_pool.h"
#include "support/amx.h"
#include "support/say.h"

namespace gradc {
namespace {

struct DoctorFlags {
  int64_t threads = 0;
  bool measure = true, json = false;
};

std::string firstLine(const char *path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) ? line : "unknown";
}

/// One thread and all.
StatusOr<std::vector<Peaks>> peaksOf(const CpuTarget &target, int threads) {
  std::vector<Peaks> all;
  for (const int count : threads == 1 ? std::vector{1} : std::vector{1, threads}) {
    ThreadPool pool(count);
    StatusOr<Peaks> peaks = measurePeaks(target, pool, int64_t{1} << 30);
    if (!peaks)
      return std::unexpected(peaks.error());
    all.push_back(std::move(*peaks));
  }
  return all;
}

void printJson(const CpuTarget &target, const std::vector<Peaks> &peaks) {
  nlohmann::ordered_json object = {
      {"gradc", GRADC_VERSION}, {"llvm", GRADC_LLVM_VERSION}, {"cpu", target.name}};
  object["cores"] = availableCores();
  for (const Peaks &p : peaks)
    object["peaks"].push_back(nlohmann::ordered_json::parse(p.json()));
  say("{}\n", object.dump());
}

std::string describeNvrtc() {
  const StatusOr<const Nvrtc *> nvrtc = Nvrtc::load();
  return nvrtc ? fmt::format("{} ({})", (*nvrtc)->version(), (*nvrtc)->path())
               : "none: " + nvrtc.error().text;
}

std::string describeBlas() {
  const StatusOr<std::string> path = cuda::Blas::locate();
  return path ? *path : "none: " + path.error().text;
}

/// "cuda:0 NVIDIA H100 80GB HBM3 (sm_90), 79.1 of 79.6 GiB free, driver for CUDA 13.0; …"
std::string describeDevices() {
  std::string text;
  for (int i = 0;; ++i) {
    const StatusOr<std::unique_ptr<cuda::Context>> context = cuda::Context::open(i);
    if (!context)
      return text.empty() ? "none: " + context.error().text : text;
    const cuda::Context::Memory memory = (*context)->memory();
    const auto gibibytes = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); };
    text += fmt::format("{}cuda:{} {} (sm_{}), {:.1f} of {:.1f} GiB free, driver for CUDA {}",
                        text.empty() ? "" : "; ", i, (*context)->name(), (*context)->architecture(),
                        gibibytes(memory.free), gibibytes(memory.total), (*context)->driver().versionText());
  }
}

void printPeaks(const Peaks &peaks) {
  const std::string threads = fmt::format("{} thread{}", peaks.threads, peaks.threads == 1 ? "" : "s");
  say("{:<18} {:.0f} GFLOP/s of multiply-adds; fork and join {:.2f} us\n", threads, peaks.gflops,
      peaks.forkJoinUs);
  for (const Bandwidth &b : peaks.bandwidths)
    say("{:<18} read {:.0f}, copy {:.0f}, update {:.0f} GB/s of {:.1f} MiB\n", "", b.read, b.copy, b.update,
        static_cast<double>(b.bytes) / (1 << 20));
}

ExitCode runDoctor(const DoctorFlags &flags) {
  const CpuTarget target = hostCpuTarget();
  const int threads = flags.threads > 0 ? static_cast<int>(flags.threads) : availableCores();
  const StatusOr<std::vector<Peaks>> peaks = flags.measure ? peaksOf(target, threads) : std::vector<Peaks>{};
  if (!peaks)
    return fail(peaks.error());
  if (flags.json) {
    printJson(target, *peaks);
    return ExitCode::Ok;
  }
  const auto row = [](const char *what, const std::string &value) { say("{:<18} {}\n", what, value); };
  row("gradc", fmt::format("{} (LLVM {})", GRADC_VERSION, GRADC_LLVM_VERSION));
  row("code is made for", fmt::format("{} ({} bit vectors, {} registers{})", target.name, target.vectorBits,
                                      target.vectorRegisters, target.fma ? ", fma" : ", no fma"));
  row("cores", fmt::format("{} usable of {}", availableCores(), std::thread::hardware_concurrency()));
  row("tile unit", whyNoAmx().empty() ? "AMX, bf16" : fmt::format("none: {}", whyNoAmx()));
  row("memory", fmt::format("{:.1f} GiB", static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                                              static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30)));
  row("huge pages", firstLine("/sys/kernel/mm/transparent_hugepage/enabled"));
  const ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  row("code cache", cache.enabled()
                        ? cache.folder()
                        : "none: " + (defaultCacheFolder().empty() ? std::string("no folder is known")
                                                                   : "cannot use " + defaultCacheFolder()));
  row("CUDA devices", describeDevices());
  row("NVRTC", describeNvrtc());
  row("cuBLAS", describeBlas());
  for (const Peaks &p : *peaks)
    printPeaks(p);
  return ExitCode::Ok;
}

} // namespace

Command doctorCommand() {
  auto flags = std::make_shared<DoctorFlags>();
  return {.name = "doctor",
          .doc = "What this machine offers",
          .options = {{.name = "--threads",
                       .target = &flags->threads,
                       .type = "N",
                       .doc = "Measure one thread and this many (default: all)",
                       .least = 1,
                       .most = 1024},
                      {.name = "--peaks,!--no-peaks",
                       .target = &flags->measure,
                       .doc = "Measure how fast the processor is (default)"},
                      {.name = "--json", .target = &flags->json, .doc = "Print one JSON object"}},
          .run = [flags] { return runDoctor(*flags); }};
}

} // namespace gradc
