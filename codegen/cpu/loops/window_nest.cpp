#include "codegen/cpu/loops/window_nest.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kPixel = kVectorLanes * 4;

} // namespace

/// Pixels of a row of the gradient, and of the padding that windows reach.
int64_t WindowNest::lineWidth() const {
  return std::max(win_.padLow[1] + win_.input[1], (win_.output[1] - 1) * win_.stride[1] + win_.kernel[1]);
}

int64_t WindowNest::scratchBytes() const { return apart_ ? 0 : win_.kernel[0] * lineWidth() * kPixel; }

/// Whether windows reach into the padding.
bool WindowNest::isPadded() const {
  auto leaves = [&](int dim) {
    return win_.padLow[dim] > 0 ||
           win_.at(dim, win_.output[dim] - 1, win_.kernel[dim] - 1) >= win_.input[dim];
  };
  return leaves(0) || leaves(1);
}

/// Whether all taps of the window are pixels.
llvm::Value *WindowNest::isInside(Emit &e, llvm::Value *windowRow, llvm::Value *windowColumn) const {
  auto inside = [&](int dim, llvm::Value *window) {
    const int64_t first = ceilDiv(win_.padLow[dim], win_.stride[dim]);
    const int64_t end = (win_.input[dim] + win_.padLow[dim] - win_.kernel[dim]) / win_.stride[dim] + 1;
    return e.b.CreateICmpULT(e.add(window, e.i64(-first)), e.i64(std::max<int64_t>(end - first, 0)));
  };
  return e.b.CreateAnd(inside(0, windowRow), inside(1, windowColumn));
}

bool WindowNest::inLanes() const { return !fn_->type(gradient()).layout.empty(); }

int64_t WindowNest::planes() const {
  const Shape &shape = fn_->type(gradient()).shape;
  return (inLanes() ? laneBlocks(shape[0]) : shape[0]) * shape[1];
}

int64_t WindowNest::items() const { return apart_ ? planes() * win_.output[0] : planes(); }

double WindowNest::work(double cycles) const {
  constexpr double kCyclesPerSecond = 3e9, kCyclesPerTap = 3;
  const double lanes = inLanes() ? 1 : kLanes;
  const auto vectors = static_cast<double>(win_.input[0] * win_.input[1]) / lanes;
  const auto taps =
      static_cast<double>(win_.output[0] * win_.output[1] * win_.kernel[0] * win_.kernel[1]) / lanes;
  return static_cast<double>(planes()) * (vectors * cycles + taps * kCyclesPerTap) / kCyclesPerSecond;
}

/// The elements of the gradient that a window holds, in the order of its taps.
std::vector<LaneIndex> WindowNest::taps(ElementEmitter &m, const LaneIndex &window) const {
  std::vector<LaneIndex> at;
  for (int64_t kh = 0; kh < win_.kernel[0]; ++kh)
    for (int64_t kw = 0; kw < win_.kernel[1]; ++kw) {
      LaneIndex place = window;
      place.groups[2].at = m.math.add(m.math.mul(window.groups[2].at, win_.stride[0]), kh - win_.padLow[0]);
      place.groups[3].at = m.math.add(m.math.mul(window.groups[3].at, win_.stride[1]), kw - win_.padLow[1]);
      at.push_back(place);
    }
  return at;
}

/// What each tap gets of the window's gradient: the first of equals wins, and the first NaN over all. Of a window that
/// may leave the image, taps that do take no part.
Values WindowNest::shares(ElementEmitter &m, const LaneIndex &window, bool mayLeave) const {
  llvm::IRBuilder<> &b = m.e.b;
  const OpData &op = (*fn_)[op_];
  std::vector<LaneIndex> at = taps(m, window);
  auto exists = [&](LaneIndex &tap) -> llvm::Value * {
    Condition inside;
    if (mayLeave)
      for (int dim : {0, 1})
        inside.requireBelow(m.math, tap.groups[2 + dim].at, win_.input[dim]);
    return inside.always() ? nullptr : inside.vector(m.e);
  };
  llvm::Value *any = exists(at[0]); // of the taps so far is there; null: known to be
  llvm::Value *best = m.emit(op.operands[0], at[0]), *share = m.emit(op.operands[1], window);
  Values takesOver(at.size());
  for (size_t t = 1; t < at.size(); ++t) {
    llvm::Value *isThere = exists(at[t]);
    llvm::Value *value = m.emit(op.operands[0], at[t]);
    takesOver[t] = b.CreateAnd(b.CreateFCmpUGT(value, best), b.CreateFCmpORD(best, best));
    if (any) {
      takesOver[t] = b.CreateAnd(isThere, b.CreateOr(takesOver[t], b.CreateNot(any)));
      any = b.CreateOr(any, isThere);
    }
    best = b.CreateSelect(takesOver[t], value, best);
  }
  llvm::Value *zero = m.e.constant(fn_->type(op.results[0]).dtype, 0), *last = nullptr;
  Values gradients(at.size());
  for (size_t t = at.size(); t-- > 0;) {
    llvm::Value *wins = t == 0 ? last : last ? b.CreateAnd(takesOver[t], last) : takesOver[t];
    gradients[t] = wins ? b.CreateSelect(wins, share, zero) : share;
    if (t > 0) {
      llvm::Value *otherwise = b.CreateNot(takesOver[t]);
      last = last ? b.CreateAnd(last, otherwise) : otherwise;
    }
  }
  return gradients;
}

void WindowNest::emit(ElementEmitter &m, llvm::Value *low, llvm::Value *high,
                      const Finished &finished) const {
  Emit &e = m.e;
  const Shape &shape = fn_->type(gradient()).shape;
  const int64_t channels = shape[1];
  const int64_t rows = apart_ ? win_.output[0] : 1;
  e.loop(low, high, 1, [&](llvm::Value *item) {
    ElementEmitter::Scope scope(m);
    llvm::Value *rest = e.div(item, rows), *image = e.div(rest, channels);
    LaneIndex plane = LaneIndex::of(
        {inLanes() ? m.math.consecutive(e.mul(image, kLanes), kLanes) : m.math.uniform(image),
         m.math.uniform(e.mod(rest, channels)), m.math.uniform(e.mod(item, rows)), m.math.constant(0)});
    if (inLanes() && shape[0] % kLanes != 0)
      plane.mask = m.math.lessThan(plane.groups[0].at, shape[0]);
    if (!apart_)
      return this->plane(m, plane, finished);
    auto windows = [&](LaneValue column, llvm::Value *mask) {
      ElementEmitter::Scope inner(m);
      LaneIndex window = plane;
      window.groups[3].at = column;
      window.mask = mask;
      finished(taps(m, window), shares(m, window));
    };
    if (inLanes())
      return e.count(win_.output[1],
                     [&](llvm::Value *column) { windows(m.math.uniform(column), plane.mask); });
    const int64_t full = win_.output[1] / kLanes, left = win_.output[1] % kLanes;
    if (full)
      e.count(full, [&](llvm::Value *i) { windows(m.math.consecutive(e.mul(i, kLanes), kLanes), nullptr); });
    if (left)
      windows(m.math.consecutive(e.i64(full * kLanes), kLanes), e.laneMask(static_cast<int>(left)));
  });
}

/// The rows of the gradient that a row of windows touches lie in a ring of as many rows as a window has. Rows and
/// columns of the ring count from the padding, whose own stay zero.
llvm::Value *WindowNest::ringRow(Emit &e, llvm::Value *row) const {
  return e.offset(e.scratch(), e.mul(e.mod(row, win_.kernel[0]), lineWidth() * kPixel));
}

void WindowNest::plane(ElementEmitter &m, const LaneIndex &plane, const Finished &finished) const {
  Emit &e = m.e;
  const llvm::Align align(4);
  llvm::Type *type = e.vectorType(DType::F32);
  e.count(scratchBytes() / kPixel, [&](llvm::Value *i) {
    e.b.CreateAlignedStore(llvm::Constant::getNullValue(type), e.offset(e.scratch(), e.mul(i, kPixel)),
                           align);
  });
  e.count(win_.output[0], [&](llvm::Value *windowRow) {
    llvm::Value *first = e.mul(windowRow, win_.stride[0]);
    Values rows;
    for (int64_t kh = 0; kh < win_.kernel[0]; ++kh)
      rows.push_back(ringRow(e, e.add(first, e.i64(kh))));
    e.count(win_.output[1], [&](llvm::Value *windowColumn) {
      ElementEmitter::Scope scope(m);
      LaneIndex window = plane;
      window.groups[2].at = m.math.uniform(windowRow);
      window.groups[3].at = m.math.uniform(windowColumn);
      auto scoped = [&](bool mayLeave) {
        ElementEmitter::Scope branch(m);
        return shares(m, window, mayLeave);
      };
      const Values gradients = !isPadded() ? scoped(false)
                                           : emitChoice(
                                                 e, isInside(e, windowRow, windowColumn),
                                                 [&] { return scoped(false); }, [&] { return scoped(true); });
      for (int64_t t = 0; t < std::ssize(gradients); ++t) {
        llvm::Value *column = e.add(e.mul(windowColumn, win_.stride[1]), e.i64(t % win_.kernel[1]));
        llvm::Value *sum = e.offset(rows[t / win_.kernel[1]], e.mul(column, kPixel));
        e.b.CreateAlignedStore(e.b.CreateFAdd(e.b.CreateAlignedLoad(type, sum, align), gradients[t]), sum,
                               align);
      }
    });
    finishRows(m, plane, first, e.add(first, e.i64(win_.stride[0])), finished);
  });
  finishRows(m, plane, e.i64(win_.output[0] * win_.stride[0]), e.i64(win_.padLow[0] + win_.input[0]),
             finished);
}

/// No window adds to these rows any more; their places in the ring are for others, which begin with zeros.
void WindowNest::finishRows(ElementEmitter &m, const LaneIndex &plane, llvm::Value *low, llvm::Value *high,
                            const Finished &finished) const {
  Emit &e = m.e;
  const llvm::Align align(4);
  llvm::Type *type = e.vectorType(DType::F32);
  if (isPadded()) {
    low = e.atLeast(low, win_.padLow[0]);
    high = e.atMost(high, win_.padLow[0] + win_.input[0]);
  }
  e.loop(low, high, 1, [&](llvm::Value *line) {
    llvm::Value *sums = e.offset(ringRow(e, line), win_.padLow[1] * kPixel);
    llvm::Value *row = e.add(line, e.i64(-win_.padLow[0]));
    e.count(win_.input[1], [&](llvm::Value *column) {
      ElementEmitter::Scope scope(m);
      LaneIndex at = plane;
      at.groups[2].at = m.math.uniform(row);
      at.groups[3].at = m.math.uniform(column);
      llvm::Value *sum = e.offset(sums, e.mul(column, kPixel));
      llvm::Value *gradient = e.b.CreateAlignedLoad(type, sum, align);
      e.b.CreateAlignedStore(llvm::Constant::getNullValue(type), sum, align);
      finished({at}, {gradient});
    });
  });
}

} // namespace gradc
