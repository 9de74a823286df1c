// Random examples for benchmarks: pixels uniform in 0..255, other integers uniform over the classes. A function of the
// seed, the input's name and the element alone.
#include <algorithm>
#include <cstring>

#include "runtime/data/dataset.h"
#include "support/philox.h"

namespace gradc {
namespace {

constexpr int64_t kDefaultExamples = 1024;

/// One evaluation of Philox gives 16 pixels, low bytes first.
void fillPixels(std::span<uint8_t> pixels, uint64_t seed, uint64_t stream) {
  constexpr size_t kGroup = sizeof(PhiloxCounter);
  for (size_t first = 0; first < pixels.size(); first += kGroup) {
    const PhiloxCounter bits = randomBits(seed, stream, 0, first / kGroup);
    std::memcpy(&pixels[first], bits.data(), std::min(kGroup, pixels.size() - first));
  }
}

void fillLabels(std::span<int32_t> labels, int64_t classes, uint64_t seed, uint64_t stream) {
  const uint64_t range = static_cast<uint64_t>(classes > 0 ? classes : 2);
  for (size_t i = 0; i < labels.size(); ++i)
    labels[i] = static_cast<int32_t>(randomBits(seed, stream, 0, i)[0] % range);
}

} // namespace

StatusOr<RawData> makeSynthetic(const DataSource &source, std::span<const InputSpec> inputs, uint64_t seed) {
  RawData raw{.examples = source.examples > 0 ? source.examples : kDefaultExamples, .fields = {}};
  for (const InputSpec &input : inputs) {
    const bool bytes = input.dtype == "f32" || (input.dtype == "u8" && input.classes == 0);
    Field field{input.field.empty() ? input.name : input.field,
                "synthetic data",
                bytes ? DType::U8 : DType::I32,
                input.shape,
                {}};
    StatusOr<Buffer> data = Buffer::allocate(raw.examples * field.exampleBytes());
    if (!data)
      return std::unexpected(data.error());
    field.data = std::move(*data);
    const uint64_t stream = streamHash("synthetic." + field.name);
    const size_t elements = static_cast<size_t>(raw.examples * field.exampleElements());
    if (field.dtype == DType::U8)
      fillPixels({field.data.as<uint8_t>(), elements}, seed, stream);
    else
      fillLabels({field.data.as<int32_t>(), elements}, input.classes, seed, stream);
    raw.fields.push_back(std::move(field));
  }
  return raw;
}

} // namespace gradc
