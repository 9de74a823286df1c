// Contractions whose sums have segments (ir/order.h): one step stores each segment's sums in the kernel's workspace, as the
// contraction's result would lie, one after the other; the next adds them and runs the epilogue.
#pragma once

#include <memory>

#include "codegen/cpu/contract/tile_kernel.h"
#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

/// Stores the sums of segments. Indices have a leading dimension for them.
class SegmentStore : public TileStore {
public:
  SegmentStore(KernelContext &k, ValueId sum) : k_(k), sum_(sum) {}

  void begin(llvm::Value *buffers) override;
  void store(std::span<const TileVector> tile) override;

private:
  KernelContext &k_;
  ValueId sum_;
  std::unique_ptr<ElementEmitter> emitter_;
  llvm::Value *workspace_ = nullptr;
};

/// Bytes of the workspace for the sums of so many segments.
int64_t segmentBytes(const KernelContext &k, ValueId sum, int64_t segments);

/// The step that adds the segments as a binary tree and runs the epilogue.
KernelStep emitCombine(KernelContext &k, ValueId sum, int64_t segments);

} // namespace gradc
