// Sliding windows, computed where they are asked for: forward a loop over the taps of one window, backward a loop
// over the windows that hold one element. Map kernels have a faster form where windows do not overlap.
#include <array>
#include <limits>

#include "codegen/cpu/element.h"
#include "ir/spatial.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr int64_t kMaxUnrolled = 64; // taps; more become loops

struct WindowOp {
  ElementEmitter &m;
  const OpData &data;
  Window win;
  DType dtype;

  WindowOp(ElementEmitter &m, OpId id, std::array<int64_t, 2> input)
      : m(m), data(m.fn[id]), dtype(m.fn.type(data.results[0]).dtype) {
    Dict attrs = withDefaults(*data.def, data.attrs);
    Rule<Window> window = slidingWindow(attrs, input, pairOf(attrs.ints("window")));
    CHECK(window, "{}", window.error());
    win = *window;
  }

  Emit &e() { return m.e; }
  /// Every tap reads inside the image along a dimension.
  bool neverOutside(int dim) const {
    return win.padLow[dim] == 0 && win.at(dim, win.output[dim] - 1, win.kernel[dim] - 1) < win.input[dim];
  }
};

/// carried = body(kh, kw, carried) over the taps in order, unrolled where they are few.
using TapBody = std::function<llvm::Value *(LaneValue, LaneValue, llvm::Value *)>;
llvm::Value *forTaps(ElementEmitter &m, std::array<int64_t, 2> kernel, llvm::Value *carried, const TapBody &body) {
  if (kernel[0] * kernel[1] <= kMaxUnrolled) {
    for (int64_t kh = 0; kh < kernel[0]; ++kh)
      for (int64_t kw = 0; kw < kernel[1]; ++kw)
        carried = body(m.math.constant(kh), m.math.constant(kw), carried);
    return carried;
  }
  return m.e.count(kernel[0], {carried}, [&](llvm::Value *kh, const Values &outer) {
    return m.e.count(kernel[1], outer, [&](llvm::Value *kw, const Values &inner) {
      ElementEmitter::Scope scope(m);
      return Values{body(m.math.uniform(kh), m.math.uniform(kw), inner[0])};
    });
  })[0];
}

/// Where tap (kh, kw) of the window at index `o` of [N, C, OH, OW] reads; `inside` says whether it exists.
std::vector<LaneValue> tapAt(WindowOp &op, const std::vector<LaneValue> &o, LaneValue kh, LaneValue kw,
                             Condition &inside) {
  std::vector<LaneValue> at = o;
  std::array<LaneValue, 2> tap = {kh, kw};
  for (int dim : {0, 1}) {
    LaneMath &math = op.m.math;
    LaneValue start = math.add(math.mul(o[2 + dim], op.win.stride[dim]), -op.win.padLow[dim]);
    at[2 + dim] = math.add(start, tap[dim]);
    if (!op.neverOutside(dim))
      inside.requireBelow(math, at[2 + dim], op.win.input[dim]);
  }
  return at;
}

llvm::Value *reduceTaps(WindowOp &op, const LaneIndex &index, double start, Leaf combine) {
  ElementEmitter &m = op.m;
  std::vector<LaneValue> o = m.dims(m.fn.type(op.data.results[0]).shape, index);
  llvm::Value *identity = m.e.constant(op.dtype, start);
  return forTaps(m, op.win.kernel, identity, [&](LaneValue kh, LaneValue kw, llvm::Value *sum) {
    Condition inside;
    std::vector<LaneValue> at = tapAt(op, o, kh, kw, inside);
    llvm::Value *x = m.emit(op.data.operands[0], LaneIndex::of(at, inside.mask(m.e, index.mask)));
    llvm::Value *args[] = {inside.select(m.e, x, identity), sum};
    if (combine == Leaf::Add)
      std::swap(args[0], args[1]);
    return emitLeaf(m.e, combine, op.dtype, args);
  });
}

llvm::Value *windowMax(ElementEmitter &m, OpId id, const LaneIndex &index) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].operands[0]).shape));
  return reduceTaps(op, index, -std::numeric_limits<double>::infinity(), Leaf::Maximum);
}

llvm::Value *windowSum(ElementEmitter &m, OpId id, const LaneIndex &index) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].operands[0]).shape));
  return reduceTaps(op, index, 0, Leaf::Add);
}

/// sum = body(window, tap, sum) over the windows that hold element `at` of [N, C, H, W], in ascending order.
/// `inside` says whether the window exists.
using WindowBody = std::function<llvm::Value *(std::vector<LaneValue>, std::array<int64_t, 2>, Condition, llvm::Value *)>;
llvm::Value *forWindows(WindowOp &op, const std::vector<LaneValue> &at, llvm::Value *sum, const WindowBody &body) {
  LaneMath &math = op.m.math;
  auto place = [&](int dim, int64_t tap, std::vector<LaneValue> &window, Condition &inside) {
    LaneValue distance = math.add(at[2 + dim], op.win.padLow[dim] - tap);
    int64_t stride = op.win.stride[dim];
    inside.requireBelow(math, distance, (op.win.output[dim] - 1) * stride + 1);
    if (stride != 1)
      inside.require(op.e(), math.equals(math.mod(distance, stride), 0));
    window[2 + dim] = math.div(distance, stride);
  };
  // The window is the earlier the later the tap.
  for (int64_t kh = op.win.kernel[0]; kh-- > 0;)
    for (int64_t kw = op.win.kernel[1]; kw-- > 0;) {
      std::vector<LaneValue> window = at;
      Condition inside;
      place(0, kh, window, inside);
      place(1, kw, window, inside);
      sum = body(window, {kh, kw}, inside, sum);
    }
  return sum;
}

llvm::Value *windowSumGrad(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const Shape &shape = m.fn.type(m.fn[id].results[0]).shape;
  WindowOp op(m, id, planeOf(shape));
  llvm::Value *zero = m.e.constant(op.dtype, 0);
  return forWindows(op, m.dims(shape, index), zero,
                    [&](std::vector<LaneValue> window, std::array<int64_t, 2>, Condition inside, llvm::Value *sum) {
    llvm::Value *dy = m.emit(op.data.operands[0], LaneIndex::of(window, inside.mask(m.e, index.mask)));
    return m.e.b.CreateFAdd(sum, inside.select(m.e, dy, zero));
  });
}

/// Whether `mine` beats the tap `other`: the largest wins, the first of equals, and a NaN over all, the first NaN
/// over others.
llvm::Value *beats(Emit &e, llvm::Value *mine, llvm::Value *other, bool otherIsEarlier) {
  llvm::IRBuilder<> &b = e.b;
  llvm::Value *nan = b.CreateFCmpUNO(mine, mine);
  if (!otherIsEarlier)
    return b.CreateOr(b.CreateFCmpOGE(mine, other), nan);
  return b.CreateOr(b.CreateFCmpOGT(mine, other), b.CreateAnd(nan, b.CreateFCmpORD(other, other)));
}

llvm::Value *windowMaxGrad(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const Shape &shape = m.fn.type(m.fn[id].results[0]).shape;
  WindowOp op(m, id, planeOf(shape));
  ValueId x = op.data.operands[0], dy = op.data.operands[1];
  llvm::Value *mine = m.emit(x, index), *zero = m.e.constant(op.dtype, 0);
  auto contribution = [&](std::vector<LaneValue> window, std::array<int64_t, 2> tap, Condition inside,
                          llvm::Value *sum) {
    llvm::Value *wins = inside.always() ? nullptr : inside.vector(m.e);
    for (int64_t kh = 0; kh < op.win.kernel[0]; ++kh)
      for (int64_t kw = 0; kw < op.win.kernel[1]; ++kw) {
        std::array<int64_t, 2> other = {kh, kw};
        if (other == tap)
          continue;
        Condition exists;
        std::vector<LaneValue> at = tapAt(op, window, m.math.constant(kh), m.math.constant(kw), exists);
        llvm::Value *mask = exists.mask(m.e, inside.mask(m.e, index.mask));
        llvm::Value *better = beats(m.e, mine, m.emit(x, LaneIndex::of(at, mask)), other < tap);
        if (!exists.always())
          better = m.e.b.CreateOr(better, m.e.b.CreateNot(exists.vector(m.e)));
        wins = wins ? m.e.b.CreateAnd(wins, better) : better;
      }
    llvm::Value *share = m.emit(dy, LaneIndex::of(window, inside.mask(m.e, index.mask)));
    return m.e.b.CreateFAdd(sum, wins ? m.e.b.CreateSelect(wins, share, zero) : share);
  };
  return forWindows(op, m.dims(shape, index), zero, contribution);
}

} // namespace

std::span<const ElementRule> windowEmitters() {
  static constexpr ElementRule rules[] = {{"window_max", windowMax},
                                          {"window_sum", windowSum},
                                          {"window_max_grad", windowMaxGrad},
                                          {"window_sum_grad", windowSumGrad}};
  return rules;
}

} // namespace gradc
