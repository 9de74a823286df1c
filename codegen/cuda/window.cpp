// Sliding windows, computed where they are asked for: forward a loop over the taps of one window, backward a loop over
// the windows that hold one element. No two threads write one element, so there are no atomics.
#include <array>
#include <limits>

#include "codegen/cuda/window.h"
#include "ir/op.h"
#include "ir/spatial.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr int64_t kMaxUnrolled = 32;      // taps; more become loops
constexpr int64_t kMaxUnrolledPairs = 81; // taps compared with taps

using Pair = std::array<CudaIndex, 2>; // height, width

struct WindowOp {
  CudaElements &m;
  const OpData &data;
  Window win;
  DType dtype;

  WindowOp(CudaElements &m, OpId id, std::array<int64_t, 2> input)
      : m(m), data(m.fn[id]), dtype(m.fn.type(data.results[0]).dtype) {
    const Dict attrs = withDefaults(*data.def, data.attrs);
    Rule<Window> window = slidingWindow(attrs, input, pairOf(attrs.ints("window")));
    CHECK(window, "{}", window.error());
    win = *window;
  }
  const std::string &name() const { return m.fn[data.results[0]].name; }
  int64_t taps() const { return win.kernel[0] * win.kernel[1]; }
};

/// body(kh, kw) for all taps in order: written one by one where they are few.
void forTaps(CudaElements &m, std::array<int64_t, 2> kernel, int64_t maxUnrolled,
             const std::function<void(const Pair &)> &body) {
  if (kernel[0] * kernel[1] <= maxUnrolled) {
    for (int64_t kh = 0; kh < kernel[0]; ++kh)
      for (int64_t kw = 0; kw < kernel[1]; ++kw)
        body({kh, kw});
    return;
  }
  m.loop("kh", kernel[0], [&](const CudaIndex &kh) {
    m.loop("kw", kernel[1], [&](const CudaIndex &kw) { body({kh, kw}); });
  });
}

/// Where a tap of the window at index `window` of [N, C, OH, OW] reads; `inside` says whether it exists.
CudaIndices tapAt(WindowOp &op, const CudaIndices &window, const Pair &tap, CudaCondition &inside) {
  CudaIndices at = window;
  CudaIndexMath &math = op.m.math;
  for (size_t dim : {0, 1}) {
    const CudaIndex start = math.add(math.mul(window[2 + dim], op.win.stride[dim]), -op.win.padLow[dim]);
    at[2 + dim] = math.add(start, tap[dim]);
    inside.require(math.below(at[2 + dim], op.win.input[dim]));
  }
  return at;
}

/// Windows side by side of 2 or 4 taps in a row of the image: each row is one vector load.
bool isVectorRow(const WindowOp &op) {
  const int64_t width = op.win.kernel[1];
  return op.m.lanes == 1 && op.win.stride[1] == width && op.win.padLow[1] == 0 &&
         (width == 2 || width == 4) && op.win.input[1] % width == 0 && op.taps() <= kMaxUnrolled;
}

/// As forTaps, tap by tap, with the row's taps as the lanes of one index.
void forVectorRows(WindowOp &op, const std::function<void(const Pair &)> &body) {
  CudaElements &m = op.m;
  m.lanes = static_cast<int>(op.win.kernel[1]);
  const CudaIndex kw = m.math.lanes(m.lanes);
  for (int64_t kh = 0; kh < op.win.kernel[0]; ++kh)
    for (m.math.lane = 0; m.math.lane < m.lanes; ++m.math.lane)
      body({kh, kw});
  m.math.endLanes();
  m.lanes = 1;
}

std::string reduceTaps(WindowOp &op, const CudaIndices &at, double start, Leaf combine) {
  CudaElements &m = op.m;
  const std::string result = m.variable(op.dtype, op.name(), cudaLiteral(op.dtype, start));
  auto add = [&](const Pair &tap) {
    CudaCondition inside;
    const CudaIndices place = tapAt(op, at, tap, inside);
    m.when(inside.text(), [&] {
      const std::string x = m.emit(op.data.operands[0], place);
      const bool sum = combine == Leaf::Add;
      const std::string args[] = {sum ? result : x, sum ? x : result};
      m.text.line("{} = {};", result, cudaLeaf(combine, op.dtype, args));
    });
  };
  if (isVectorRow(op))
    forVectorRows(op, add);
  else
    forTaps(m, op.win.kernel, kMaxUnrolled, add);
  return result;
}

std::string windowMax(CudaElements &m, OpId id, const CudaIndices &at) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].operands[0]).shape));
  return reduceTaps(op, at, -std::numeric_limits<double>::infinity(), Leaf::Maximum);
}

std::string windowSum(CudaElements &m, OpId id, const CudaIndices &at) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].operands[0]).shape));
  return reduceTaps(op, at, 0, Leaf::Add);
}

/// body(window, tap) for the windows that hold element `at` of [N, C, H, W], in ascending order: the window is the
/// earlier the later the tap. The body stands in a block that runs where the window exists.
using WindowBody = std::function<void(const CudaIndices &window, const Pair &tap)>;
void forWindows(WindowOp &op, const CudaIndices &at, int64_t maxUnrolled, const WindowBody &body) {
  CudaElements &m = op.m;
  forTaps(m, op.win.kernel, maxUnrolled, [&](const Pair &fromEnd) {
    CudaCondition inside;
    Pair tap, distance;
    for (size_t dim : {0, 1}) {
      tap[dim] = m.math.add(m.math.mul(fromEnd[dim], -1), op.win.kernel[dim] - 1);
      distance[dim] = m.math.add(m.math.add(at[2 + dim], m.math.mul(tap[dim], -1)), op.win.padLow[dim]);
      inside.require(m.math.below(distance[dim], (op.win.output[dim] - 1) * op.win.stride[dim] + 1));
    }
    m.when(inside.text(), [&] {
      CudaCondition exact;
      CudaIndices window = at;
      for (size_t dim : {0, 1}) {
        exact.require(m.math.equals(m.math.mod(distance[dim], op.win.stride[dim]), 0));
        window[2 + dim] = m.math.div(distance[dim], op.win.stride[dim]);
      }
      m.when(exact.text(), [&] { body(window, tap); });
    });
  });
}

std::string windowSumGrad(CudaElements &m, OpId id, const CudaIndices &at) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].results[0]).shape));
  const std::string sum = m.variable(op.dtype, op.name(), cudaLiteral(op.dtype, 0));
  forWindows(op, at, kMaxUnrolled, [&](const CudaIndices &window, const Pair &) {
    m.text.line("{} = {} + {};", sum, sum, m.emit(op.data.operands[0], window));
  });
  return sum;
}

/// Where `mine` loses against the tap `other`: the largest wins, the first of equals, and a NaN over all, the first NaN
/// over others.
std::string loses(const std::string &mine, const std::string &other, bool otherIsEarlier) {
  if (otherIsEarlier)
    return fmt::format("!({0} > {1} || ({0} != {0} && {1} == {1}))", mine, other);
  return fmt::format("!({0} >= {1} || {0} != {0})", mine, other);
}

std::string windowMaxGrad(CudaElements &m, OpId id, const CudaIndices &at) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].results[0]).shape));
  const ValueId x = op.data.operands[0], dy = op.data.operands[1];
  const std::string mine = m.emit(x, at), sum = m.variable(op.dtype, op.name(), cudaLiteral(op.dtype, 0));
  const int64_t maxUnrolled = op.taps() * op.taps() <= kMaxUnrolledPairs ? op.taps() : 0;
  forWindows(op, at, maxUnrolled, [&](const CudaIndices &window, const Pair &tap) {
    m.block("", [&] {
      const std::string wins = m.variable(DType::Bool, "wins", "true");
      forTaps(m, op.win.kernel, maxUnrolled, [&](const Pair &other) {
        CudaCondition present;
        const CudaIndices place = tapAt(op, window, other, present);
        auto compare = [&](bool earlier) {
          m.when(present.text(), [&] {
            m.text.line("if ({})", loses(mine, m.emit(x, place), earlier));
            m.text.line("  {} = false;", wins);
          });
        };
        // Which tap comes first is known where both are, else it is asked.
        const CudaIndex number = m.math.add(m.math.mul(tap[0], op.win.kernel[1]), tap[1]);
        const CudaIndex otherNumber = m.math.add(m.math.mul(other[0], op.win.kernel[1]), other[1]);
        const CudaIndex ahead = m.math.add(number, m.math.mul(otherNumber, -1));
        if (ahead.isConstant()) {
          if (ahead.constant != 0)
            compare(ahead.constant > 0);
          return;
        }
        m.when(fmt::format("{} < {}", m.math.text(otherNumber), m.math.text(number)), [&] { compare(true); });
        m.when(fmt::format("{} > {}", m.math.text(otherNumber), m.math.text(number)),
               [&] { compare(false); });
      });
      m.when(wins, [&] { m.text.line("{} = {} + {};", sum, sum, m.emit(dy, window)); });
    });
  });
  return sum;
}

} // namespace

Window cudaWindowOf(const Function &fn, OpId op) {
  const OpData &data = fn[op];
  const Dict attrs = withDefaults(*data.def, data.attrs);
  const Rule<Window> win =
      slidingWindow(attrs, planeOf(fn.type(data.results[0]).shape), pairOf(attrs.ints("window")));
  CHECK(win, "{}", win.error());
  return *win;
}

std::string cudaWindowWinner(CudaElements &m, OpId id, const CudaIndices &window) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].results[0]).shape));
  const std::string best =
      m.variable(op.dtype, "best", cudaLiteral(op.dtype, -std::numeric_limits<double>::infinity()));
  const std::string winner = m.variable(DType::I32, "winner", "2147483647");
  forTaps(m, op.win.kernel, kMaxUnrolled, [&](const Pair &tap) {
    CudaCondition inside;
    const CudaIndices place = tapAt(op, window, tap, inside);
    m.when(inside.text(), [&] {
      const CudaIndex number = m.math.add(m.math.mul(tap[0], op.win.kernel[1]), tap[1]);
      m.text.line("argmax_take({}, {}, {}, {});", m.emit(op.data.operands[0], place), m.math.text(number),
                  best, winner);
    });
  });
  return winner;
}

std::string cudaWindowGradient(CudaElements &m, OpId id, const CudaIndices &at, std::string_view winners) {
  WindowOp op(m, id, planeOf(m.fn.type(m.fn[id].results[0]).shape));
  const Shape &windows = m.fn.type(op.data.operands[1]).shape;
  const std::string sum = m.variable(op.dtype, op.name(), cudaLiteral(op.dtype, 0));
  forWindows(op, at, kMaxUnrolled, [&](const CudaIndices &window, const Pair &tap) {
    const CudaIndex number = m.math.add(m.math.mul(tap[0], op.win.kernel[1]), tap[1]);
    m.when(fmt::format("{}[{}] == {}", winners, m.math.text(m.math.linear(windows, window)),
                       m.math.text(number)),
           [&] { m.text.line("{} = {} + {};", sum, sum, m.emit(op.data.operands[1], window)); });
  });
  return sum;
}

std::span<const CudaElementRule> cudaWindowRules() {
  static constexpr CudaElementRule rules[] = {{"window_max", windowMax},
                                              {"window_sum", windowSum},
                                              {"window_max_grad", windowMaxGrad},
                                              {"window_sum_grad", windowSumGrad}};
  return rules;
}

} // namespace gradc
