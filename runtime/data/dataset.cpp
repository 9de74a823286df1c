#include "runtime/data/dataset.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "support/hash.h"
#include "support/philox.h"

namespace gradc {
namespace {

/// Equal but for dimensions of 1 ([28,28] feeds [1,28,28]), or flattened.
bool sameExamples(const std::vector<int64_t> &field, const std::vector<int64_t> &input) {
  const auto squeezed = [](std::vector<int64_t> shape) {
    std::erase(shape, 1);
    return shape;
  };
  const auto count = [](const std::vector<int64_t> &shape) {
    return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
  };
  return squeezed(field) == squeezed(input) || (input.size() == 1 && count(field) == count(input));
}

template <class From, class To> void convertElements(const std::byte *from, std::byte *to, int64_t count) {
  const From *source = reinterpret_cast<const From *>(from);
  To *target = reinterpret_cast<To *>(to);
  for (int64_t i = 0; i < count; ++i)
    target[i] = static_cast<To>(source[i]);
}

using Converter = void (*)(const std::byte *, std::byte *, int64_t);

/// Calls f with a pointer to integers of the type, or returns nothing for another type.
template <class F> auto withIntegers(DType dtype, const std::byte *data, F &&f) {
  using Result = std::optional<decltype(f(reinterpret_cast<const int32_t *>(data)))>;
  switch (dtype) {
  case DType::U8: return Result(f(reinterpret_cast<const uint8_t *>(data)));
  case DType::I8: return Result(f(reinterpret_cast<const int8_t *>(data)));
  case DType::I32: return Result(f(reinterpret_cast<const int32_t *>(data)));
  case DType::I64: return Result(f(reinterpret_cast<const int64_t *>(data)));
  default: return Result();
  }
}

bool isInteger(DType dtype) {
  return withIntegers(dtype, nullptr, [](auto *) { return true; }).has_value();
}

/// Conversions that keep every value (integers are range-checked before they are narrowed).
Converter converter(DType from, DType to) {
  if (to == DType::F32)
    return from == DType::F64   ? convertElements<double, float>
           : from == DType::I32 ? convertElements<int32_t, float>
                                : nullptr;
  const auto between = [&](auto *source) {
    using From = std::remove_cvref_t<decltype(*source)>;
    return withIntegers(to, nullptr,
                        [](auto *target) -> Converter {
                          return convertElements<From, std::remove_cvref_t<decltype(*target)>>;
                        })
        .value_or(nullptr);
  };
  return from == to ? nullptr : withIntegers(from, nullptr, between).value_or(nullptr);
}

/// Labels are below the number of classes, others fit the input's type.
Status checkIntegers(const Field &field, int64_t examples, const InputSpec &input, DType dtype) {
  const int64_t perExample = field.exampleElements();
  int64_t low = 0, high = input.classes - 1;
  if (input.classes == 0)
    withIntegers(dtype, nullptr, [&](auto *values) {
      using Limits = std::numeric_limits<std::remove_cvref_t<decltype(*values)>>;
      low = Limits::min();
      high = static_cast<int64_t>(Limits::max());
      return true;
    });
  const auto check = [&](auto *values) {
    for (int64_t i = 0; i < examples * perExample; ++i)
      if (const int64_t value = values[i]; value < low || value > high)
        return ioError(fmt::format("{}: example {}: {} {} is not in {}..{}", field.source, i / perExample,
                                   input.classes > 0 ? "label" : "value", value, low, high));
    return okStatus();
  };
  return withIntegers(field.dtype, field.data.data(), check).value_or(okStatus());
}

StatusOr<Field> feed(Field field, int64_t examples, const InputSpec &input) {
  if (!sameExamples(field.shape, input.shape))
    return ioFailure(fmt::format("{}: an example of '{}' has shape [{}], but input '{}' has [{}]",
                                 field.source, field.name, fmt::join(field.shape, ","), input.name,
                                 fmt::join(input.shape, ",")));
  field.shape = input.shape;
  const std::optional<DType> dtype = parseDType(input.dtype);
  const Converter convert = dtype ? converter(field.dtype, *dtype) : nullptr;
  const bool pixels = field.dtype == DType::U8 && dtype == DType::F32;
  if (!dtype || (field.dtype != *dtype && !pixels && !convert))
    return ioFailure(fmt::format("{}: '{}' has element type {}, but input '{}' has {}", field.source,
                                 field.name, dtypeName(field.dtype), input.name, input.dtype));
  if (isInteger(*dtype))
    if (Status status = checkIntegers(field, examples, input, *dtype); !status.ok())
      return std::unexpected(status);
  if (!convert)
    return field;

  StatusOr<Buffer> data =
      Buffer::allocate(examples * field.exampleElements() * static_cast<int64_t>(dtypeSize(*dtype)));
  if (!data)
    return std::unexpected(data.error());
  convert(field.data.data(), data->data(), examples * field.exampleElements());
  field.data = std::move(*data);
  field.dtype = *dtype;
  return field;
}

} // namespace

int64_t Field::exampleElements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

uint64_t Dataset::fingerprint() const {
  Hasher hasher;
  hasher.add(examples);
  for (const Field &field : fields) {
    hasher.add(field.dtype);
    hasher.add(std::string_view(field.data.as<char>(), field.data.size()));
  }
  return hasher.digest64();
}

StatusOr<Dataset> feedInputs(std::vector<Field> fields, int64_t examples, std::span<const InputSpec> inputs) {
  Dataset dataset{.examples = examples, .fields = {}};
  for (const InputSpec &input : inputs) {
    const std::string &wanted = input.field.empty() ? input.name : input.field;
    const auto field = std::ranges::find(fields, wanted, &Field::name);
    if (field == fields.end()) {
      std::vector<std::string> have, want;
      for (const Field &f : fields)
        have.push_back(f.name);
      for (const InputSpec &i : inputs)
        want.push_back(i.name);
      return ioFailure(
          fmt::format("nothing feeds input '{}': the data has the fields {}, the model has the inputs {}",
                      input.name, fmt::join(have, ", "), fmt::join(want, ", ")));
    }
    // Two inputs may read one field (an autoencoder's input and target).
    Field copy{field->name, field->source, field->dtype, field->shape, {}};
    const bool last =
        std::ranges::none_of(inputs.subspan(&input - inputs.data() + 1), [&](const InputSpec &i) {
          return (i.field.empty() ? i.name : i.field) == wanted;
        });
    if (last) {
      copy.data = std::move(field->data);
    } else {
      StatusOr<Buffer> data = Buffer::allocate(field->data.size());
      if (!data)
        return std::unexpected(data.error());
      std::memcpy(data->data(), field->data.data(), field->data.size());
      copy.data = std::move(*data);
    }
    StatusOr<Field> fed = feed(std::move(copy), examples, input);
    if (!fed)
      return std::unexpected(fed.error());
    dataset.fields.push_back(std::move(*fed));
  }
  return dataset;
}

std::string resolvePath(const std::string &folder, const std::string &file) {
  return folder.empty() || file.starts_with('/') ? file : folder + "/" + file;
}

StatusOr<Dataset> loadDataset(const DataSource &source, std::span<const InputSpec> inputs,
                              const std::string &folder, uint64_t seed) {
  StatusOr<RawData> raw = ioFailure("the model file names no data here");
  switch (source.kind) {
  case DataSource::Kind::None: break;
  case DataSource::Kind::Idx: raw = loadIdx(source, folder); break;
  case DataSource::Kind::Npy:
  case DataSource::Kind::Npz: raw = loadArrays(source, folder); break;
  case DataSource::Kind::Synthetic: raw = makeSynthetic(source, inputs, seed); break;
  case DataSource::Kind::Csv: raw = ioFailure("data of type csv is not supported yet"); break;
  case DataSource::Kind::Cifar10: raw = ioFailure("data of type cifar10 is not supported yet"); break;
  case DataSource::Kind::Images: raw = ioFailure("data of type images is not supported yet"); break;
  }
  if (!raw)
    return std::unexpected(raw.error());
  if (raw->examples < 1)
    return ioFailure(
        fmt::format("{}: no examples", raw->fields.empty() ? "data" : raw->fields.front().source));
  return feedInputs(std::move(raw->fields), raw->examples, inputs);
}

std::vector<int64_t> epochOrder(int64_t count, uint64_t seed, int64_t epoch, bool shuffle) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle)
    return order;
  // Fisher-Yates. 64 random bits a draw: the bias of the modulo is below count / 2^64.
  constexpr uint64_t kStream = streamHash("shuffle");
  for (int64_t i = count - 1; i > 0; --i) {
    const PhiloxCounter bits =
        randomBits(seed, kStream, static_cast<uint64_t>(epoch), static_cast<uint64_t>(i));
    const uint64_t draw = uint64_t{bits[0]} << 32 | bits[1];
    std::swap(order[i], order[static_cast<int64_t>(draw % static_cast<uint64_t>(i + 1))]);
  }
  return order;
}

} // namespace gradc
