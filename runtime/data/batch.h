// Gathering a batch: the first step of a program, run by the pool.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/abi.h"
#include "runtime/data/dataset.h"
#include "runtime/thread_pool.h"

namespace gradc {

/// One input of the batch: examples of `field` go to `target`, which has the input's dtype and layout.
struct BatchInput {
  const Field *field = nullptr;
  void *target = nullptr;
  /// Layout n16: blocks of 16 examples, position in the block innermost, zeros after the last.
  bool lanes = false;
  DType dtype = DType::F32; // of the target: u8 that become anything but f32 stay bytes
};

/// Copies the examples with these indices, in this order. u8 pixels become f32 pixel / 255, rounded once. `alone`: by
/// the caller, for a program that runs on its thread, so that it finds all of the batch in its cache.
void gatherBatch(ThreadPool &pool, std::span<const BatchInput> inputs, std::span<const int64_t> examples,
                 bool alone = false);

/// Why a field cannot feed this argument of a program (an internal mismatch), or ok.
Status checkBatchPort(const gradc_port &port, const Field &field);

} // namespace gradc
