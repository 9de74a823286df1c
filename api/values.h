// How the library's types and the compiler's become each other.
#pragma once

#include "api/gradc.h"
#include "ir/ir.h"
#include "support/diagnostics.h"
#include "support/result.h"

namespace gradc::api {

std::unexpected<Error> failed(const Status &status);
/// All messages, as the command prints them.
std::unexpected<Error> failed(const Diagnostics &diagnostics);
std::unexpected<Error> failed(std::string text);

Port portOf(std::string name, const Type &type);
/// "f32[2,3]"
std::string describe(ElementType type, std::span<const int64_t> shape);
/// Nothing where the tensor is not of the port's type and shape: the error names it.
Expected<::gradc::Tensor> toTensor(const Tensor &tensor, const Port &port);
Tensor fromTensor(const ::gradc::Tensor &tensor);
/// The number of bytes is that of the shape, and the shape that of the port; -1 stands for any.
Expected<void> check(const Tensor &tensor, const Port &port);

} // namespace gradc::api
