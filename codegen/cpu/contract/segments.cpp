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
    llvm::Value *first = e.mul(number, kLanes), *mask = nullptr;
    if (elements_ % kLanes) {
      llvm::Value *lanes = e.b.CreateStepVector(llvm::FixedVectorType::get(e.b.getInt64Ty(), kVectorLanes));
      mask = e.b.CreateICmpSLT(lanes, e.splat(e.b.CreateSub(e.i64(elements_), first)));
    }
    return {{{rank_, math.consecutive(first, kLanes)}}, mask};
  }

private:
  int rank_;
  int64_t elements_;
  bool inLanes_;
  int64_t blocks_, count_;
};

} // namespace

/// An item is the same few vectors of each block: in n16 neighbouring features, which belong to the thread that has them in
/// other kernels.
KernelStep emitCombine(KernelContext &k, ValueId sum, int64_t segments) {
  constexpr int64_t kTogether = 8;
  Emit &e = k.e;
  const Type &type = k.fn.type(sum);
  const Vectors vectors(type);
  const std::vector<TileRun> runs = balancedTiles(vectors.count(), kTogether);
  KernelStep step{.symbol = k.symbol + ".combine",
                  .items = countTiles(runs),
                  .work = 1e-10 * static_cast<double>(type.elements() * segments)};
  e.beginKernel(step.symbol);
  EpilogueStore store(k, sum);
  store.begin(e.argument(1));
  llvm::Value *workspace = e.buffer(k.workspaceBuffer());
  auto combined = [&](const LaneIndex &at) {
    ElementEmitter loader(e, k.fn, k.region());
    Values sums;
    for (int64_t s = 0; s < segments; ++s)
      sums.push_back(loader.load(type, e.offset(workspace, s * storageBytes(type)), at));
    return TileVector{emitTree(e, Leaf::Add, DType::F32, std::move(sums)), at};
  };
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
    emitTileSwitch(e, runs, item, [&](llvm::Value *first, const TileRun &run) {
      e.count(vectors.blocks(), [&](llvm::Value *block) {
        std::vector<TileVector> tile;
        for (int64_t i = 0; i < run.size; ++i)
          tile.push_back(combined(vectors.at(e, block, e.add(first, e.i64(i)))));
        store.store(tile);
      });
    });
  });
  e.endFunction();
  return step;
}

} // namespace gradc
