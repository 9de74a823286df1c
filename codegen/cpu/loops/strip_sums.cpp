#include "codegen/cpu/loops/strip_sums.h"

#include <algorithm>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/elements/reduction.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// So that threads have work.
constexpr int64_t kFewestItems = 4;
constexpr int64_t kRowsAhead = 4; // of a partial sum
constexpr int kBitsOfNumber = 4;
constexpr int64_t kMostWaiting = 4;

/// 0 .. count - 1 with their bits in reverse, four bits each.
uint64_t reversedNumbers(int64_t count) {
  uint64_t table = 0;
  for (int64_t i = 0; i < count; ++i) {
    int64_t reversed = 0;
    for (int64_t bit = 1; bit < count; bit *= 2)
      reversed = 2 * reversed + ((i & bit) != 0);
    table |= static_cast<uint64_t>(reversed) << (kBitsOfNumber * i);
  }
  return table;
}

} // namespace

StripSums::StripSums(const CpuTarget &target, const Function &fn, std::span<const OpId> ops,
                     const Shape &shape)
    : fn_(fn), ops_(ops), rank_(shape.rank()), rows_(shape[rank_ - 2]), columns_(shape[rank_ - 1]),
      matrices_(shape.elements() / (rows_ * columns_)) {
  int64_t registers = 0; // for one vector of columns
  for (OpId op : ops)
    registers +=
        target.registersPerVector() * static_cast<int64_t>(dtypeSize(fn.type(fn[op].results[0]).dtype)) / 4;
  const int64_t vectors = ceilDiv(columns_, kVectorLanes);
  const int64_t sums = std::max<int64_t>(1, target.vectorRegisters / 2 / std::max<int64_t>(1, registers));
  width_ = std::min(sums, vectors);
  strips_ = ceilDiv(vectors, width_);
  while (2 * together_ * width_ <= sums && together_ < kVectorLanes / 2)
    together_ *= 2;
  trees_ = together_;
  while (items() < kFewestItems && trees_ < kVectorLanes)
    trees_ *= 2;
}

Ahead StripSums::ahead() const {
  return {kRowsAhead * kVectorLanes * columns_ * static_cast<int64_t>(sizeof(float)), Cache::L2};
}

void StripSums::emit(ElementEmitter &m, llvm::Value *low, llvm::Value *high, const Store &store) const {
  Emit &e = m.e;
  const int64_t vectors = ceilDiv(columns_, kVectorLanes), groups = trees_ / together_;
  const int64_t whole = columns_ / kVectorLanes / width_; // strips
  e.loop(low, high, 1, [&](llvm::Value *item) {
    llvm::Value *rest = e.div(item, groups), *number = e.mod(rest, strips_);
    auto strip = [&](int64_t width, bool isLast) {
      ElementEmitter::Scope scope(m);
      emitTrees(m,
                {.matrix = e.div(rest, strips_),
                 .vector = e.mul(number, width_),
                 .tree = e.mul(e.mod(item, groups), together_),
                 .width = width,
                 .isLast = isLast},
                store);
    };
    auto inside = [&] { strip(width_, false); };
    auto last = [&] { strip(vectors - whole * width_, true); };
    if (whole == strips_)
      inside();
    else if (whole == 0)
      last();
    else
      emitIf(e, e.b.CreateICmpSLT(number, e.i64(whole)), inside, last);
  });
}

void StripSums::forEachSum(const Strip &strip,
                           const std::function<void(size_t r, int64_t tree, int64_t v)> &visit) const {
  for (size_t r = 0; r < ops_.size(); ++r)
    for (int64_t tree = 0; tree < together_; ++tree)
      for (int64_t v = 0; v < strip.width; ++v)
        visit(r, tree, v);
}

/// Number n = 1, 2, … of a tree's partial sums is added to as many that wait as n has zeros at its end; then as many
/// wait as it has ones.
void StripSums::emitTrees(ElementEmitter &m, const Strip &strip, const Store &store) const {
  Emit &e = m.e;
  const int64_t partials = kVectorLanes / trees_;
  Values sums;
  std::vector<int64_t> places; // of a sum among those that wait
  int64_t bytes = 0;
  forEachSum(strip, [&](size_t r, int64_t, int64_t) {
    sums.push_back(llvm::PoisonValue::get(e.vectorType(typeOf(r))));
    places.push_back(bytes);
    bytes += kVectorLanes * static_cast<int64_t>(dtypeSize(typeOf(r)));
  });
  llvm::Value *waiting = e.stack(kMostWaiting * bytes, kCacheLine);
  auto place = [&](llvm::Value *slot, size_t i) {
    return e.offset(e.offset(waiting, e.mul(slot, bytes)), places[i]);
  };
  llvm::Value *numbers = e.b.getInt64(reversedNumbers(partials));
  sums = e.loop(e.i64(1), e.i64(partials + 1), 1, sums, [&](llvm::Value *n, const Values &) {
    llvm::Value *bits = e.mul(e.add(n, e.i64(-1)), kBitsOfNumber);
    llvm::Value *number = e.b.CreateAnd(e.b.CreateLShr(numbers, bits), kVectorLanes - 1);
    Values added = addRows(m, strip, e.add(strip.tree, e.mul(number, trees_)));
    llvm::Value *zeros = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::cttz, n, e.b.getTrue());
    llvm::Value *slot = e.add(e.b.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, n), e.i64(-1));
    added = e.loop(e.i64(0), zeros, 1, added, [&](llvm::Value *i, Values right) {
      llvm::Value *last = e.b.CreateSub(e.b.CreateAdd(slot, zeros), e.add(i, e.i64(1)));
      size_t j = 0;
      forEachSum(strip, [&](size_t r, int64_t, int64_t) {
        llvm::Value *left =
            e.b.CreateAlignedLoad(right[j]->getType(), place(last, j), llvm::Align(kCacheLine));
        right[j] = combine(e, r, left, right[j]);
        ++j;
      });
      return right;
    });
    for (size_t j = 0; j < added.size(); ++j)
      e.b.CreateAlignedStore(added[j], place(slot, j), llvm::Align(kCacheLine));
    return added;
  });
  size_t i = 0;
  forEachSum(strip, [&](size_t r, int64_t tree, int64_t v) {
    store(r, {strip.matrix, e.add(strip.tree, e.i64(tree)), e.add(strip.vector, e.i64(v))}, sums[i++]);
  });
}

/// A partial sum of each tree of the strip.
Values StripSums::addRows(ElementEmitter &m, const Strip &strip, llvm::Value *partial) const {
  Emit &e = m.e;
  const int64_t whole = rows_ / kVectorLanes * kVectorLanes;
  Values sums;
  forEachSum(strip, [&](size_t r, int64_t, int64_t) {
    sums.push_back(e.constant(typeOf(r), reductionStart(fn_[ops_[r]].def->name)));
  });
  sums = e.loop(e.i64(0), e.i64(whole), kVectorLanes, sums, [&](llvm::Value *block, const Values &carried) {
    Values rows;
    for (int64_t tree = 0; tree < together_; ++tree)
      rows.push_back(e.add(e.add(partial, block), e.i64(tree)));
    return addRow(m, strip, rows, carried);
  });
  if (whole == rows_)
    return sums;
  // Of the last block not all rows exist.
  Values rows, exists;
  for (int64_t tree = 0; tree < together_; ++tree) {
    llvm::Value *row = e.add(partial, e.i64(whole + tree));
    exists.push_back(e.b.CreateICmpSLT(row, e.i64(rows_)));
    rows.push_back(e.atMost(row, rows_ - 1));
  }
  Values more = addRow(m, strip, rows, sums);
  size_t i = 0;
  forEachSum(strip, [&](size_t, int64_t tree, int64_t) {
    more[i] = e.b.CreateSelect(exists[static_cast<size_t>(tree)], more[i], sums[i]);
    ++i;
  });
  return more;
}

/// One row of each tree.
Values StripSums::addRow(ElementEmitter &m, const Strip &strip, const Values &rows, Values sums) const {
  ElementEmitter::Scope scope(m);
  Emit &e = m.e;
  const int64_t rest = columns_ % kVectorLanes;
  size_t i = 0;
  forEachSum(strip, [&](size_t r, int64_t tree, int64_t v) {
    const bool isCut = strip.isLast && rest > 0 && v + 1 == strip.width;
    const LaneValue row = m.math.uniform(rows[static_cast<size_t>(tree)]),
                    column =
                        m.math.consecutive(e.mul(e.add(strip.vector, e.i64(v)), kVectorLanes), kVectorLanes);
    LaneIndex at = LaneIndex::of({row, column}, isCut ? e.laneMask(static_cast<int>(rest)) : nullptr);
    if (rank_ > 2)
      at.groups.insert(at.groups.begin(), {rank_ - 2, m.math.uniform(strip.matrix)});
    sums[i] = combine(e, r, sums[i], m.emit(fn_[ops_[r]].operands[0], at));
    ++i;
  });
  return sums;
}

llvm::Value *StripSums::combine(Emit &e, size_t r, llvm::Value *a, llvm::Value *b) const {
  return emitCombined(e, reductionLeaf(fn_[ops_[r]].def->name), typeOf(r), a, b);
}

DType StripSums::typeOf(size_t r) const { return fn_.type(fn_[ops_[r]].results[0]).dtype; }

} // namespace gradc
