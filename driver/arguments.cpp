#include "driver/arguments.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "driver/values.h"
#include "support/diagnostics.h"
#include "support/safetensors.h"

namespace gradc {
namespace {

bool isNpz(const std::string &input) {
  return input.ends_with(".npz") && input.find('=') == std::string::npos;
}

StatusOr<Tensor> readInputValue(const std::string &value, const Type &type) {
  if (!value.ends_with(".npy"))
    return parseLiteral(value, type);
  StatusOr<NpyArray> array = readNpy(value);
  if (!array)
    return std::unexpected(array.error());
  return fromNpy(*array, type);
}

class Arguments {
public:
  Arguments(const Function &fn, const ArgumentFlags &flags)
      : fn_(fn), flags_(flags), values_(fn.body().args.size()) {}

  Status collect() {
    if (!flags_.weights.empty())
      if (Status given = takeWeights(); !given.ok())
        return given;
    for (const std::string &input : flags_.inputs)
      if (Status given = isNpz(input) ? takeNpz(input) : take(input); !given.ok())
        return given;
    return fill();
  }

  std::vector<Tensor> take() {
    std::vector<Tensor> tensors;
    for (auto &value : values_)
      tensors.push_back(std::move(*value));
    return tensors;
  }

private:
  Status fill() {
    std::string missing;
    for (size_t i = 0; i < values_.size(); ++i) {
      const ValueData &arg = fn_[fn_.body().args[i]];
      if (values_[i])
        continue;
      if (flags_.fill.empty())
        missing += (missing.empty() ? "%" : ", %") + arg.name;
      else
        values_[i] = filled(arg.type, fillKind(), flags_.seed, i);
    }
    if (!missing.empty())
      return {ExitCode::Usage,
              fmt::format("no value for {}; give --input name=…, --weights or --fill random", missing)};
    return okStatus();
  }

  Fill fillKind() const {
    return flags_.fill == "zeros" ? Fill::Zeros : flags_.fill == "ones" ? Fill::Ones : Fill::Random;
  }

  StatusOr<size_t> find(const std::string &name) const {
    std::vector<std::string_view> names;
    for (ValueId arg : fn_.body().args)
      names.push_back(fn_[arg].name);
    for (size_t i = 0; i < names.size(); ++i)
      if (names[i] == name)
        return i;
    return failure(ExitCode::Usage,
                   fmt::format("@{} has no argument '{}'{}", fn_.name, name, proposal(name, names)));
  }

  Status take(const std::string &input) {
    size_t equals = input.find('=');
    if (equals == std::string::npos)
      return {ExitCode::Usage, fmt::format("--input is name=value, but got '{}'", input)};
    StatusOr<size_t> at = find(input.substr(0, equals));
    if (!at)
      return at.error();
    StatusOr<Tensor> tensor = readInputValue(input.substr(equals + 1), fn_.type(fn_.body().args[*at]));
    if (!tensor)
      return {tensor.error().code,
              fmt::format("--input {}: {}", input.substr(0, equals), tensor.error().text)};
    values_[*at] = std::move(*tensor);
    return okStatus();
  }

  /// Every variable of the function must be in the file.
  Status takeWeights() {
    StatusOr<SafeTensors> file = SafeTensors::read(flags_.weights);
    if (!file)
      return file.error();
    for (size_t i = 0; i < values_.size(); ++i) {
      const ValueData &arg = fn_[fn_.body().args[i]];
      if (!arg.attrs.has("var"))
        continue;
      const TensorView *view = file->find(arg.attrs.str("var"));
      if (!view)
        return {ExitCode::InvalidInput,
                fmt::format("{}: there is no tensor '{}'", flags_.weights, arg.attrs.str("var"))};
      StatusOr<Tensor> tensor = fromNpy({view->dtype, view->shape, std::string(view->bytes)}, arg.type);
      if (!tensor)
        return {tensor.error().code,
                fmt::format("{}: {}: {}", flags_.weights, view->name, tensor.error().text)};
      values_[i] = std::move(*tensor);
    }
    return okStatus();
  }

  Status takeNpz(const std::string &path) {
    StatusOr<NpzArrays> arrays = readNpz(path);
    if (!arrays)
      return arrays.error();
    for (const auto &[name, array] : *arrays) {
      StatusOr<size_t> at = find(name);
      if (!at)
        return at.error();
      StatusOr<Tensor> tensor = fromNpy(array, fn_.type(fn_.body().args[*at]));
      if (!tensor)
        return {tensor.error().code, fmt::format("{}: {}: {}", path, name, tensor.error().text)};
      values_[*at] = std::move(*tensor);
    }
    return okStatus();
  }

  const Function &fn_;
  const ArgumentFlags &flags_;
  std::vector<std::optional<Tensor>> values_;
};

/// Elements of the outermost list of a literal.
int64_t outerCount(std::string_view literal) {
  int64_t depth = 0, count = 1;
  for (char c : literal) {
    depth += (c == '[') - (c == ']');
    count += c == ',' && depth == 1;
  }
  return count;
}

/// Dimension 0 of the value, or nothing where it has none.
std::optional<int64_t> outerSize(const std::string &value, int rank) {
  if (!value.ends_with(".npy"))
    return value.starts_with('[') ? std::optional(outerCount(value)) : std::nullopt;
  StatusOr<NpyArray> array = readNpy(value);
  bool matches = array && static_cast<int>(array->shape.size()) == rank;
  return matches ? std::optional(array->shape[0]) : std::nullopt; // an unreadable file is reported later
}

} // namespace

Options argumentOptions(ArgumentFlags &flags) {
  return {{.name = "--input", .target = &flags.inputs, .doc = "name=[[1,2],[3,4]], name=x.npy or values.npz"},
          {.name = "--weights",
           .target = &flags.weights,
           .type = "FILE.safetensors",
           .doc = "Values of the variables, as train writes them"},
          {.name = "--fill",
           .target = &flags.fill,
           .doc = "Value of arguments that have none",
           .choices = {"zeros", "ones", "random"}}};
}

StatusOr<std::vector<Tensor>> makeArguments(const Function &fn, const ArgumentFlags &flags) {
  Arguments arguments(fn, flags);
  if (Status given = arguments.collect(); !given.ok())
    return std::unexpected(given);
  return arguments.take();
}

int64_t batchOfInputs(const Function &fn, const ArgumentFlags &flags) {
  for (const std::string &input : flags.inputs) {
    size_t equals = input.find('=');
    for (ValueId arg : fn.body().args)
      if (equals != std::string::npos && fn[arg].attrs.has("input") &&
          fn[arg].name == input.substr(0, equals))
        if (auto size = outerSize(input.substr(equals + 1), fn[arg].type.rank()))
          return *size;
    if (!isNpz(input))
      continue;
    if (StatusOr<NpzArrays> arrays = readNpz(input))
      for (ValueId arg : fn.body().args)
        for (const auto &[name, array] : *arrays)
          if (fn[arg].attrs.has("input") && fn[arg].name == name && !array.shape.empty())
            return array.shape[0];
  }
  return 1;
}

} // namespace gradc
