#include "driver/code_target.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "codegen/cpu/tile_unit.h"
#include "codegen/cuda/program.h"

namespace gradc {
namespace {

Status checkCpu(Precision precision, const CpuTarget &target) {
  if (precision == Precision::Tf32 || precision == Precision::F16)
    return {ExitCode::Device,
            fmt::format("--precision {} is for CUDA devices; a CPU has f32, bf16 and f32-amx",
                        precisionName(precision))};
  if (precision == Precision::F32 || hasTileUnit(target) || emulatesTiles(target))
    return okStatus();
  return {ExitCode::Device,
          fmt::format("--precision bf16 and f32-amx need a processor with AMX-BF16, or x86 with FMA "
                      "to emulate it, but '{}' has neither",
                      target.name)};
}

Status checkCuda(Precision precision, const CudaTarget &target) {
  if (precision == Precision::F32Amx)
    return {ExitCode::Device, "--precision f32-amx is for CPUs; a CUDA device has f32, tf32, bf16 and f16"};
  constexpr int kTensorCores = 80; // of tf32 and bf16
  if (precision == Precision::F32 || precision == Precision::F16 || target.architecture >= kTensorCores)
    return okStatus();
  return {ExitCode::Device, fmt::format("--precision {} needs sm_{} or later, but {} has f32 and f16 only",
                                        precisionName(precision), kTensorCores, target.name())};
}

} // namespace

std::string targetName(const CodeTarget &target) {
  const auto *cpu = std::get_if<CpuTarget>(&target);
  return cpu ? cpu->name : std::get<CudaTarget>(target).name();
}

Status checkPrecision(Precision precision, const CodeTarget &target) {
  const auto *cpu = std::get_if<CpuTarget>(&target);
  return cpu ? checkCpu(precision, *cpu) : checkCuda(precision, std::get<CudaTarget>(target));
}

std::string precisionNote(Precision precision, const CodeTarget &target) {
  const auto *cpu = std::get_if<CpuTarget>(&target);
  const bool products = precision == Precision::Bf16 || precision == Precision::F32Amx;
  if (!cpu || !products || hasTileUnit(*cpu) || (precision == Precision::Bf16 && hasDots(*cpu)))
    return {};
  return fmt::format("'{}' has no tile unit here: products of --precision {} are emulated, slower than f32's",
                     cpu->name, precisionName(precision));
}

PipelineOptions pipelineOptions(const CodeTarget &target, bool train, Precision precision) {
  PipelineOptions options{.train = train, .precision = precision, .schedule = {}};
  if (const auto *cpu = std::get_if<CpuTarget>(&target)) {
    options.schedule.set("registers", int64_t{cpu->vectorRegisters});
    options.schedule.set("bits", int64_t{cpu->vectorBits});
  } else {
    const auto &cuda = std::get<CudaTarget>(target);
    options.cuda = true;
    options.schedule.set("architecture", int64_t{cuda.architecture});
    options.schedule.set("multiprocessors", int64_t{cuda.multiprocessors});
    options.schedule.set("gflops", static_cast<int64_t>(cuda.f32Flops / 1e9));
    // Factors of 16 bits come from memory as f32, so their products are not twice as fast as those of tf32.
    const double tensorFlops = cuda.tf32Flops > 0 ? cuda.tf32Flops : cuda.halfFlops;
    options.schedule.set("tensor_gflops", static_cast<int64_t>(tensorFlops / 1e9));
    constexpr const char *kLibrary[] = {"auto", "always", "never"};
    options.schedule.set("library", Keyword{kLibrary[static_cast<int>(cuda.cublas)]});
    options.schedule.set("gbytes", static_cast<int64_t>(cuda.memoryBytes / 1e9));
  }
  return options;
}

StatusOr<std::unique_ptr<CompiledProgram>> compileFor(const Module &module, const Function &fn,
                                                      const CodeOptions &options) {
  if (const auto *cpu = std::get_if<CpuTarget>(&options.target))
    return compileProgram(module, fn,
                          {.target = *cpu,
                           .threads = options.threads,
                           .cache = options.cache,
                           .link = options.link,
                           .debug = options.debug});
  const char *ptxFolder = std::getenv("GRADC_CUDA_PTX_DIR");
  return compileCudaProgram(module, fn,
                            {.target = std::get<CudaTarget>(options.target),
                             .cache = options.cache,
                             .parts = options.link ? std::max(options.threads, 1) : 1,
                             .ptxFolder = ptxFolder ? ptxFolder : "",
                             .withPtx = options.withPtx});
}

} // namespace gradc
