#include "codegen/cpu/elements/reduction.h"

#include <limits>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/interleave.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

/// Vectors of a row whose instructions take turns, and how many make it worth to have so many in a loop: then the
/// processor gets to the next row before the chain of this one ends.
constexpr int64_t kTogether = 4, kLong = 16;

bool isReduced(const ReductionOrder &order, int axis) {
  return std::find(order.axes.begin(), order.axes.end(), axis) != order.axes.end();
}

bool isExtremum(Leaf leaf, DType dtype) {
  return leaf != Leaf::Add && (dtype == DType::F32 || dtype == DType::F64);
}

/// emitCombined for an extremum where none is NaN: one instruction.
llvm::Value *combineNumbers(Emit &e, Leaf leaf, DType, llvm::Value *a, llvm::Value *c) {
  llvm::Value *wins = leaf == Leaf::Maximum ? e.b.CreateFCmpOGT(a, c) : e.b.CreateFCmpOLT(a, c);
  return e.b.CreateSelect(wins, a, c);
}

/// emitTree on the lanes of one vector; all lanes get the result.
llvm::Value *treeOfLanes(Emit &e, Leaf leaf, DType dtype, llvm::Value *partial, auto &combine) {
  for (int half = kVectorLanes / 2; half > 0; half /= 2) {
    std::vector<int> lanes;
    for (int j = 0; j < kVectorLanes; ++j)
      lanes.push_back(j < half ? j + half : j);
    partial = combine(e, leaf, dtype, partial, e.b.CreateShuffleVector(partial, lanes));
  }
  return e.splat(e.b.CreateExtractElement(partial, uint64_t{0}));
}

} // namespace

llvm::Value *emitCombined(Emit &e, Leaf leaf, DType dtype, llvm::Value *a, llvm::Value *b) {
  llvm::Value *args[] = {a, b};
  return emitLeaf(e, leaf, dtype, args);
}

llvm::Value *emitTree(Emit &e, Leaf leaf, DType dtype, Values partial) {
  for (size_t half = partial.size() / 2; half > 0; half /= 2)
    for (size_t j = 0; j < half; ++j)
      partial[j] = emitCombined(e, leaf, dtype, partial[j], partial[j + half]);
  return partial[0];
}

Leaf reductionLeaf(std::string_view op) {
  return op == "reduce_sum" ? Leaf::Add : op == "reduce_max" ? Leaf::Maximum : Leaf::Minimum;
}

double reductionStart(std::string_view op) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  return op == "reduce_sum" ? 0 : op == "reduce_max" ? -kInf : kInf;
}

std::vector<ReductionLoops::Level> ReductionLoops::levels() const {
  std::vector<Level> levels;
  for (int axis : order.axes) {
    bool blocks = order.lanes == kLanes && axis == order.laneAxis;
    levels.push_back({axis, blocks ? shape[axis] / kLanes : shape[axis], blocks});
  }
  return levels;
}

Values ReductionLoops::nest(std::span<const Level> levels, std::vector<LaneValue> dims, const Values &carried,
                            llvm::Value *mask, int64_t count, const Body &body) {
  if (levels.empty())
    return body(dims, mask, count, carried);
  Level level = levels[0];
  LaneMath &math = m.math;
  auto inner = [&](llvm::Value *i, const Values &values) {
    if (!level.blocks)
      dims[level.axis] = math.uniform(level.axis == order.axes.front() ? m.e.add(i, m.e.i64(first)) : i);
    else if (partialsInLanes)
      dims[level.axis] = math.consecutive(m.e.mul(i, kLanes), kLanes);
    else
      dims[level.axis] = math.uniform(m.e.mul(i, kLanes), kLanes); // the body adds 0 .. 15
    return nest(levels.subspan(1), dims, values, mask, level.blocks ? kLanes : count, body);
  };
  Values full = carried;
  auto several = [&](llvm::Value *i, int64_t together, Values values) {
    emitInterleaved(m.e, together, [&](int64_t j) { values = inner(m.e.add(i, m.e.i64(j)), values); });
    return values;
  };
  auto loop = [&](int64_t low, int64_t high, int64_t step) {
    if (low < high)
      full = m.e.count((high - low) / step, full, [&](llvm::Value *i, const Values &values) {
        ElementEmitter::Scope scope(m);
        return several(m.e.add(m.e.mul(i, step), m.e.i64(low)), step, values);
      });
  };
  const bool isLong = partialsInLanes && level.blocks && level.count >= kLong && levels.size() == 1;
  const int64_t step = isLong ? kTogether : 1, whole = level.count / step * step;
  if (unrolled) {
    for (int64_t i = 0; i < level.count; i += kTogether)
      full = several(m.e.i64(i), std::min(kTogether, level.count - i), full);
  } else {
    loop(0, whole, step);
    loop(whole, level.count, 1);
  }
  const int64_t rest = level.blocks ? shape[level.axis] % kLanes : 0;
  if (rest == 0)
    return full;
  dims[level.axis] = {m.e.i64(shape[level.axis] - rest), partialsInLanes ? 1 : 0, nullptr, kLanes};
  if (partialsInLanes)
    mask = m.e.laneMask(static_cast<int>(rest));
  return nest(levels.subspan(1), dims, full, mask, rest, body);
}

Values ReductionLoops::forEach(std::vector<LaneValue> dims, const Values &carried, llvm::Value *mask,
                               const Body &body) {
  return nest(levels(), std::move(dims), carried, mask, 1, body);
}

Values ReductionLoops::reduceSegments(std::span<const OpId> ops, const std::vector<LaneValue> &dims,
                                      llvm::Value *mask) {
  ReductionLoops segment = *this;
  segment.order.split = 1;
  segment.shape[order.axes.front()] /= order.split;
  std::vector<Values> sums; // by segment
  for (int64_t s = 0; s < order.split; ++s) {
    segment.first = s * segment.shape[order.axes.front()];
    ElementEmitter::Scope scope(m);
    sums.push_back(segment.reduce(ops, dims, mask));
  }
  Values results;
  for (size_t i = 0; i < ops.size(); ++i) {
    Values parts;
    for (const Values &segmentSums : sums)
      parts.push_back(segmentSums[i]);
    results.push_back(emitTree(m.e, reductionLeaf(m.fn[ops[i]].def->name),
                               m.fn.type(m.fn[ops[i]].results[0]).dtype, std::move(parts)));
  }
  return results;
}

Values ReductionLoops::reduce(std::span<const OpId> ops, std::vector<LaneValue> dims, llvm::Value *mask) {
  if (order.split > 1)
    return reduceSegments(ops, dims, mask);
  const bool extrema =
      std::ranges::all_of(ops, [&](OpId op) { return isExtremum(row(op).leaf, row(op).dtype); });
  return partialsInLanes && extrema ? reduceNumbers(ops, dims, mask) : reduceWhole(ops, dims, mask);
}

/// To look for NaN at each step makes a chain of three instructions. A sum beside it is NaN if an element is (and for
/// infinities of both signs); only then all is done again, step by step.
Values ReductionLoops::reduceNumbers(std::span<const OpId> ops, const std::vector<LaneValue> &dims,
                                     llvm::Value *mask) {
  Emit &e = m.e;
  std::vector<Row> rows;
  Values start;
  for (OpId op : ops) {
    rows.push_back(row(op));
    start.push_back(e.constant(rows.back().dtype, reductionStart(m.fn[op].def->name)));
    start.push_back(e.constant(rows.back().dtype, 0));
  }
  const Values found =
      forEach(dims, start, mask,
              [&](const std::vector<LaneValue> &at, llvm::Value *laneMask, int64_t, const Values &carried) {
                Values next;
                auto keep = [&](llvm::Value *more) {
                  llvm::Value *former = carried[next.size()];
                  next.push_back(laneMask ? e.b.CreateSelect(laneMask, more, former) : more);
                };
                for (const Row &r : rows) {
                  llvm::Value *x = term(r, LaneIndex::of(at, laneMask));
                  keep(combineNumbers(e, r.leaf, r.dtype, carried[next.size()], x));
                  keep(e.b.CreateFAdd(carried[next.size()], x));
                }
                return next;
              });
  llvm::Value *nan = e.b.getFalse();
  for (size_t r = 0; r < rows.size(); ++r)
    nan = e.b.CreateOr(nan, e.b.CreateOrReduce(e.b.CreateFCmpUNO(found[2 * r + 1], found[2 * r + 1])));
  auto withNan = [&] {
    ElementEmitter::Scope scope(m);
    return reduceWhole(ops, dims, mask);
  };
  auto without = [&] {
    Values results;
    for (size_t r = 0; r < rows.size(); ++r)
      results.push_back(treeOfLanes(e, rows[r].leaf, rows[r].dtype, found[2 * r], combineNumbers));
    return results;
  };
  return emitChoice(e, nan, withNan, without, /*thenIsRare=*/true);
}

Values ReductionLoops::reduceWhole(std::span<const OpId> ops, const std::vector<LaneValue> &dims,
                                   llvm::Value *mask) {
  Emit &e = m.e;
  bool separate = order.lanes == kLanes && !partialsInLanes;
  size_t partials = separate ? kLanes : 1;
  std::vector<Row> rows;
  Values start;
  for (OpId op : ops) {
    rows.push_back(row(op));
    start.insert(start.end(), partials, e.constant(rows.back().dtype, reductionStart(m.fn[op].def->name)));
  }
  auto add = [&](const std::vector<LaneValue> &at, llvm::Value *laneMask, int64_t count, const Values &sums) {
    Values next = sums;
    for (int64_t p = 0; p < (separate ? count : 1); ++p) {
      std::vector<LaneValue> place = at;
      if (separate)
        place[order.laneAxis] = m.math.add(at[order.laneAxis], p);
      for (size_t r = 0; r < rows.size(); ++r) {
        llvm::Value *&sum = next[r * partials + static_cast<size_t>(p)];
        llvm::Value *x = term(rows[r], LaneIndex::of(place, laneMask));
        llvm::Value *more = emitCombined(e, rows[r].leaf, rows[r].dtype, sum, x);
        sum = partialsInLanes && laneMask ? e.b.CreateSelect(laneMask, more, sum) : more;
      }
    }
    return next;
  };
  const Values sums = forEach(dims, start, mask, add);
  Values results;
  for (size_t r = 0; r < rows.size(); ++r) {
    llvm::Value *sum = emitTree(e, rows[r].leaf, rows[r].dtype,
                                Values(sums.begin() + r * partials, sums.begin() + (r + 1) * partials));
    results.push_back(partialsInLanes ? treeOfLanes(e, rows[r].leaf, rows[r].dtype, sum, emitCombined) : sum);
  }
  return results;
}

ReductionLoops::Row ReductionLoops::row(OpId op) const {
  const OpData &data = m.fn[op];
  return {reductionLeaf(data.def->name), m.fn.type(data.results[0]).dtype, data.operands[0]};
}

llvm::Value *ReductionLoops::term(const Row &row, const LaneIndex &at) {
  llvm::Value *x = m.emit(row.operand, at);
  if (seen)
    seen(row.operand, at, x);
  return x;
}

namespace {

/// The kept dimensions of the operand from an index of the result, which may keep reduced ones as 1.
std::vector<LaneValue> keptDims(ElementEmitter &m, OpId op, const ReductionOrder &order,
                                const LaneIndex &index) {
  const Shape &shape = m.fn.type(m.fn[op].operands[0]).shape;
  Shape kept;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (!isReduced(order, axis))
      kept.push(shape[axis]);
  LaneIndex at = m.reshaped(m.fn.type(m.fn[op].results[0]).shape, index, kept);
  std::vector<LaneValue> inner = m.dims(kept, at), dims(shape.rank());
  for (int axis = 0, i = 0; axis < shape.rank(); ++axis)
    dims[axis] = isReduced(order, axis) ? m.math.constant(0) : inner[i++];
  return dims;
}

llvm::Value *reduceHere(ElementEmitter &m, OpId op, const LaneIndex &index) {
  ReductionLoops loops{m, m.fn.type(m.fn[op].operands[0]).shape, reductionOrder(m.fn, op)};
  return loops.reduce({&op, 1}, keptDims(m, op, loops.order, index), index.mask)[0];
}

llvm::Value *argmaxHere(ElementEmitter &m, OpId op, const LaneIndex &index) {
  llvm::IRBuilder<> &b = m.e.b;
  ValueId x = m.fn[op].operands[0];
  ReductionOrder order = reductionOrder(m.fn, op);
  int axis = order.axes[0];
  std::vector<LaneValue> dims = keptDims(m, op, order, index);
  auto first = m.emit(x, LaneIndex::of(dims, index.mask));
  llvm::Value *zero = m.e.constant(DType::I32, 0);
  int64_t size = m.fn.type(x).shape[axis];
  if (size == 1)
    return zero;
  return m.e.loop(m.e.i64(1), m.e.i64(size), 1, {first, zero}, [&](llvm::Value *i, const Values &best) {
    ElementEmitter::Scope scope(m);
    dims[axis] = m.math.uniform(i);
    llvm::Value *value = m.emit(x, LaneIndex::of(dims, index.mask));
    llvm::Value *newNan = b.CreateAnd(b.CreateFCmpUNO(value, value), b.CreateFCmpORD(best[0], best[0]));
    llvm::Value *better = b.CreateOr(b.CreateFCmpOGT(value, best[0]), newNan);
    llvm::Value *number = m.e.splat(b.CreateTrunc(i, b.getInt32Ty()));
    return Values{b.CreateSelect(better, value, best[0]), b.CreateSelect(better, number, best[1])};
  })[1];
}

/// Adds the updates whose index is this element's, in the order of the list.
llvm::Value *scatterAddHere(ElementEmitter &m, OpId op, const LaneIndex &index) {
  llvm::IRBuilder<> &b = m.e.b;
  const OpData &data = m.fn[op];
  Dict attrs = withDefaults(*data.def, data.attrs);
  const Type &type = m.fn.type(data.results[0]);
  const Shape &indices = m.fn.type(data.operands[0]).shape;
  int64_t axis = attrs.i64("axis"), size = attrs.i64("size"), count = indices.elements();
  std::vector<LaneValue> dims = m.dims(type.shape, index);
  llvm::Value *mine = m.math.lanes(dims[axis]), *zero = m.e.constant(type.dtype, 0);
  auto add = [&](llvm::Value *k, const Values &sum) {
    ElementEmitter::Scope scope(m);
    LaneIndex flat;
    flat.groups.push_back({1, m.math.uniform(k)});
    LaneIndex where = m.reshaped(Shape{count}, flat, indices);
    std::vector<LaneValue> position = m.dims(indices, where), at(dims.begin(), dims.begin() + axis);
    llvm::Value *chosen = m.emit(data.operands[0], where);
    chosen = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, chosen, m.e.constant(DType::I32, 0));
    chosen =
        b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, chosen, m.e.constant(DType::I32, double(size - 1)));
    at.insert(at.end(), position.begin(), position.end());
    at.insert(at.end(), dims.begin() + axis + 1, dims.end());
    llvm::Value *update = m.emit(data.operands[1], LaneIndex::of(at, index.mask));
    llvm::Value *hit = b.CreateICmpEQ(m.math.lanes(m.asIndex(chosen, false)), mine);
    llvm::Value *more = isFloat(type.dtype) ? b.CreateFAdd(sum[0], update) : b.CreateAdd(sum[0], update);
    return Values{b.CreateSelect(hit, more, sum[0])};
  };
  return m.e.loop(m.e.i64(0), m.e.i64(count), 1, {zero}, add)[0];
}

} // namespace

std::span<const ElementRule> reductionEmitters() {
  static constexpr ElementRule rules[] = {{"reduce_sum", reduceHere},
                                          {"reduce_max", reduceHere},
                                          {"reduce_min", reduceHere},
                                          {"argmax", argmaxHere},
                                          {"scatter_add", scatterAddHere}};
  return rules;
}

} // namespace gradc
