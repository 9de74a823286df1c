// Which sums of a kernel a block of staged chains has (codegen/cuda/staged_chains.cpp), and how many of their terms it
// computes at a time.
#pragma once

#include <numeric>
#include <optional>

#include "codegen/cuda/row_plan.h"
#include "support/tiling.h"

namespace gradc {

inline constexpr int64_t kStagedLoaders = kCudaThreads / 2; // threads that compute terms while the others add
inline constexpr int kStagedWidth = 4;                      // neighbours that are loaded together

/// Rows: [batch] × sums × run: the batch is reduced or absent, `run` neighbours in memory are reduced.
/// Columns: run × sums, where parts of the run are lanes or segments.
struct CudaStagedForm {
  bool columns = false;
  int64_t batch = 1; // axis 0 of rows where it is reduced
  int64_t sums = 1, run = 1;
  int64_t parts = 1;        // partial sums of a sum: lanes, or segments of columns
  bool interleaved = false; // columns: the parts are lanes
  int64_t sumsPerBlock = 1, steps = 1;
  int width = 1;

  int64_t examples() const { return columns ? 1 : ceilDiv(batch, parts); } // of a chain
  int64_t chunks() const { return ceilDiv(run, steps); }
  int64_t tiles() const { return examples() * chunks(); }
  int64_t chains() const { return parts * sumsPerBlock; }
  int64_t tile() const { return chains() * steps; }
  int64_t gap() const { // elements between gaps
    constexpr int64_t kBanks = 32;
    return std::lcm(steps, kBanks);
  }
  int64_t tileWithGaps() const { return columns ? tile() : tile() + tile() / gap() * width; }
};

/// The bytes of the largest term.
int64_t cudaTermBytes(const CudaKernelContext &k, const CudaRowPlan &plan);

/// Nothing where chains are not long, or lie otherwise.
std::optional<CudaStagedForm> cudaStagedForm(const CudaKernelContext &k, const CudaRowPlan &plan);

} // namespace gradc
