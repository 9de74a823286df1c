#include "codegen/cpu/contract/segments.h"

#include "codegen/cpu/contract/epilogue.h"
#include "codegen/cpu/elements/reduction.h"
#include "ir/layout.h"

namespace gradc {

void SegmentStore::begin(llvm::Value *buffers) {
  emitter_ = std::make_unique<ElementEmitter>(k_.e, k_.fn, k_.region());
  workspace_ = k_.e.b.CreateAlignedLoad(k_.e.b.getPtrTy(), k_.e.offset(buffers, 8 * k_.workspaceBuffer()),
                                        llvm::Align(8));
}

void SegmentStore::store(std::span<const TileVector> tile) {
  const Type &type = k_.fn.type(sum_);
  for (const TileVector &vector : tile) {
    LaneIndex at = vector.at;
    llvm::Value *segment = at.groups.front().at.base;
    at.groups.erase(at.groups.begin());
    emitter_->store(type, k_.e.offset(workspace_, k_.e.mul(segment, storageBytes(type))), at, vector.lanes);
  }
}

int64_t segmentBytes(const KernelContext &k, ValueId sum, int64_t segments) {
  return segments * storageBytes(k.fn.type(sum));
}

namespace {

/// The vectors of a tensor: 16 neighbours of row-major elements, 16 examples of n16.
class Vectors {
public:
  explicit Vectors(const Type &type)
      : rank_(type.rank()), elements_(type.elements()), inLanes_(!type.layout.empty()),
        blocks_(inLanes_ ? laneBlocks(type.shape[0]) : 1),
        count_(inLanes_ ? elements_ / type.shape[0] : ceilDiv(elements_, kLanes)) {}

  int64_t blocks() const { return blocks_; }
  int64_t count() const { return count_; } // of a block

  LaneIndex at(Emit &e, llvm::Value *block, llvm::Value *number) const {
    LaneMath math(e);
    if (inLanes_)
      return {{{1, math.consecutive(e.mul(block, kLanes), kLanes)}, {rank_ - 1, math.uniform(number)}}, {}};
    const LaneValue element = math.consecutive(e.mul(number, kLanes), kLanes);
    return {{{rank_, element}}, elements_ % kLanes ? math.lessThan(element, elements_) : nullptr};
  }

private:
  int rank_;
  int64_t elements_;
  bool inLanes_;
  int64_t blocks_, count_;
};

} // namespace

/// An item is the same vector of each block: in n16 a feature, which belongs to the thread that has it in other kernels.
KernelStep emitCombine(KernelContext &k, ValueId sum, int64_t segments) {
  Emit &e = k.e;
  const Type &type = k.fn.type(sum);
  const Vectors vectors(type);
  KernelStep step{.symbol = k.symbol + ".combine",
                  .items = vectors.count(),
                  .work = 1e-10 * static_cast<double>(type.elements() * segments)};
  e.beginKernel(step.symbol);
  EpilogueStore store(k, sum);
  store.begin(e.argument(1));
  llvm::Value *workspace = e.buffer(k.workspaceBuffer());
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    e.count(vectors.blocks(), [&](llvm::Value *block) {
      const LaneIndex at = vectors.at(e, block, item);
      ElementEmitter loader(e, k.fn, k.region());
      Values sums;
      for (int64_t s = 0; s < segments; ++s)
        sums.push_back(loader.load(type, e.offset(workspace, s * storageBytes(type)), at));
      const TileVector vector{emitTree(e, Leaf::Add, DType::F32, std::move(sums)), at};
      store.store({&vector, 1});
    });
  });
  e.endFunction();
  return step;
}

} // namespace gradc
