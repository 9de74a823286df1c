// Sliding windows, computed where they are asked for: forward a loop over the taps of one window, backward a loop
// over the windows that hold one element. Map kernels have a faster form where windows do not overlap.
#include <array>
#include <limits>

#include "codegen/cpu/elements/element.h"
#include "ir/spatial.h"
#include "support/check.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kMaxUnrolled = 64;      // taps; more become loops
constexpr int64_t kMaxUnrolledPairs = 81; // taps compared with taps

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
llvm::Value *forTaps(ElementEmitter &m, std::array<int64_t, 2> kernel, llvm::Value *carried,
                     const TapBody &body, int64_t maxUnrolled = kMaxUnrolled) {
  if (kernel[0] * kernel[1] <= maxUnrolled) {
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

/// sum = body(window, tap, sum) over the windows that hold element `at` of [N, C, H, W], in ascending order: the
/// window is the earlier the later the tap. `inside` says whether the window exists.
using WindowBody =
    std::function<llvm::Value *(const std::vector<LaneValue> &window, const std::array<LaneValue, 2> &tap,
                                const Condition &inside, llvm::Value *sum)>;
llvm::Value *forWindows(WindowOp &op, const std::vector<LaneValue> &at, llvm::Value *sum, int64_t maxUnrolled,
                        const WindowBody &body) {
  LaneMath &math = op.m.math;
  auto one = [&](LaneValue kh, LaneValue kw, llvm::Value *carried) {
    std::array<LaneValue, 2> tap;
    std::vector<LaneValue> window = at;
    Condition inside;
    LaneValue fromEnd[] = {kh, kw};
    for (int dim : {0, 1}) {
      tap[dim] = math.add(math.mul(fromEnd[dim], -1), op.win.kernel[dim] - 1);
      LaneValue distance = math.add(math.add(at[2 + dim], math.mul(tap[dim], -1)), op.win.padLow[dim]);
      int64_t stride = op.win.stride[dim];
      inside.requireBelow(math, distance, (op.win.output[dim] - 1) * stride + 1);
      if (stride != 1)
        inside.require(op.e(), math.equals(math.mod(distance, stride), 0));
      window[2 + dim] = math.div(distance, stride);
    }
    return body(window, tap, inside, carried);
  };
  return forTaps(op.m, op.win.kernel, sum, one, maxUnrolled);
}

/// Of element p, counted from the padding, windows p / stride and so many before it: no more than a kernel has strides.
llvm::Value *windowSumGrad(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const Shape &shape = m.fn.type(m.fn[id].results[0]).shape;
  WindowOp op(m, id, planeOf(shape));
  LaneMath &math = m.math;
  llvm::Value *zero = m.e.constant(op.dtype, 0);
  const std::vector<LaneValue> at = m.dims(shape, index);
  std::array<int64_t, 2> strides{};
  std::array<LaneValue, 2> last, rest;
  for (int dim : {0, 1}) {
    const LaneValue position = math.add(at[2 + dim], op.win.padLow[dim]);
    last[dim] = math.div(position, op.win.stride[dim]);
    rest[dim] = math.mod(position, op.win.stride[dim]);
    strides[dim] = ceilDiv(op.win.kernel[dim], op.win.stride[dim]);
  }
  return forTaps(m, strides, zero, [&](LaneValue kh, LaneValue kw, llvm::Value *sum) {
    std::vector<LaneValue> window = at;
    Condition inside;
    const LaneValue number[] = {kh, kw};
    for (int dim : {0, 1}) { // in ascending order
      const LaneValue before = math.add(math.mul(number[dim], -1), strides[dim] - 1);
      window[2 + dim] = math.add(last[dim], math.mul(before, -1));
      inside.requireBelow(math, window[2 + dim], op.win.output[dim]);
      LaneValue tap = math.add(rest[dim], math.mul(before, op.win.stride[dim]));
      if (strides[dim] * op.win.stride[dim] != op.win.kernel[dim])
        inside.requireBelow(math, tap, op.win.kernel[dim]);
    }
    llvm::Value *dy = m.emit(op.data.operands[0], LaneIndex::of(window, inside.mask(m.e, index.mask)));
    return m.e.b.CreateFAdd(sum, inside.select(m.e, dy, zero));
  });
}

/// Whether `mine` beats the tap `other`: the largest wins, the first of equals, and a NaN over all, the first NaN
/// over others.
llvm::Value *beats(Emit &e, llvm::Value *mine, llvm::Value *other, llvm::Value *otherIsEarlier) {
  llvm::IRBuilder<> &b = e.b;
  llvm::Value *nan = b.CreateFCmpUNO(mine, mine);
  llvm::Value *asFirst = b.CreateOr(b.CreateFCmpOGE(mine, other), nan);
  llvm::Value *asLater =
      b.CreateOr(b.CreateFCmpOGT(mine, other), b.CreateAnd(nan, b.CreateFCmpORD(other, other)));
  if (auto *known = llvm::dyn_cast<llvm::ConstantInt>(otherIsEarlier))
    return known->isZero() ? asFirst : asLater;
  return b.CreateSelect(e.splat(otherIsEarlier), asLater, asFirst);
}

llvm::Value *windowMaxGrad(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const Shape &shape = m.fn.type(m.fn[id].results[0]).shape;
  WindowOp op(m, id, planeOf(shape));
  llvm::IRBuilder<> &b = m.e.b;
  ValueId x = op.data.operands[0], dy = op.data.operands[1];
  llvm::Value *mine = m.emit(x, index), *zero = m.e.constant(op.dtype, 0);
  int64_t taps = op.win.kernel[0] * op.win.kernel[1],
          maxUnrolled = taps * taps <= kMaxUnrolledPairs ? taps : 0;
  auto contribution = [&](const std::vector<LaneValue> &window, const std::array<LaneValue, 2> &tap,
                          const Condition &inside, llvm::Value *sum) {
    llvm::Value *exists = inside.always() ? m.e.splat(b.getTrue()) : inside.vector(m.e);
    auto compare = [&](LaneValue kh, LaneValue kw, llvm::Value *wins) -> llvm::Value * {
      llvm::Value *sameRow = b.CreateICmpEQ(kh.base, tap[0].base);
      llvm::Value *itself = b.CreateAnd(sameRow, b.CreateICmpEQ(kw.base, tap[1].base));
      if (auto *known = llvm::dyn_cast<llvm::ConstantInt>(itself); known && known->isOne())
        return wins;
      llvm::Value *earlier = b.CreateOr(b.CreateICmpULT(kh.base, tap[0].base),
                                        b.CreateAnd(sameRow, b.CreateICmpULT(kw.base, tap[1].base)));
      Condition present;
      std::vector<LaneValue> at = tapAt(op, window, kh, kw, present);
      llvm::Value *mask = present.mask(m.e, inside.mask(m.e, index.mask));
      llvm::Value *better = beats(m.e, mine, m.emit(x, LaneIndex::of(at, mask)), earlier);
      if (!present.always())
        better = b.CreateOr(better, b.CreateNot(present.vector(m.e)));
      if (!llvm::isa<llvm::Constant>(itself))
        better = b.CreateOr(better, m.e.splat(itself));
      return b.CreateAnd(wins, better);
    };
    llvm::Value *wins = forTaps(m, op.win.kernel, exists, compare, maxUnrolled);
    llvm::Value *share = m.emit(dy, LaneIndex::of(window, inside.mask(m.e, index.mask)));
    return b.CreateFAdd(sum, b.CreateSelect(wins, share, zero));
  };
  return forWindows(op, m.dims(shape, index), zero, maxUnrolled, contribution);
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
