// Tensors to and from memory in their type's layout.
#pragma once

#include <cstddef>
#include <span>

#include "ir/tensor.h"

namespace gradc {

/// `memory` takes storageBytes(type) bytes; the tensor is row-major and has the type's shape and dtype.
void toStorage(const Tensor &tensor, const Type &type, std::span<std::byte> memory);
Tensor fromStorage(std::span<const std::byte> memory, const Type &type);

} // namespace gradc
