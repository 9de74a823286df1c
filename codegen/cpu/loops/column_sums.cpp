// Sums over all dimensions but the last, which lies in the lanes: gradients of biases and of normalizations' weights. And
// over the last dimension but one, as means over tokens.
// A first step reads memory once and in runs; a second one adds the partial sums of a column that it leaves and computes
// what hangs on them. A partial sum has a segment of the rows or every 16th row (ir/order.h: split and lanes).
// Of segments, rows are added to sums that stay in the first cache; every 16th row is strip_sums.h's.
#include <algorithm>
#include <optional>

#include "codegen/cpu/elements/reduction.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/loops/streaming.h"
#include "codegen/cpu/loops/strip_sums.h"
#include "codegen/reduction_levels.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// Sums of an item, which stay in the first cache.
constexpr int64_t kColumnsPerItem = 1024;
constexpr double kCyclesPerVector = 4, kCyclesPerSecond = 3e9;

class ColumnSumsEmitter {
public:
  explicit ColumnSumsEmitter(KernelContext &k) : k_(k), e(k.e) {
    for (OpId op : k.body().ops)
      if (k.fn[op].def->is(kReduction))
        reductions_.push_back(op);
    shape_ = k.fn.type(k.fn[reductions_[0]].operands[0]).shape;
    order_ = reductionOrder(k.fn, reductions_[0]);
    columns_ = shape_[shape_.rank() - 1];
    vectors_ = ceilDiv(columns_, kVectorLanes);
    if (order_.lanes == kLanes)
      strips_.emplace(k.e.target, k.fn, reductions_, shape_);
    for (OpId op : reductions_) {
      offsets_.push_back(partialBytes_);
      partialBytes_ += vectors_ * kVectorLanes * static_cast<int64_t>(dtypeSize(typeOf(op)));
    }
  }

  KernelCode emit() {
    KernelCode code;
    code.workspaceBytes = matrices() * partials() * partialBytes_;
    code.steps.push_back(emitPartials());
    code.steps.push_back(emitCombine());
    return code;
  }

private:
  /// Sums of a column that the first step leaves.
  int64_t partials() const { return strips_ ? strips_->trees() : order_.split; }
  /// Matrices whose rows are summed, each for itself.
  int64_t matrices() const { return strips_ ? strips_->matrices() : 1; }
  DType typeOf(OpId op) const { return k_.fn.type(k_.fn[op].results[0]).dtype; }
  Leaf leafOf(OpId op) const { return reductionLeaf(k_.fn[op].def->name); }

  void bindBuffers(ElementEmitter &m) {
    for (size_t i = 0; i < k_.body().args.size(); ++i)
      m.bindBuffer(k_.body().args[i], e.buffer(k_.operandBuffer(static_cast<int>(i))));
  }

  /// Where 16 sums of a reduction lie, of so manieth partial sums.
  llvm::Value *sumAt(size_t r, llvm::Value *partial, llvm::Value *vector) {
    const int64_t size = static_cast<int64_t>(dtypeSize(typeOf(reductions_[r]))) * kVectorLanes;
    llvm::Value *at = e.add(e.mul(partial, partialBytes_), e.mul(vector, size));
    return e.offset(workspace_, e.add(at, e.i64(offsets_[r])));
  }
  llvm::Value *loadSum(size_t r, llvm::Value *at) {
    const DType dtype = typeOf(reductions_[r]);
    return e.b.CreateAlignedLoad(e.vectorType(dtype), at, llvm::Align(dtypeSize(dtype)));
  }
  void storeSum(size_t r, llvm::Value *at, llvm::Value *value) {
    e.b.CreateAlignedStore(value, at, llvm::Align(dtypeSize(typeOf(reductions_[r]))));
  }

  /// An item has some columns of one partial sum, or a strip.
  KernelStep emitPartials() {
    const int64_t perItem = std::min(vectors_, kColumnsPerItem / kVectorLanes),
                  parts = ceilDiv(vectors_, perItem);
    const double rows = static_cast<double>(shape_.elements() / columns_);
    KernelStep step{.symbol = k_.symbol,
                    .items = strips_ ? strips_->items() : partials() * parts,
                    .work = rows * static_cast<double>(vectors_) * kCyclesPerVector / kCyclesPerSecond};
    e.beginKernel(step.symbol);
    ElementEmitter m(e, k_.fn, k_.region());
    const bool inOrder = parts == 1 || strips_;
    const Ahead ahead = strips_ ? strips_->ahead() : kAheadInOrder;
    for (size_t i = 0; i < k_.body().args.size(); ++i)
      bindWalked(m, k_, k_.body().args[i], e.buffer(k_.operandBuffer(static_cast<int>(i))),
                 {DType::F32, shape_, {}}, inOrder, ahead);
    workspace_ = e.buffer(k_.workspaceBuffer());
    if (strips_)
      strips_->emit(m, e.itemBegin(), e.itemEnd(),
                    [&](size_t r, const StripSums::Place &place, llvm::Value *sum) {
                      llvm::Value *partial = e.add(e.mul(place.matrix, partials()), place.tree);
                      storeSum(r, sumAt(r, partial, place.vector), sum);
                    });
    else
      e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
        ElementEmitter::Scope scope(m);
        llvm::Value *segment = e.div(item, parts), *low = e.mul(e.mod(item, parts), perItem);
        const Columns columns{low, e.atMost(e.add(low, e.i64(perItem)), vectors_)};
        startSums(segment, columns);
        addSegment(m, segment, columns, 0, {});
      });
    e.endFunction();
    return step;
  }

  struct Columns {
    llvm::Value *low, *high; // vectors
  };

  void startSums(llvm::Value *partial, const Columns &columns) {
    e.loop(columns.low, columns.high, 1, [&](llvm::Value *vector) {
      for (size_t r = 0; r < reductions_.size(); ++r)
        storeSum(r, sumAt(r, partial, vector),
                 e.constant(typeOf(reductions_[r]), reductionStart(k_.fn[reductions_[r]].def->name)));
    });
  }

  void addSegment(ElementEmitter &m, llvm::Value *segment, const Columns &columns, int axis,
                  const std::vector<LaneValue> &row) {
    if (axis + 1 == shape_.rank())
      return addRow(m, segment, columns, row);
    const int64_t count = axis == 0 ? shape_[0] / order_.split : shape_[axis];
    e.count(count, [&](llvm::Value *i) {
      ElementEmitter::Scope scope(m);
      std::vector<LaneValue> inner = row;
      inner.push_back(m.math.uniform(axis == 0 ? e.add(e.mul(segment, count), i) : i));
      addSegment(m, segment, columns, axis + 1, inner);
    });
  }

  void addRow(ElementEmitter &m, llvm::Value *partial, const Columns &columns,
              const std::vector<LaneValue> &row) {
    const int64_t full = columns_ / kVectorLanes;
    auto add = [&](llvm::Value *vector, llvm::Value *mask) {
      ElementEmitter::Scope scope(m);
      std::vector<LaneValue> at = row;
      at.push_back(m.math.consecutive(e.mul(vector, kVectorLanes), kVectorLanes));
      for (size_t r = 0; r < reductions_.size(); ++r) {
        llvm::Value *place = sumAt(r, partial, vector);
        llvm::Value *x = m.emit(k_.fn[reductions_[r]].operands[0], LaneIndex::of(at, mask));
        storeSum(r, place,
                 emitCombined(e, leafOf(reductions_[r]), typeOf(reductions_[r]), loadSum(r, place), x));
      }
    };
    if (full == vectors_) {
      e.loop(
          columns.low, columns.high, 1, [&](llvm::Value *vector) { add(vector, nullptr); }, false);
      return;
    }
    e.loop(columns.low, e.atMost(columns.high, full), 1, [&](llvm::Value *vector) { add(vector, nullptr); });
    // At most once: where the item reaches the end.
    e.loop(e.i64(full), columns.high, 1,
           [&](llvm::Value *vector) { add(vector, e.laneMask(static_cast<int>(columns_ % kVectorLanes))); });
  }

  /// The partial sums as a binary tree, 16 columns an item.
  KernelStep emitCombine() {
    KernelStep step{.symbol = k_.symbol + ".combine",
                    .items = matrices() * vectors_,
                    .work = 1e-8 * static_cast<double>(matrices() * vectors_)};
    e.beginKernel(step.symbol);
    ElementEmitter m(e, k_.fn, k_.region());
    bindBuffers(m);
    workspace_ = e.buffer(k_.workspaceBuffer());
    Values results;
    for (size_t i = 0; i < k_.body().yields.size(); ++i)
      results.push_back(e.buffer(k_.resultBuffer(static_cast<int>(i))));
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      ElementEmitter::Scope scope(m);
      llvm::Value *matrix = e.div(item, vectors_), *vector = e.mod(item, vectors_);
      for (size_t r = 0; r < reductions_.size(); ++r)
        m.bindVector(k_.fn[reductions_[r]].results[0], combined(r, matrix, vector));
      LaneValue column = m.math.consecutive(e.mul(vector, kVectorLanes), kVectorLanes);
      llvm::Value *mask = columns_ % kVectorLanes ? m.math.lessThan(column, columns_) : nullptr;
      storeResults(m, results, LaneIndex::of({m.math.uniform(matrix), column}, mask));
    });
    e.endFunction();
    return step;
  }

  llvm::Value *combined(size_t r, llvm::Value *matrix, llvm::Value *vector) {
    Values sums;
    for (int64_t partial = 0; partial < partials(); ++partial)
      sums.push_back(loadSum(r, sumAt(r, e.add(e.mul(matrix, partials()), e.i64(partial)), vector)));
    return emitTree(e, leafOf(reductions_[r]), typeOf(reductions_[r]), std::move(sums));
  }

  /// All results before the first store: a result may lie where an operand lies.
  void storeResults(ElementEmitter &m, const Values &results, const LaneIndex &index) {
    std::vector<std::pair<LaneIndex, llvm::Value *>> stores;
    for (ValueId yield : k_.body().yields) {
      LaneIndex at = m.reshaped(Shape{matrices(), columns_}, index, k_.fn.type(yield).shape);
      stores.emplace_back(at, m.emit(yield, at));
    }
    for (size_t i = 0; i < stores.size(); ++i)
      m.store(k_.fn.type(k_.body().yields[i]), results[i], stores[i].first, stores[i].second);
  }

  KernelContext &k_;
  Emit &e;
  std::vector<OpId> reductions_;
  std::vector<int64_t> offsets_; // of each reduction's sums among the partial ones
  int64_t partialBytes_ = 0, columns_ = 0, vectors_ = 0;
  Shape shape_;
  ReductionOrder order_;
  std::optional<StripSums> strips_;
  llvm::Value *workspace_ = nullptr;
};

/// Matrices of which 16 columns, summed from above to below, would read a line of each page and come back for the
/// next ones when the pages' first lines have left the first cache.
bool areLargeMatrices(const Shape &shape, const ReductionOrder &order, const CpuTarget &target) {
  constexpr int64_t kManyColumns = 64;
  const int rank = shape.rank();
  return rank >= 2 && order.axes == std::vector<int>{rank - 2} && (rank == 2 || order.lanes == kLanes) &&
         shape[rank - 1] >= kManyColumns &&
         shape[rank - 2] * shape[rank - 1] * static_cast<int64_t>(sizeof(float)) > target.l1Bytes;
}

} // namespace

bool isColumnSums(const KernelContext &k) {
  const std::optional<ReductionLevels> found = reductionLevels(k.fn, k.region());
  if (!found || found->levels.size() != 1)
    return false;
  const auto &[shape, order, levels, depth] = *found;
  auto isSum = [&](OpId op) { return k.fn[op].operands.size() == 1 && k.fn[op].def->name != "argmax"; };
  if (!std::ranges::all_of(levels[0], isSum) ||
      !(sumsColumns(shape, order.axes) || areLargeMatrices(shape, order, k.e.target)))
    return false;
  const int64_t kept = keptElements(shape, order);
  auto isRowMajor = [&](ValueId v) { return k.fn.type(v).layout.empty(); };
  return std::ranges::all_of(k.body().args, isRowMajor) &&
         std::ranges::all_of(k.body().yields,
                             [&](ValueId v) { return isRowMajor(v) && k.fn.type(v).elements() == kept; });
}

KernelCode emitColumnSums(KernelContext &k) { return ColumnSumsEmitter(k).emit(); }

} // namespace gradc
