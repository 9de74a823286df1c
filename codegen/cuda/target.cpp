#include "codegen/cuda/target.h"

#include <fmt/format.h>

namespace gradc {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9;
constexpr int64_t kKiB = 1024, kMiB = 1024 * 1024;

constexpr CudaTarget kTargets[] = {
    {.architecture = 75,
     .card = "T4",
     .multiprocessors = 40,
     .warpsPerMultiprocessor = 32,
     .blocksPerMultiprocessor = 16,
     .sharedPerMultiprocessor = 64 * kKiB,
     .sharedPerBlock = 64 * kKiB,
     .l2Bytes = 4 * kMiB,
     .f32Flops = 8.1 * kTera,
     .halfFlops = 65 * kTera,
     .memoryBytes = 320 * kGiga},
    {.architecture = 80,
     .card = "A100 SXM 40 GB",
     .multiprocessors = 108,
     .warpsPerMultiprocessor = 64,
     .blocksPerMultiprocessor = 32,
     .sharedPerMultiprocessor = 164 * kKiB,
     .sharedPerBlock = 163 * kKiB,
     .l2Bytes = 40 * kMiB,
     .f32Flops = 19.5 * kTera,
     .tf32Flops = 156 * kTera,
     .halfFlops = 312 * kTera,
     .memoryBytes = 1555 * kGiga},
    {.architecture = 86,
     .card = "A10",
     .multiprocessors = 72,
     .warpsPerMultiprocessor = 48,
     .blocksPerMultiprocessor = 16,
     .sharedPerMultiprocessor = 100 * kKiB,
     .sharedPerBlock = 99 * kKiB,
     .l2Bytes = 6 * kMiB,
     .f32Flops = 31.2 * kTera,
     .tf32Flops = 62.5 * kTera,
     .halfFlops = 125 * kTera,
     .memoryBytes = 600 * kGiga},
    {.architecture = 89,
     .card = "L40S",
     .multiprocessors = 142,
     .warpsPerMultiprocessor = 48,
     .blocksPerMultiprocessor = 24,
     .sharedPerMultiprocessor = 100 * kKiB,
     .sharedPerBlock = 99 * kKiB,
     .l2Bytes = 96 * kMiB,
     .f32Flops = 91.6 * kTera,
     .tf32Flops = 183 * kTera,
     .halfFlops = 362 * kTera,
     .memoryBytes = 864 * kGiga},
    {.architecture = 90,
     .card = "H100 SXM",
     .multiprocessors = 132,
     .warpsPerMultiprocessor = 64,
     .blocksPerMultiprocessor = 32,
     .sharedPerMultiprocessor = 228 * kKiB,
     .sharedPerBlock = 227 * kKiB,
     .l2Bytes = 50 * kMiB,
     .f32Flops = 67 * kTera,
     .tf32Flops = 494 * kTera,
     .halfFlops = 989 * kTera,
     .memoryBytes = 3350 * kGiga},
    {.architecture = 100,
     .card = "B200",
     .multiprocessors = 148,
     .warpsPerMultiprocessor = 64,
     .blocksPerMultiprocessor = 32,
     .sharedPerMultiprocessor = 228 * kKiB,
     .sharedPerBlock = 227 * kKiB,
     .l2Bytes = 126 * kMiB,
     .f32Flops = 75 * kTera,
     .tf32Flops = 1100 * kTera,
     .halfFlops = 2250 * kTera,
     .memoryBytes = 7700 * kGiga},
    {.architecture = 120,
     .card = "GeForce RTX 5090",
     .multiprocessors = 170,
     .warpsPerMultiprocessor = 48,
     .blocksPerMultiprocessor = 24,
     .sharedPerMultiprocessor = 100 * kKiB,
     .sharedPerBlock = 99 * kKiB,
     .l2Bytes = 96 * kMiB,
     .f32Flops = 104.8 * kTera,
     .tf32Flops = 104.8 * kTera,
     .halfFlops = 209.5 * kTera,
     .memoryBytes = 1792 * kGiga},
};

} // namespace

std::span<const CudaTarget> cudaTargets() { return kTargets; }

StatusOr<CudaTarget> parseCudaTarget(std::string_view name) {
  std::string known;
  for (const CudaTarget &target : kTargets) {
    if (target.name() == name)
      return target;
    known += (known.empty() ? "" : ", ") + target.name();
  }
  return failure(ExitCode::Usage, fmt::format("no CUDA architecture is known as '{}', only {}", name, known));
}

} // namespace gradc
