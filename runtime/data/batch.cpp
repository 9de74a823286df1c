#include "runtime/data/batch.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "support/check.h"
#include "support/lanes.h"
#include "support/vectors.h"

namespace gradc {
namespace {

constexpr double kSecondsPerByte = 0.06e-9; // of the batch, from L3
constexpr int64_t kAhead = 2;               // examples

/// pixel / 255, to the last bit, without division: the first product is exact, and the second is so much smaller that its
/// rounding does not show.
constexpr float pixelValue(uint8_t pixel) {
  constexpr float kRest = 1.0 / 255 - 1.0 / 256;
  const auto value = static_cast<float>(pixel);
  return value * (1.0f / 256) + value * kRest;
}

constexpr bool isDivision() {
  for (int pixel = 0; pixel < 256; ++pixel)
    if (pixelValue(static_cast<uint8_t>(pixel)) != static_cast<float>(pixel) / 255.0f)
      return false;
  return true;
}
static_assert(isDivision());

/// In blocks, which the compiler makes vectors of.
GRADC_WIDEST_VECTORS void convertPixels(const uint8_t *__restrict from, float *__restrict to, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      to[i + lane] = pixelValue(from[i + lane]);
  for (; i < count; ++i)
    to[i] = pixelValue(from[i]);
}

bool isPixels(const BatchInput &input) {
  return input.field->dtype == DType::U8 && input.dtype == DType::F32;
}

/// Examples lie anywhere in memory; the processor foresees the lines of one, but not where the next begins.
void prefetchExample(const BatchInput &input, int64_t example) {
  constexpr int64_t kLine = 64, kMost = 16 << 10;
  const std::byte *from = input.field->example(example);
  for (int64_t at = 0; at < std::min(input.field->exampleBytes(), kMost); at += kLine)
    __builtin_prefetch(from + at, 0, 2);
}

void copyExample(const BatchInput &input, int64_t example, int64_t row) {
  const int64_t elements = input.field->exampleElements();
  const std::byte *from = input.field->example(example);
  if (!isPixels(input)) {
    std::memcpy(static_cast<std::byte *>(input.target) + row * input.field->exampleBytes(), from,
                input.field->exampleBytes());
    return;
  }
  convertPixels(reinterpret_cast<const uint8_t *>(from), static_cast<float *>(input.target) + row * elements,
                elements);
}

/// A block of 16 examples, element by element; those that are missing from the last block are zero.
template <class From, class To, class Convert>
void interleave(const BatchInput &input, std::span<const int64_t> examples, int64_t row, Convert convert) {
  const int64_t elements = input.field->exampleElements(), count = static_cast<int64_t>(examples.size());
  const From *from[kLanes];
  for (int64_t lane = 0; lane < kLanes; ++lane) // a missing one reads any
    from[lane] = reinterpret_cast<const From *>(input.field->example(examples[lane < count ? lane : 0]));
  To *to = static_cast<To *>(input.target) + row * elements;
  for (int64_t i = 0; i < elements; ++i)
    for (int64_t lane = 0; lane < kLanes; ++lane)
      to[i * kLanes + lane] = convert(from[lane][i]);
  if (count < kLanes)
    for (int64_t i = 0; i < elements; ++i)
      std::fill_n(to + i * kLanes + count, kLanes - count, To{});
}

void copyBlock(const BatchInput &input, std::span<const int64_t> examples, int64_t row) {
  if (isPixels(input))
    interleave<uint8_t, float>(input, examples, row, pixelValue);
  else if (dtypeSize(input.field->dtype) == 4)
    interleave<uint32_t, uint32_t>(input, examples, row, [](uint32_t bits) { return bits; });
  else
    interleave<uint64_t, uint64_t>(input, examples, row, [](uint64_t bits) { return bits; });
}

} // namespace

void gatherBatch(ThreadPool &pool, std::span<const BatchInput> inputs, std::span<const int64_t> examples,
                 bool alone) {
  const int64_t count = static_cast<int64_t>(examples.size());
  int64_t bytes = 0, group = 4;
  for (const BatchInput &input : inputs) {
    bytes += count * input.field->exampleElements() * 4;
    if (input.lanes)
      group = kLanes;
  }
  auto gather = [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * group, last = std::min(end * group, count);
    for (const BatchInput &input : inputs)
      for (int64_t row = first; row < last; row += input.lanes ? kLanes : 1)
        if (input.lanes)
          copyBlock(input, examples.subspan(row, std::min(kLanes, count - row)), row);
        else {
          if (row + kAhead < last)
            prefetchExample(input, examples[row + kAhead]);
          copyExample(input, examples[row], row);
        }
  };
  const int64_t groups = (count + group - 1) / group;
  if (alone)
    return gather(0, groups, 0);
  pool.parallelFor(groups, static_cast<double>(bytes) * kSecondsPerByte, gather);
}

Status checkBatchPort(const gradc_port &port, const Field &field) {
  int64_t elements = 1;
  for (int32_t i = 1; i < port.rank; ++i)
    elements *= port.shape[i];
  const DType dtype = static_cast<DType>(port.dtype);
  const bool pixels = field.dtype == DType::U8 && dtype == DType::F32;
  const std::string_view layout = port.layout;
  if (elements != field.exampleElements() || (dtype != field.dtype && !pixels) ||
      (layout != "" && (layout != kLayoutN16 || dtypeSize(dtype) < 4)))
    return {ExitCode::Internal, fmt::format("argument '{}' ({}, layout '{}') cannot be fed from '{}'",
                                            port.name, dtypeName(dtype), layout, field.name)};
  return okStatus();
}

} // namespace gradc
