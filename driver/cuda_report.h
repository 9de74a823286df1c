// Tables of a CUDA program for people: what its kernels take of a multiprocessor, and how long they should take.
#pragma once

#include <string>

#include "codegen/cuda/target.h"
#include "ir/ir.h"
#include "support/result.h"

namespace gradc {

/// Each launch of a planned function: grid, registers, stack, shared memory, instructions, occupancy. Needs NVRTC.
StatusOr<std::string> cudaReport(const Module &module, const Function &fn, const CudaTarget &target);

/// Each launch with its blocks, threads and dynamic shared memory: the kernels that run together.
std::string cudaLaunches(const Module &module, const Function &fn, const CudaTarget &target);

/// Each launch with its operations, bytes and estimated time, and what bounds it; an estimate for the target's card.
std::string cudaEstimates(const Module &module, const Function &fn, const CudaTarget &target);
/// The same as one line of JSON.
std::string cudaEstimatesJson(const Module &module, const Function &fn, const CudaTarget &target);

} // namespace gradc
