// gradc doctor: what this machine offers. It only reports; nothing is tuned by it.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "codegen/cpu/target.h"
#include "codegen/object_cache.h"
#include "driver/commands.h"
#include "runtime/buffer.h"
#include "runtime/thread_pool.h"

namespace gradc {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Best of several copies of `bytes`, counted once read and once written, in GB/s.
double copyBandwidth(int64_t bytes) {
  StatusOr<Buffer> from = Buffer::allocate(bytes), to = Buffer::allocate(bytes);
  if (!from || !to)
    return 0;
  double best = 1e30;
  const int64_t repeat = std::max<int64_t>(1, (int64_t{64} << 20) / bytes);
  for (int round = 0; round < 5; ++round) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < repeat; ++i)
      std::memcpy(to->data(), from->data(), static_cast<size_t>(bytes));
    best = std::min(best, secondsSince(start) / static_cast<double>(repeat));
  }
  return 2 * static_cast<double>(bytes) / best * 1e-9;
}

/// Microseconds of an empty fork and join.
double forkJoin(ThreadPool &pool) {
  std::vector<double> times;
  for (int i = 0; i < 2000; ++i) {
    const Clock::time_point start = Clock::now();
    pool.parallelFor(pool.threads(), 0, [](int64_t, int64_t, int) {});
    times.push_back(secondsSince(start));
  }
  std::nth_element(times.begin(), times.begin() + 1000, times.end());
  return times[1000] * 1e6;
}

std::string firstLine(const char *path) {
  std::ifstream file(path);
  std::string line;
  return std::getline(file, line) ? line : "unknown";
}

ExitCode runDoctor() {
  const CpuTarget target = hostCpuTarget();
  ThreadPool pool;
  const auto row = [](const char *what, const std::string &value) { fmt::print("{:<18} {}\n", what, value); };
  row("gradc", fmt::format("{} (LLVM {})", GRADC_VERSION, GRADC_LLVM_VERSION));
  row("code is made for", fmt::format("{} ({} bit vectors, {} registers{})", target.name, target.vectorBits,
                                      target.vectorRegisters, target.fma ? ", fma" : ", no fma"));
  row("cores", fmt::format("{} usable of {}", availableCores(), std::thread::hardware_concurrency()));
  row("memory", fmt::format("{:.1f} GiB", static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
                                              static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 30)));
  row("huge pages", firstLine("/sys/kernel/mm/transparent_hugepage/enabled"));
  row("fork and join", fmt::format("{:.2f} us with {} threads", forkJoin(pool), pool.threads()));
  row("copy in L1", fmt::format("{:.0f} GB/s, one thread", copyBandwidth(target.l1Bytes / 4)));
  row("copy in L2", fmt::format("{:.0f} GB/s", copyBandwidth(target.l2Bytes / 4)));
  row("copy in memory", fmt::format("{:.0f} GB/s", copyBandwidth(int64_t{128} << 20)));
  const ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  row("code cache", cache.enabled()
                        ? cache.folder()
                        : "none: " + (defaultCacheFolder().empty() ? std::string("no folder is known")
                                                                   : "cannot use " + defaultCacheFolder()));
  row("devices", "cpu");
  return ExitCode::Ok;
}

} // namespace

void registerDoctor(CLI::App &app, ExitCode &exit) {
  CLI::App *command = app.add_subcommand("doctor", "What this machine offers");
  command->callback([&exit] { exit = runDoctor(); });
}

} // namespace gradc
