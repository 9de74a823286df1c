#include "codegen/cpu/contract/conv_planes.h"

#include <algorithm>

#include "codegen/cpu/lane_index.h"
#include "codegen/cpu/lanes_apart.h"
#include "support/lanes.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4, kVector = kVectorLanes * kFloat;

/// Along one dimension: tap t reads pixels first[phase[t]] + (o + shift[t])·stride for gradient position o.
struct Phases {
  std::vector<int64_t> first, phase, shift;
  int64_t spread = 0; // the largest shift; the smallest is 0
};

Phases phasesOf(const ConvWeightAxis &axis) {
  auto floorDivide = [](int64_t value, int64_t divisor) {
    return value >= 0 ? value / divisor : -ceilDiv(-value, divisor);
  };
  Phases phases;
  std::vector<int64_t> quotients, remainders;
  for (int64_t tap = 0; tap < axis.taps; ++tap) {
    const int64_t start = tap * axis.dilation - axis.padding; // what gradient position 0 meets
    quotients.push_back(floorDivide(start, axis.stride));
    remainders.push_back(start - quotients.back() * axis.stride);
  }
  const auto [low, high] = std::ranges::minmax(quotients);
  phases.spread = high - low;
  std::vector<int64_t> used = remainders;
  std::ranges::sort(used);
  used.erase(std::ranges::unique(used).begin(), used.end());
  for (int64_t remainder : used)
    phases.first.push_back(low * axis.stride + remainder);
  for (size_t tap = 0; tap < quotients.size(); ++tap) {
    phases.phase.push_back(std::ranges::find(used, remainders[tap]) - used.begin());
    phases.shift.push_back(quotients[tap] - low);
  }
  return phases;
}

/// An odd number of cache lines, so that channels do not compete for sets of the cache.
int64_t oddLines(int64_t bytes) { return (ceilDiv(bytes, kCacheLine) | 1) * kCacheLine; }

} // namespace

/// Behind the last image is room for what its last line's last vector and the zeros write.
int64_t PlaneCopy::phaseBytes() const { return oddLines(images * imageBytes + 2 * kVector); }

ConvPlanes convPlanes(const ConvWeightAxis &height, const ConvWeightAxis &width, const Shape &x,
                      const Shape &dy) {
  const Phases rows = phasesOf(height), columns = phasesOf(width);
  const int64_t pitch = width.gradSize + columns.spread, lines = height.gradSize + rows.spread;
  ConvPlanes planes;
  planes.grad = {.images = dy[0],
                 .channels = dy[1],
                 .rows = dy[2],
                 .columns = dy[3],
                 .firstRows = {0},
                 .firstColumns = {0},
                 .lines = dy[2],
                 .pitch = pitch};
  planes.image = {.images = x[0],
                  .channels = x[1],
                  .rows = x[2],
                  .columns = x[3],
                  .rowStride = height.stride,
                  .columnStride = width.stride,
                  .firstRows = rows.first,
                  .firstColumns = columns.first,
                  .lines = lines,
                  .pitch = pitch};
  if (height.taps * width.taps == 1) {
    const int64_t pixels = lines * pitch;
    planes.grad.imageBytes = planes.image.imageBytes = pixels * kFloat;
    planes.vectors = ceilDiv(x[0] * pixels, kLanes);
  } else {
    planes.blocks = x[0];
    planes.vectors = ceilDiv((height.gradSize - 1) * pitch + width.gradSize, kLanes);
    planes.grad.imageBytes = planes.vectors * kVector;
    planes.image.imageBytes = oddLines(lines * pitch * kFloat);
  }
  for (int64_t t = 0; t < height.taps; ++t)
    for (int64_t u = 0; u < width.taps; ++u) {
      const int64_t phase = rows.phase[t] * std::ssize(columns.first) + columns.phase[u];
      planes.tapOffsets.push_back(phase * planes.image.phaseBytes() +
                                  (rows.shift[t] * pitch + columns.shift[u]) * kFloat);
    }
  return planes;
}

namespace {

class PlaneCopier {
public:
  PlaneCopier(Emit &e, const PlaneCopy &copy) : e(e), math_(e), copy_(copy) {}

  void channel(llvm::Value *source, llvm::Value *target) {
    const int64_t plane = copy_.rows * copy_.columns * kFloat;
    for (int64_t row : copy_.firstRows)
      for (int64_t column : copy_.firstColumns) {
        // In order: an image writes beyond its end, into the next one.
        e.count(copy_.images, [&](llvm::Value *image) {
          phase(e.offset(source, e.mul(image, copy_.channels * plane)),
                e.offset(target, e.mul(image, copy_.imageBytes)), row, column);
        });
        target = e.offset(target, copy_.phaseBytes());
      }
  }

private:
  void phase(llvm::Value *source, llvm::Value *target, int64_t firstRow, int64_t firstColumn) {
    const int64_t perLine = ceilDiv(copy_.pitch, kLanes), written = copy_.lines * copy_.pitch * kFloat;
    e.count(copy_.lines, [&](llvm::Value *line) {
      llvm::Value *row = e.add(e.mul(line, copy_.rowStride), e.i64(firstRow));
      llvm::Value *to = e.offset(target, e.mul(line, copy_.pitch * kFloat));
      emitIf(
          e, e.b.CreateICmpULT(row, e.i64(copy_.rows)),
          [&] {
            llvm::Value *from = e.offset(source, e.mul(row, copy_.columns * kFloat));
            e.count(perLine, [&](llvm::Value *vector) {
              llvm::Value *first = e.add(e.mul(vector, kLanes * copy_.columnStride), e.i64(firstColumn));
              e.b.CreateAlignedStore(pixels(from, first, firstColumn), e.offset(to, e.mul(vector, kVector)),
                                     llvm::Align(kFloat));
            });
          },
          [&] { e.clear(to, perLine, kFloat); });
    });
    e.clear(e.offset(target, written), ceilDiv(copy_.imageBytes - written, kVector) + 1, kFloat);
  }

  /// Columns first, first + stride, … of a row; zero where there are none.
  llvm::Value *pixels(llvm::Value *row, llvm::Value *first, int64_t firstColumn) {
    const int64_t stride = copy_.columnStride;
    const int64_t end = std::min(copy_.columns, firstColumn + (copy_.pitch - 1) * stride + 1);
    llvm::FixedVectorType *type = e.vectorType(DType::F32);
    llvm::Value *zero = llvm::Constant::getNullValue(type);
    const llvm::Align align(kFloat);
    if (stride > kMostApart) {
      llvm::Value *columns = math_.lanes({first, stride});
      llvm::Value *pointers = e.b.CreateGEP(e.b.getFloatTy(), row, columns);
      return e.b.CreateMaskedGather(type, pointers, align, math_.lessThan({first, stride}, end), zero);
    }
    return emitLanesApart(e, type, stride, kVectorLanes, [&](int64_t from) {
      const LaneValue columns = math_.consecutive(e.add(first, e.i64(from)));
      return e.b.CreateMaskedLoad(type, e.offset(row, e.mul(columns.base, kFloat)), align,
                                  math_.lessThan(columns, end), zero);
    });
  }

  Emit &e;
  LaneMath math_;
  const PlaneCopy &copy_;
};

} // namespace

void emitPlaneCopy(Emit &e, const PlaneCopy &copy, llvm::Value *source, llvm::Value *target) {
  PlaneCopier copier(e, copy);
  e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *channel) {
    copier.channel(e.offset(source, e.mul(channel, copy.rows * copy.columns * kFloat)),
                   e.offset(target, e.mul(channel, copy.channelBytes())));
  });
}

} // namespace gradc
