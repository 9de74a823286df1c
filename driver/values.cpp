#include "driver/values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "support/philox.h"

namespace gradc {
namespace {

/// Reads nested lists of numbers whose nesting follows the type's shape.
class LiteralParser {
public:
  LiteralParser(std::string_view text, const Type &type) : text_(text), tensor_(type) {}

  StatusOr<Tensor> parse() {
    skipSpace();
    bool one = tensor_.type().rank() == 0 || !text_.starts_with('[');
    bool good = one ? number() : list(0);
    skipSpace();
    if (!good || !text_.empty())
      return failure(ExitCode::Usage,
                     fmt::format("cannot read a literal of type {}: {}", toString(tensor_.type()),
                                 problem_.empty() ? "text after its end" : problem_));
    for (int64_t i = 1; one && i < tensor_.elements(); ++i)
      copyFirst(i);
    return std::move(tensor_);
  }

private:
  void skipSpace() { text_.remove_prefix(std::min(text_.find_first_not_of(" \n"), text_.size())); }
  bool fail(std::string problem) {
    problem_ = problem_.empty() ? std::move(problem) : problem_;
    return false;
  }
  bool accept(char c) {
    skipSpace();
    if (!text_.starts_with(c))
      return false;
    text_.remove_prefix(1);
    skipSpace();
    return true;
  }

  bool list(int axis) {
    int64_t size = tensor_.type().shape[axis];
    if (!accept('['))
      return fail(fmt::format("expected '[' for dimension {}", axis));
    for (int64_t i = 0; i < size; ++i) {
      if (i > 0 && !accept(','))
        return fail(fmt::format("dimension {} has {} elements, but got {}", axis, size, i));
      if (!(axis + 1 == tensor_.type().rank() ? number() : list(axis + 1)))
        return false;
    }
    return accept(']') || fail(fmt::format("dimension {} has {} elements, but got more", axis, size));
  }

  bool number() {
    std::string_view word = text_.substr(0, text_.find_first_of(",] \n"));
    const char *end = word.data() + word.size();
    bool isInteger = !isFloat(tensor_.type().dtype);
    int64_t integer = word == "true";
    double real = 0;
    bool good = word == "true" || word == "false";
    if (!good && isInteger)
      good = std::from_chars(word.data(), end, integer).ptr == end && !word.empty();
    else if (!good)
      good = std::from_chars(word.data(), end, real).ptr == end && !word.empty();
    else
      real = static_cast<double>(integer);
    if (!good)
      return fail(fmt::format("expected {}, but got '{}'", isInteger ? "an integer" : "a number", word));
    isInteger ? tensor_.setInt(next_, integer) : tensor_.set(next_, real);
    ++next_;
    text_.remove_prefix(word.size());
    return true;
  }

  void copyFirst(int64_t i) {
    size_t size = dtypeSize(tensor_.type().dtype);
    std::memcpy(tensor_.bytes().data() + static_cast<size_t>(i) * size, tensor_.bytes().data(), size);
  }

  std::string_view text_;
  Tensor tensor_;
  int64_t next_ = 0;
  std::string problem_;
};

std::string numberText(const Tensor &tensor, int64_t i) {
  if (isFloat(tensor.type().dtype) && std::isnan(tensor.get(i)))
    return "nan"; // its sign is the machine's
  switch (tensor.type().dtype) {
  case DType::Bool: return tensor.getInt(i) ? "true" : "false";
  case DType::F64: return fmt::format("{}", tensor.get(i));
  case DType::F32:
  case DType::BF16:
  case DType::F16: return fmt::format("{}", static_cast<float>(tensor.get(i)));
  default: return fmt::format("{}", tensor.getInt(i));
  }
}

std::string listText(const Tensor &tensor, int axis, int64_t &next) {
  if (axis == tensor.type().rank())
    return numberText(tensor, next++);
  std::string text = "[";
  for (int64_t i = 0; i < tensor.type().shape[axis]; ++i)
    text += (i ? ", " : "") + listText(tensor, axis + 1, next);
  return text + "]";
}

bool agrees(const Tensor &got, const Tensor &want, int64_t i, Tolerance tolerance) {
  size_t size = dtypeSize(got.type().dtype), at = static_cast<size_t>(i) * size;
  if (std::memcmp(got.bytes().data() + at, want.bytes().data() + at, size) == 0)
    return true;
  if (!isFloat(got.type().dtype) || (tolerance.absolute == 0 && tolerance.relative == 0))
    return false;
  double a = got.get(i), b = want.get(i);
  if (std::isnan(a) || std::isnan(b) || std::isinf(a) || std::isinf(b))
    return (std::isnan(a) && std::isnan(b)) || a == b;
  return std::abs(a - b) <= tolerance.absolute + tolerance.relative * std::abs(b);
}

/// What a result is called: its variable, output or metric where it has one, which passes keep, else its value's
/// name.
std::string resultName(const Function &fn, size_t i) {
  for (std::string_view key : {"var", "output", "metric", "grad"})
    if (i < fn.resultAttrs.size() && fn.resultAttrs[i].has(key)) {
      std::string name = fn.resultAttrs[i].str(key);
      return key == "grad" ? name + ".grad" : name;
    }
  for (std::string_view key : {"loss", "count"})
    if (i < fn.resultAttrs.size() && fn.resultAttrs[i].has(key))
      return std::string(key);
  return fn[fn.body().yields[i]].name;
}

} // namespace

StatusOr<Tensor> parseLiteral(std::string_view text, const Type &type) {
  return LiteralParser(text, type).parse();
}

StatusOr<Tensor> fromNpy(const NpyArray &array, const Type &type) {
  Type from{array.dtype, Shape(std::span(array.shape)), {}};
  Type plain{type.dtype, type.shape, {}};
  bool sameClass = isFloat(from.dtype) == isFloat(type.dtype);
  if (from.shape != type.shape || !sameClass)
    return failure(ExitCode::InvalidInput,
                   fmt::format("expected {}, but got {}", toString(plain), toString(from)));
  Tensor source(from), tensor(plain);
  std::memcpy(source.bytes().data(), array.bytes.data(), source.bytes().size());
  for (int64_t i = 0; i < tensor.elements(); ++i)
    isFloat(type.dtype) ? tensor.set(i, source.get(i)) : tensor.setInt(i, source.getInt(i));
  return tensor;
}

NpyArray toNpy(const Tensor &tensor) {
  const Type &type = tensor.type();
  auto bytes = tensor.bytes();
  return {type.dtype,
          {type.shape.begin(), type.shape.end()},
          std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size())};
}

std::string valueText(const Tensor &tensor, int64_t maxElements) {
  if (tensor.elements() > maxElements)
    return fmt::format("<{} elements>", tensor.elements());
  int64_t next = 0;
  return listText(tensor, 0, next);
}

Tensor filled(const Type &type, Fill fill, uint64_t seed, uint64_t argument) {
  Type plain{type.dtype, type.shape, {}};
  if (fill != Fill::Random)
    return Tensor::splat(plain, fill == Fill::Ones ? 1 : 0);
  Tensor tensor(plain);
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    uint32_t bits = randomBits(seed, streamHash("gradc run"), argument, static_cast<uint64_t>(i))[0];
    double uniform = uniformFromBits(bits);
    if (isFloat(type.dtype))
      tensor.set(i, type.rank() == 0 ? 0.05 + 0.45 * uniform : 2 * uniform - 1);
    else
      tensor.setInt(i, type.dtype == DType::Bool ? bits & 1 : bits % 10);
  }
  return tensor;
}

std::optional<std::string> difference(const Tensor &got, const Tensor &want, Tolerance tolerance) {
  if (got.type().dtype != want.type().dtype || got.type().shape != want.type().shape)
    return fmt::format("{} against {}", toString(got.type()), toString(want.type()));
  int64_t wrong = 0, worst = -1;
  double most = -1;
  for (int64_t i = 0; i < got.elements(); ++i) {
    if (agrees(got, want, i, tolerance))
      continue;
    ++wrong;
    double error = std::abs(got.get(i) - want.get(i));
    if (std::isnan(error) || error > most || worst < 0) {
      most = std::isnan(error) ? INFINITY : error;
      worst = i;
    }
  }
  if (wrong == 0)
    return std::nullopt;
  return fmt::format("{} of {} elements differ; at {}: {} against {}", wrong, got.elements(),
                     fmt::format("[{}]", fmt::join(unflatten(got.type().shape, worst), ",")),
                     numberText(got, worst), numberText(want, worst));
}

double relativeDistance(const Tensor &got, const Tensor &want) {
  if (got.type().dtype != want.type().dtype || got.type().shape != want.type().shape)
    return INFINITY;
  double apart = 0, length = 0;
  for (int64_t i = 0; i < got.elements(); ++i) {
    const double error = got.get(i) - want.get(i);
    apart += error * error;
    length += want.get(i) * want.get(i);
  }
  return apart == 0 ? 0 : std::sqrt(apart / length);
}

std::vector<std::string> resultNames(const Function &fn) {
  std::vector<std::string> names;
  for (size_t i = 0; i < fn.body().yields.size(); ++i) {
    std::string base = resultName(fn, i), name = base;
    for (int k = 1; std::ranges::find(names, name) != names.end(); ++k)
      name = fmt::format("{}:{}", base, k);
    names.push_back(name);
  }
  return names;
}

} // namespace gradc
