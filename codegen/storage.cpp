#include "codegen/storage.h"

#include <algorithm>

#include "ir/layout.h"
#include "support/check.h"

namespace gradc {
namespace {

/// copy(memory offset, row-major offset) in bytes for every element.
template <class Copy> void forEachElement(const Type &type, Copy copy) {
  std::vector<PhysicalDim> dims = physicalDims(type);
  std::vector<int64_t> strides = rowMajorStrides(type.shape), index(dims.size(), 0);
  auto size = static_cast<int64_t>(dtypeSize(type.dtype));
  const int64_t stored = storageBytes(type) / size;
  for (int64_t at = 0; at < stored; ++at) {
    int64_t logical = 0, first = 0; // first: index of dimension 0
    for (size_t d = 0; d < dims.size(); ++d) {
      logical += index[d] * dims[d].step * strides[dims[d].axis];
      first += dims[d].axis == 0 ? index[d] * dims[d].step : 0;
    }
    if (type.rank() == 0 || first < type.shape[0]) // else padding
      copy(at * size, logical * size, size);
    for (size_t d = dims.size(); d-- > 0 && ++index[d] == dims[d].size;)
      index[d] = 0;
  }
}

} // namespace

void toStorage(const Tensor &tensor, const Type &type, std::span<std::byte> memory) {
  CHECK(static_cast<int64_t>(memory.size()) >= storageBytes(type));
  if (hasPadding(type))
    std::ranges::fill(memory.first(static_cast<size_t>(storageBytes(type))), std::byte{0});
  forEachElement(type, [&](int64_t to, int64_t from, int64_t size) {
    std::memcpy(memory.data() + to, tensor.bytes().data() + from, static_cast<size_t>(size));
  });
}

Tensor fromStorage(std::span<const std::byte> memory, const Type &type) {
  Tensor tensor(Type{type.dtype, type.shape, {}});
  forEachElement(type, [&](int64_t from, int64_t to, int64_t size) {
    std::memcpy(tensor.bytes().data() + to, memory.data() + from, static_cast<size_t>(size));
  });
  return tensor;
}

} // namespace gradc
