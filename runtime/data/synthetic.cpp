// Random examples for benchmarks: pixels uniform in 0..255, labels uniform over the classes. A function of the
// seed, the input's name and the element alone.
#include <cstring>

#include "runtime/data/dataset.h"
#include "support/philox.h"

namespace gradc {
namespace {

constexpr int64_t kDefaultExamples = 1024;

void fillRandom(Field &field, int64_t elements, int64_t classes, uint64_t seed) {
  const uint64_t stream = streamHash("synthetic." + field.name);
  for (int64_t i = 0; i < elements; ++i) {
    const uint32_t bits = randomBits(seed, stream, 0, static_cast<uint64_t>(i))[0];
    if (field.dtype == DType::U8)
      field.data.as<uint8_t>()[i] = static_cast<uint8_t>(bits >> 24);
    else
      field.data.as<int32_t>()[i] =
          static_cast<int32_t>(bits % static_cast<uint64_t>(classes > 0 ? classes : 2));
  }
}

} // namespace

StatusOr<RawData> makeSynthetic(const DataSource &source, std::span<const InputSpec> inputs, uint64_t seed) {
  RawData raw{.examples = source.examples > 0 ? source.examples : kDefaultExamples, .fields = {}};
  for (const InputSpec &input : inputs) {
    Field field{input.field.empty() ? input.name : input.field,
                "synthetic data",
                input.dtype == "f32" ? DType::U8 : DType::I32,
                input.shape,
                {}};
    StatusOr<Buffer> data = Buffer::allocate(raw.examples * field.exampleBytes());
    if (!data)
      return std::unexpected(data.error());
    field.data = std::move(*data);
    fillRandom(field, raw.examples * field.exampleElements(), input.classes, seed);
    raw.fields.push_back(std::move(field));
  }
  return raw;
}

} // namespace gradc
