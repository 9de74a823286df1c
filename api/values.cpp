#include "api/values.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gradc::api {

std::unexpected<Error> failed(const Status &status) {
  return std::unexpected(Error{static_cast<int>(status.code), status.text});
}

std::unexpected<Error> failed(const Diagnostics &diagnostics) {
  return std::unexpected(Error{static_cast<int>(diagnostics.exitCode()), diagnostics.render()});
}

std::unexpected<Error> failed(std::string text) {
  return std::unexpected(Error{static_cast<int>(ExitCode::InvalidInput), std::move(text)});
}

Port portOf(std::string name, const Type &type) {
  return {std::move(name), static_cast<ElementType>(type.dtype), {type.shape.begin(), type.shape.end()}};
}

std::string describe(ElementType type, std::span<const int64_t> shape) {
  return fmt::format("{}[{}]", dtypeName(static_cast<DType>(type)), fmt::join(shape, ","));
}

Expected<void> check(const Tensor &tensor, const Port &port) {
  const auto fits = [](int64_t given, int64_t wanted) { return wanted == -1 ? given > 0 : given == wanted; };
  int64_t bytes = static_cast<int64_t>(dtypeSize(static_cast<DType>(tensor.type)));
  for (int64_t dim : tensor.shape)
    bytes *= dim;
  if (tensor.type != port.type || !std::ranges::equal(tensor.shape, port.shape, fits))
    return failed(fmt::format("'{}' is {}, but got {}", port.name, describe(port.type, port.shape),
                              describe(tensor.type, tensor.shape)));
  if (bytes != static_cast<int64_t>(tensor.bytes.size()))
    return failed(fmt::format("'{}': {} has {} bytes, but got {}", port.name,
                              describe(tensor.type, tensor.shape), bytes, tensor.bytes.size()));
  return {};
}

Expected<::gradc::Tensor> toTensor(const Tensor &tensor, const Port &port) {
  if (Expected<void> good = check(tensor, port); !good)
    return std::unexpected(good.error());
  ::gradc::Tensor result(Type{static_cast<DType>(tensor.type), Shape(std::span(tensor.shape)), ""});
  std::ranges::copy(tensor.bytes, result.bytes().begin());
  return result;
}

Tensor fromTensor(const ::gradc::Tensor &tensor) {
  const Port port = portOf("", tensor.type());
  return {port.type, port.shape, {tensor.bytes().begin(), tensor.bytes().end()}};
}

} // namespace gradc::api
