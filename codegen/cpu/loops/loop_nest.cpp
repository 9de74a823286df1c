#include "codegen/cpu/loops/loop_nest.h"

#include <algorithm>

#include "codegen/cpu/interleave.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr double kCyclesPerItem = 4000; // about a microsecond: the grain at which threads share work
constexpr double kCyclesPerSecond = 3e9;
/// What an elementary function takes, and so many vectors side by side are enough work between its steps.
constexpr double kLongCycles = 10;
constexpr int64_t kTogether = 4;

int64_t cdiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

} // namespace

LoopNest::LoopNest(const Type &type, const std::vector<bool> &merge, double cyclesPerVector) {
  const Shape &shape = type.shape;
  blocked_ = type.layout == kLayoutN16;
  examples_ = blocked_ ? shape[0] : 0;
  std::vector<int64_t> sizes;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    bool joins = axis > (blocked_ ? 1 : 0) && merge[axis - 1];
    if (joins) {
      sizes.back() *= shape[axis];
      ++groups_.back();
    } else {
      sizes.push_back(shape[axis]);
      groups_.push_back(1);
    }
  }
  laneGroup_ = blocked_ || sizes.empty() ? 0 : sizes.size() - 1;
  for (size_t g = 0; g < sizes.size(); ++g)
    if (blocked_ && g == 0)
      loops_.push_back({0, laneBlocks(sizes[0]), kLanes});
    else if (blocked_ || g != laneGroup_)
      loops_.push_back({g, sizes[g], 1});
  laneSize_ = blocked_ ? kLanes : sizes.empty() ? 1 : sizes[laneGroup_];

  // Items take whole inner loops while those are small, and pieces of the first that is not.
  isLong_ = cyclesPerVector >= kLongCycles;
  cycles_ = cyclesPerVector * static_cast<double>(cdiv(laneSize_, kLanes));
  double inside = cyclesPerVector;
  int64_t count = cdiv(laneSize_, kLanes);
  cut_ = loops_.size();
  while (cut_ > 0 && inside * static_cast<double>(count) < kCyclesPerItem) {
    inside *= static_cast<double>(count);
    count = loops_[--cut_].size;
  }
  for (const Loop &loop : loops_)
    cycles_ *= static_cast<double>(loop.size);
  piece_ = std::clamp<int64_t>(static_cast<int64_t>(kCyclesPerItem / inside), 1, count);
  pieces_ = cdiv(count, piece_);
  piece_ = cdiv(count, pieces_);
  if (isLong_ && cut_ == loops_.size())
    piece_ = cdiv(piece_, kTogether) * kTogether;
  pieces_ = cdiv(count, piece_);
  items_ = pieces_;
  for (size_t i = 0; i < cut_; ++i)
    items_ *= loops_[i].size;
}

double LoopNest::work() const { return cycles_ / kCyclesPerSecond; }

void LoopNest::emit(ElementEmitter &m, llvm::Value *low, llvm::Value *high,
                    const std::function<void(const LaneIndex &)> &body) const {
  m.e.loop(low, high, 1, [&](llvm::Value *item) {
    ElementEmitter::Scope scope(m);
    LaneIndex index;
    for (int count : groups_)
      index.groups.push_back({count, m.math.constant(0)});
    decode(m, item, index, body);
  });
}

void LoopNest::decode(ElementEmitter &m, llvm::Value *item, LaneIndex index,
                      const std::function<void(const LaneIndex &)> &body) const {
  Emit &e = m.e;
  llvm::Value *piece = e.mod(item, pieces_), *rest = e.div(item, pieces_);
  for (size_t i = cut_; i-- > 0;) {
    const Loop &loop = loops_[i];
    llvm::Value *position = i == 0 ? rest : e.mod(rest, loop.size);
    rest = i == 0 ? rest : e.div(rest, loop.size);
    index.groups[loop.group].at = m.math.uniform(e.mul(position, loop.step), loop.step);
  }
  int64_t count = cut_ == loops_.size() ? cdiv(laneSize_, kLanes) : loops_[cut_].size;
  llvm::Value *low = e.mul(piece, piece_), *high = e.add(low, e.i64(piece_));
  if (count % piece_ != 0)
    high = e.atMost(high, count);
  if (cut_ == loops_.size()) {
    lanes(m, low, high, index, body);
    return;
  }
  auto iteration = [&](llvm::Value *i) {
    ElementEmitter::Scope scope(m);
    const Loop &loop = loops_[cut_];
    LaneIndex at = index;
    at.groups[loop.group].at = m.math.uniform(e.mul(i, loop.step), loop.step);
    inner(m, cut_ + 1, at, body);
  };
  if (piece_ == 1)
    iteration(low);
  else
    e.loop(low, high, 1, iteration, false);
}

void LoopNest::inner(ElementEmitter &m, size_t loop, LaneIndex index,
                     const std::function<void(const LaneIndex &)> &body) const {
  if (loop == loops_.size()) {
    lanes(m, m.e.i64(0), m.e.i64(cdiv(laneSize_, kLanes)), index, body);
    return;
  }
  m.e.count(loops_[loop].size, [&](llvm::Value *i) {
    ElementEmitter::Scope scope(m);
    LaneIndex at = index;
    at.groups[loops_[loop].group].at = m.math.uniform(m.e.mul(i, loops_[loop].step), loops_[loop].step);
    inner(m, loop + 1, at, body);
  });
}

/// Vectors low .. high - 1 along the lanes; the last one may be cut short.
void LoopNest::lanes(ElementEmitter &m, llvm::Value *low, llvm::Value *high, LaneIndex index,
                     const std::function<void(const LaneIndex &)> &body) const {
  Emit &e = m.e;
  if (index.groups.empty()) { // a scalar
    body(index);
    return;
  }
  LaneValue &at = index.groups[laneGroup_].at;
  if (blocked_) {
    at = m.math.consecutive(at.base, kLanes);
    if (examples_ % kLanes != 0)
      index.mask = m.math.lessThan(at, examples_);
    body(index);
    return;
  }
  int64_t full = laneSize_ / kLanes, rest = laneSize_ % kLanes;
  auto *whole = llvm::dyn_cast<llvm::ConstantInt>(high);
  if (laneSize_ == 1) {
    at = m.math.constant(0);
    body(index);
    return;
  }
  llvm::Value *limit = rest == 0 ? high
                       : whole   ? static_cast<llvm::Value *>(e.i64(full))
                                 : e.atMost(high, full);
  const bool inFours = full % kTogether == 0 && (whole || piece_ % kTogether == 0);
  const int64_t together = isLong_ && inFours ? kTogether : 1;
  e.loop(low, limit, together, [&](llvm::Value *first) {
    ElementEmitter::Scope scope(m);
    emitInterleaved(e, together, [&](int64_t i) {
      at = m.math.consecutive(e.mul(e.add(first, e.i64(i)), kLanes), kLanes);
      body(index);
    });
  });
  if (rest == 0)
    return;
  auto tail = [&](llvm::Value *) {
    ElementEmitter::Scope scope(m);
    at = m.math.consecutive(e.i64(full * kLanes), kLanes);
    index.mask = e.laneMask(static_cast<int>(rest));
    body(index);
  };
  if (whole)
    tail(nullptr);
  else // at most once: where the piece reaches the end
    e.loop(e.i64(full), high, 1, tail);
}

namespace {

/// visit(value, op) for what the roots are computed from within the region, once each; op is null for arguments.
void forEachSource(const Function &fn, RegionId region, std::vector<ValueId> pending,
                   const std::function<bool(ValueId, const OpData *)> &visit) {
  std::vector<bool> seen(fn.numValues());
  while (!pending.empty()) {
    ValueId value = pending.back();
    pending.pop_back();
    if (seen[index(value)])
      continue;
    seen[index(value)] = true;
    OpId id = fn[value].def;
    bool inside = id != kNoOp && fn[id].region == region;
    if (visit(value, inside ? &fn[id] : nullptr) && inside)
      pending.insert(pending.end(), fn[id].operands.begin(), fn[id].operands.end());
  }
}

} // namespace

std::vector<bool> mergeableDims(const Function &fn, RegionId region, const std::vector<ValueId> &roots,
                                const Shape &shape) {
  std::vector<bool> merge(shape.rank() > 0 ? shape.rank() - 1 : 0, true);
  forEachSource(fn, region, roots, [&](ValueId, const OpData *op) {
    if (!op || op->def->scalar || op->def->name == "relayout")
      return true;
    if (op->def->name == "constant" || op->def->name == "random_uniform")
      return false;
    OpId operand = op->operands.empty() ? kNoOp : fn[op->operands[0]].def;
    bool simple =
        operand == kNoOp || fn[operand].def->name == "constant" || fn.type(op->operands[0]).rank() <= 1;
    if (op->def->name != "broadcast" || !simple) {
      merge.assign(merge.size(), false);
      return false;
    }
    std::vector<int64_t> axes = withDefaults(*op->def, op->attrs).ints("axes");
    auto mapped = [&](int axis) { return std::ranges::find(axes, axis) != axes.end(); };
    for (int axis = 0; axis + 1 < shape.rank(); ++axis)
      if (mapped(axis) != mapped(axis + 1))
        merge[axis] = false;
    return false;
  });
  return merge;
}

namespace {

/// Throughput of 16 lanes on a processor with 512-bit registers.
double leafCycles(Leaf leaf) {
  switch (leaf) {
  case Leaf::Exp: return 8;
  case Leaf::Log: return 16;
  case Leaf::Tanh: return 9;
  case Leaf::Erf: return 8;
  case Leaf::Pow: return 60;
  case Leaf::Div: return 10;
  case Leaf::Sqrt: return 12;
  case Leaf::Operand:
  case Leaf::Constant: return 0;
  default: return 0.5;
  }
}

/// Products in one sum of a contraction: what one element of the result reads of the first operand.
double chainLength(const Function &fn, const OpData &op) {
  const Shape &a = fn.type(op.operands[0]).shape, &result = fn.type(op.results[0]).shape;
  if (op.def->name == "matmul") {
    bool transposed = withDefaults(*op.def, op.attrs).flag("transpose_a");
    return static_cast<double>(a[a.rank() - (transposed ? 2 : 1)]);
  }
  const Shape &b = fn.type(op.operands[1]).shape;
  if (op.def->name == "conv2d_grad_weight")
    return static_cast<double>(b[0] * b[2] * b[3]);
  return static_cast<double>(b.elements()) / static_cast<double>(result[1]);
}

double opCycles(const Function &fn, const OpData &op, bool sumsHere) {
  if (op.def->is(kContraction))
    return 4 * chainLength(fn, op);
  if (op.def->is(kReduction) && sumsHere)
    return 4 * static_cast<double>(fn.type(op.operands[0]).elements()) /
           static_cast<double>(fn.type(op.results[0]).elements());
  if (op.def->name == "random_uniform")
    return 20; // a quarter of an evaluation
  if (op.def->is(kWindow))
    return 8;
  if (!op.def->scalar)
    return 0.5;
  double cycles = 0;
  for (const ScalarNode &node : scalarProgram(*op.def, withDefaults(*op.def, op.attrs)).nodes)
    cycles += leafCycles(node.leaf);
  return cycles;
}

} // namespace

double cyclesPerVector(const Function &fn, RegionId region, const std::vector<ValueId> &roots,
                       bool sumsHere) {
  double cycles = 0;
  auto bytes = [&](ValueId value) { return static_cast<double>(dtypeSize(fn.type(value).dtype)); };
  for (ValueId root : roots)
    cycles += 0.5 * bytes(root);
  forEachSource(fn, region, roots, [&](ValueId value, const OpData *op) {
    cycles += op ? opCycles(fn, *op, sumsHere) : 0.15 * bytes(value);
    return true;
  });
  return std::max(cycles, 1.0);
}

} // namespace gradc
