// Kernels with reductions over the same axes of one shape, and what hangs on them. A row is what one element of the
// reduced shape needs: all reductions, level by level of their dependence, each level one pass over the row; then the
// results of the reduced shape; then one last pass for those of the full shape.
#include <algorithm>
#include <memory>
#include <optional>
#include <ranges>

#include "codegen/cpu/elements/reduction.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/loops/loop_nest.h"
#include "codegen/cpu/loops/streaming.h"
#include "codegen/reduction_levels.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr double kCyclesPerItem = 3000;
constexpr double kCyclesPerSecond = 3e9;

/// The region's reductions by level: those of a level need only earlier ones.
struct Plan {
  Shape shape; // that is reduced
  std::string layout;
  ReductionOrder order;
  std::vector<std::vector<OpId>> levels;
  std::vector<OpId> argmaxes;
};

/// What the rows have in common, or nothing where they do not (then each reduction is computed on the spot).
std::optional<Plan> planOf(const KernelContext &k) {
  std::optional<ReductionLevels> found = reductionLevels(k.fn, k.region());
  if (!found)
    return std::nullopt;
  Plan plan{.shape = found->shape,
            .layout = {},
            .order = found->order,
            .levels = std::move(found->levels),
            .argmaxes = {}};
  auto isArgmax = [&](OpId op) { return k.fn[op].def->name == "argmax"; };
  for (std::vector<OpId> &ops : plan.levels) {
    std::ranges::copy_if(ops, std::back_inserter(plan.argmaxes), isArgmax);
    std::erase_if(ops, isArgmax);
  }
  while (!plan.levels.empty() && plan.levels.back().empty())
    plan.levels.pop_back();
  for (ValueId arg : k.body().args)
    if (k.fn.type(arg).shape == plan.shape)
      plan.layout = k.fn.type(arg).layout;
  // An argmax that feeds a reduction would need a pass of its own between.
  for (OpId id : plan.argmaxes)
    for (const auto &ops : plan.levels)
      for (OpId op : ops)
        if (const size_t read = found->depth[k.fn[op].operands[0]];
            read > 0 && found->depth[k.fn[id].results[0]] <= read)
          return std::nullopt;
  return plan;
}

class RowsEmitter {
public:
  RowsEmitter(KernelContext &k, Plan plan) : k_(k), plan_(std::move(plan)) {
    for (int axis = 0; axis < plan_.shape.rank(); ++axis)
      if (!isReduced(axis))
        kept_.push_back(axis);
    chooseLanes();
    chooseUnrolling();
    chooseSaved();
  }

  KernelCode emit();

private:
  /// A row in the making.
  struct Row {
    ElementEmitter m;
    std::vector<LaneValue> dims; // of the full shape
    llvm::Value *mask = nullptr;
    bool fetches = false;         // what it reads now asks for what comes later
    llvm::Value *saved = nullptr; // memory for saved_

    explicit Row(KernelContext &k) : m(k.e, k.fn, k.region()) {}
  };

  bool isReduced(int axis) const {
    return std::ranges::find(plan_.order.axes, axis) != plan_.order.axes.end();
  }
  void chooseLanes();
  void chooseUnrolling();
  void chooseSaved();
  bool lastFetches() const;
  /// Along the innermost dimension.
  int64_t rowBytes() const {
    return plan_.shape[plan_.shape.rank() - 1] * static_cast<int64_t>(dtypeSize(DType::F32));
  }
  void emitRows(llvm::Value *first);
  void place(Row &row, llvm::Value *number);
  ReductionLoops loops(Row &row);
  void bindReductions(Row &row, const std::vector<OpId> &level);
  void bindArgmaxes(Row &row);
  void storeReduced(Row &row);
  void storeFull(Row &row);
  void fillBlocks(Row &row, const std::vector<size_t> &results);
  int64_t savedBytes(ValueId value) const;
  llvm::Value *savedAt(Row &row, const LaneIndex &index);

  /// What is computed once for each element of the full shape.
  std::vector<ValueId> perElement() const {
    std::vector<ValueId> values;
    for (const auto &ops : plan_.levels)
      for (OpId op : ops)
        values.push_back(k_.fn[op].operands[0]);
    for (ValueId value : k_.body().yields)
      if (k_.fn.type(value).shape == plan_.shape)
        values.push_back(value);
    return values;
  }

  KernelContext &k_;
  Plan plan_;
  std::vector<int> kept_;
  bool partialsInLanes_ = false;
  bool unrolled_ = false;
  bool streams_ = false;
  int64_t together_ = 1;         // rows whose code is mixed
  int laneDim_ = -1;             // the kept dimension that lies in the lanes, or -1
  std::optional<ValueId> saved_; // of the last level, for the pass that stores
  llvm::Value *scratch_ = nullptr;
  Values operands_, results_;
};

/// Lanes go where memory is contiguous: along the batch in n16, else along the innermost dimension; a reduced one
/// holds partial sums there if its order has 16 of them.
void RowsEmitter::chooseLanes() {
  int inner = plan_.layout == kLayoutN16 ? 0 : plan_.shape.rank() - 1;
  bool lanesReduced = plan_.order.lanes == kLanes && (plan_.order.laneAxis == inner || kept_.empty());
  if (plan_.argmaxes.empty() && lanesReduced) {
    partialsInLanes_ = true;
    return;
  }
  if (!kept_.empty())
    laneDim_ = std::ranges::find(kept_, inner) != kept_.end() ? inner : kept_.back();
}

/// Short rows, of which all that is read takes half of the registers, stay in registers from one pass to the next, and
/// several together, because each reduction waits for its sum, and what hangs on it for that.
void RowsEmitter::chooseUnrolling() {
  constexpr int64_t kMostTogether = 4;
  if (!partialsInLanes_ || plan_.order.axes.size() > 1)
    return;
  const int64_t operands = std::max<int64_t>(1, std::ranges::count_if(k_.body().args, [&](ValueId arg) {
                                               return k_.fn.type(arg).shape == plan_.shape;
                                             }));
  const int64_t vectors = ceilDiv(plan_.shape[plan_.order.laneAxis], kLanes) * operands;
  const CpuTarget &target = k_.e.target;
  const int64_t registers = target.vectorRegisters / target.registersPerVector() / 2;
  unrolled_ = vectors <= registers;
  const int64_t rows = plan_.shape.elements() / plan_.shape[plan_.order.laneAxis];
  while (unrolled_ && together_ < kMostTogether && 2 * together_ * vectors <= registers &&
         rows % (2 * together_) == 0)
    together_ *= 2;
}

/// What is summed of a row too long for the registers, and needed again for what is stored, as softmax's exponentials, is
/// kept in scratch memory where computing it takes longer than reading it.
void RowsEmitter::chooseSaved() {
  constexpr double kLongCycles = 5;
  if (unrolled_ || !partialsInLanes_ || plan_.order.axes.size() > 1 || plan_.levels.empty())
    return;
  for (OpId sum : plan_.levels.back()) {
    const ValueId value = k_.fn[sum].operands[0];
    std::vector<bool> needs(k_.fn.numValues());
    needs[index(value)] = true;
    bool moves = false; // then other elements would be asked for
    for (OpId id : k_.body().ops)
      if (const OpData &op = k_.fn[id]; !op.def->is(kReduction))
        for (ValueId v : op.operands)
          if (needs[index(v)]) {
            needs[index(op.results[0])] = true;
            moves |= !op.def->is(kElementwise);
          }
    const bool isStored = std::ranges::any_of(
        k_.body().yields, [&](ValueId v) { return needs[index(v)] && k_.fn.type(v).shape == plan_.shape; });
    if (isStored && !moves && k_.fn.type(value).dtype == DType::F32 &&
        savedBytes(value) <= k_.e.target.l2Bytes / 8 &&
        cyclesPerVector(k_.fn, k_.region(), {value}, false) > kLongCycles)
      saved_ = value;
  }
}

/// While the last pass computes what is saved, memory has nothing to do: it asks for the next row, where that is longer than
/// the distance that the first pass would ask ahead. It must read all that the first one reads.
bool RowsEmitter::lastFetches() const {
  if (!saved_ || plan_.levels.size() < 2 || rowBytes() < kAheadInOrder.bytes ||
      rowBytes() > k_.e.target.l1Bytes)
    return false;
  std::vector<bool> reads(k_.fn.numValues());
  reads[index(*saved_)] = true;
  for (OpId id : k_.body().ops | std::views::reverse)
    if (const OpData &op = k_.fn[id]; !op.def->is(kReduction) && reads[index(op.results[0])])
      for (ValueId v : op.operands)
        reads[index(v)] = true;
  return std::ranges::all_of(
      k_.body().args, [&](ValueId arg) { return k_.fn.type(arg).shape != plan_.shape || reads[index(arg)]; });
}

/// Whole vectors of a row.
int64_t RowsEmitter::savedBytes(ValueId value) const {
  return ceilDiv(plan_.shape[plan_.order.laneAxis], kLanes) * kLanes *
         static_cast<int64_t>(dtypeSize(k_.fn.type(value).dtype));
}

llvm::Value *RowsEmitter::savedAt(Row &row, const LaneIndex &index) {
  const Type &type = k_.fn.type(*saved_);
  const LaneValue at = row.m.dims(type.shape, index)[static_cast<size_t>(plan_.order.laneAxis)];
  return row.m.pointerTo(type, row.saved, at);
}

KernelCode RowsEmitter::emit() {
  Emit &e = k_.e;
  const RegionData &body = k_.body();
  KernelCode code;
  KernelStep &step = code.steps.emplace_back();
  step.symbol = k_.symbol;
  int64_t rows = 1, rowLength = 1;
  for (int axis : kept_)
    rows *= axis == laneDim_ ? (plan_.shape[axis] + kLanes - 1) / kLanes : plan_.shape[axis];
  for (int axis : plan_.order.axes)
    rowLength *= plan_.shape[axis];
  double vectors = static_cast<double>(partialsInLanes_ ? (rowLength + kLanes - 1) / kLanes : rowLength);
  double cycles = vectors * cyclesPerVector(k_.fn, k_.region(), perElement(), false) + 20;
  int64_t perItem = std::clamp<int64_t>(static_cast<int64_t>(kCyclesPerItem / cycles), 1, rows);
  perItem = ceilDiv(perItem, together_) * together_;
  step.items = ceilDiv(rows, perItem);
  step.work = static_cast<double>(rows) * cycles / kCyclesPerSecond;

  e.beginKernel(k_.symbol);
  for (size_t i = 0; i < body.args.size(); ++i)
    operands_.push_back(e.buffer(k_.operandBuffer(static_cast<int>(i))));
  for (size_t i = 0; i < body.yields.size(); ++i)
    results_.push_back(e.buffer(k_.resultBuffer(static_cast<int>(i))));
  if (saved_) {
    step.scratchBytes = together_ * savedBytes(*saved_);
    scratch_ = e.scratch();
  }
  llvm::Value *low = e.mul(e.itemBegin(), perItem), *high = e.mul(e.itemEnd(), perItem);
  if (rows % perItem != 0)
    high = e.atMost(high, rows);
  emitStreamed(k_, [&](bool streams) {
    streams_ = streams;
    e.loop(low, high, together_, [&](llvm::Value *number) { emitRows(number); });
  });
  e.endFunction();
  return code;
}

void RowsEmitter::emitRows(llvm::Value *first) {
  std::vector<std::unique_ptr<Row>> rows;
  const Type walked{DType::F32, plan_.shape, plan_.layout};
  const bool inOrder = isReduced(plan_.shape.rank() - 1);
  const bool across = plan_.layout.empty() && laneDim_ == plan_.shape.rank() - 1;
  const bool byLast = inOrder && lastFetches();
  for (int64_t i = 0; i < together_; ++i) {
    place(*rows.emplace_back(std::make_unique<Row>(k_)), k_.e.add(first, k_.e.i64(i)));
    rows.back()->m.streams = streams_;
    if (saved_)
      rows.back()->saved = k_.e.offset(scratch_, i * savedBytes(*saved_));
    rows.back()->fetches = (inOrder || across) && !byLast;
    for (size_t arg = 0; arg < operands_.size(); ++arg)
      bindWalked(rows.back()->m, k_, k_.body().args[arg], operands_[arg], walked, rows.back()->fetches,
                 across   ? kAheadAcross
                 : byLast ? Ahead{rowBytes(), Cache::L1}
                          : kAheadInOrder);
  }
  for (const std::vector<OpId> &level : plan_.levels)
    for (const auto &row : rows) {
      row->fetches |= byLast && &level == &plan_.levels.back();
      bindReductions(*row, level);
      row->fetches = false;
    }
  for (const auto &row : rows) {
    bindArgmaxes(*row);
    storeReduced(*row);
  }
  for (const auto &row : rows)
    storeFull(*row);
}

void RowsEmitter::place(Row &row, llvm::Value *number) {
  Emit &e = k_.e;
  LaneMath &math = row.m.math;
  row.dims.assign(plan_.shape.rank(), math.constant(0));
  for (size_t i = kept_.size(); i-- > 0;) {
    int axis = kept_[i];
    bool lanes = axis == laneDim_;
    int64_t size = plan_.shape[axis], count = lanes ? (size + kLanes - 1) / kLanes : size;
    llvm::Value *position = i == 0 ? number : e.mod(number, count);
    if (i > 0)
      number = e.div(number, count);
    if (!lanes) {
      row.dims[axis] = math.uniform(position);
      continue;
    }
    row.dims[axis] = math.consecutive(e.mul(position, kLanes), kLanes);
    if (size % kLanes != 0)
      row.mask = math.lessThan(row.dims[axis], size);
  }
}

ReductionLoops RowsEmitter::loops(Row &row) {
  ReductionLoops loops{row.m, plan_.shape, plan_.order, partialsInLanes_, unrolled_};
  if (saved_)
    loops.seen = [this, &row](ValueId value, const LaneIndex &at, llvm::Value *term) {
      if (value == saved_)
        k_.e.b.CreateAlignedStore(term, savedAt(row, at), llvm::Align(dtypeSize(k_.fn.type(value).dtype)));
    };
  return loops;
}

void RowsEmitter::bindReductions(Row &row, const std::vector<OpId> &level) {
  Values sums = loops(row).reduce(level, row.dims, row.mask);
  for (size_t i = 0; i < level.size(); ++i)
    row.m.bindVector(k_.fn[level[i]].results[0], sums[i]);
}

void RowsEmitter::bindArgmaxes(Row &row) {
  for (OpId op : plan_.argmaxes) {
    std::vector<LaneValue> kept;
    for (int axis : kept_)
      kept.push_back(row.dims[axis]);
    llvm::Value *found = row.m.emit(k_.fn[op].results[0], LaneIndex::of(kept, row.mask));
    row.m.bindVector(k_.fn[op].results[0], found);
  }
}

void RowsEmitter::storeReduced(Row &row) {
  const RegionData &body = k_.body();
  Shape keptShape;
  std::vector<LaneValue> kept;
  for (int axis : kept_) {
    keptShape.push(plan_.shape[axis]);
    kept.push_back(row.dims[axis]);
  }
  LaneIndex index = LaneIndex::of(kept, row.mask);
  std::vector<std::tuple<size_t, LaneIndex, llvm::Value *>> stores;
  for (size_t i = 0; i < body.yields.size(); ++i) {
    const Type &type = k_.fn.type(body.yields[i]);
    if (type.shape == plan_.shape && type.elements() != keptShape.elements())
      continue;
    LaneIndex at = row.m.reshaped(keptShape, index, type.shape);
    stores.emplace_back(i, at, row.m.emit(body.yields[i], at));
  }
  for (auto &[i, at, value] : stores)
    row.m.store(k_.fn.type(body.yields[i]), results_[i], at, value);
}

void RowsEmitter::storeFull(Row &row) {
  const RegionData &body = k_.body();
  std::vector<size_t> full;
  for (size_t i = 0; i < body.yields.size(); ++i)
    if (k_.fn.type(body.yields[i]).shape == plan_.shape &&
        keptElements(plan_.shape, plan_.order) != plan_.shape.elements())
      full.push_back(i);
  if (full.empty())
    return;
  if (saved_)
    row.m.bindValue(*saved_, [&](const LaneIndex &at) -> llvm::Value * {
      const DType dtype = k_.fn.type(*saved_).dtype;
      return k_.e.b.CreateAlignedLoad(k_.e.vectorType(dtype), savedAt(row, at),
                                      llvm::Align(dtypeSize(dtype)));
    });
  ReductionLoops pass = loops(row);
  if (!partialsInLanes_)
    pass.order.lanes = 1;
  pass.forEach(row.dims, {}, row.mask,
               [&](const std::vector<LaneValue> &at, llvm::Value *laneMask, int64_t, const Values &) {
                 LaneIndex index = LaneIndex::of(at, laneMask);
                 Values values;
                 for (size_t i : full)
                   values.push_back(row.m.emit(body.yields[i], index));
                 for (size_t j = 0; j < full.size(); ++j)
                   row.m.store(k_.fn.type(body.yields[full[j]]), results_[full[j]], index, values[j]);
                 return Values{};
               });
  const bool lanesAreExamples = partialsInLanes_ ? plan_.order.laneAxis == 0 : laneDim_ == 0;
  if (lanesAreExamples)
    return;
  std::erase_if(full, [&](size_t i) { return !hasPadding(k_.fn.type(body.yields[i])); });
  if (!full.empty())
    fillBlocks(row, full);
}

/// Zeros behind the last example of n16, where the lanes of a row lie across its blocks: each block is stored again.
void RowsEmitter::fillBlocks(Row &row, const std::vector<size_t> &results) {
  Emit &e = k_.e;
  std::vector<LaneValue> dims = row.dims;
  const int64_t lastBlock = (plan_.shape[0] - 1) / kLanes * kLanes;
  dims[0] = row.m.math.consecutive(e.i64(lastBlock), kLanes);
  auto fill = [&](auto &&self, int axis) -> void {
    const int64_t size = axis < plan_.shape.rank() ? plan_.shape[axis] : 0;
    if (axis == plan_.shape.rank()) {
      const LaneIndex block = LaneIndex::of(dims, nullptr);
      for (size_t i : results) {
        const Type &type = k_.fn.type(k_.body().yields[i]);
        row.m.store(type, results_[i], block, row.m.load(type, results_[i], block));
      }
    } else if (axis != laneDim_ && !isReduced(axis)) {
      self(self, axis + 1);
    } else {
      llvm::Value *low = axis == laneDim_ ? dims[axis].base : e.i64(0);
      llvm::Value *high = axis == laneDim_ ? e.atMost(e.add(low, e.i64(kLanes)), size) : e.i64(size);
      e.loop(low, high, 1, [&](llvm::Value *i) {
        dims[axis] = row.m.math.uniform(i);
        self(self, axis + 1);
      });
    }
  };
  fill(fill, 1);
}

/// Every yield has the reduced shape, with or without kept ones, or the full one.
bool fits(const KernelContext &k, const Plan &plan) {
  const int64_t kept = keptElements(plan.shape, plan.order);
  return std::ranges::all_of(k.body().yields, [&](ValueId value) {
    const Type &type = k.fn.type(value);
    return type.shape == plan.shape || type.elements() == kept;
  });
}

} // namespace

KernelCode emitRows(KernelContext &k) {
  if (isColumnSums(k))
    return emitColumnSums(k);
  std::optional<Plan> plan = planOf(k);
  if (!plan || !fits(k, *plan))
    return emitMap(k);
  return RowsEmitter(k, *std::move(plan)).emit();
}

} // namespace gradc
