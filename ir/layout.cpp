#include "ir/layout.h"

#include <fmt/format.h>

#include "support/check.h"

namespace gradc {

std::vector<PhysicalDim> physicalDims(const Type &type) {
  const Shape &shape = type.shape;
  std::vector<PhysicalDim> dims;
  bool blocked = type.layout == kLayoutN16;
  if (blocked)
    dims.push_back({0, laneBlocks(shape[0]), kLanes, 0});
  for (int axis = blocked ? 1 : 0; axis < shape.rank(); ++axis)
    dims.push_back({axis, shape[axis], 1, 0});
  if (blocked)
    dims.push_back({0, kLanes, 1, 0});
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    dims[i].stride = stride;
    stride *= dims[i].size;
  }
  return dims;
}

bool hasPadding(const Type &type) { return type.layout == kLayoutN16 && type.shape[0] % kLanes != 0; }

int64_t storageBytes(const Type &type) {
  int64_t elements = type.elements();
  if (hasPadding(type))
    elements = elements / type.shape[0] * laneBlocks(type.shape[0]) * kLanes;
  return elements * static_cast<int64_t>(dtypeSize(type.dtype));
}

std::optional<std::string> checkLayout(const Type &type) {
  if (type.layout.empty())
    return std::nullopt;
  if (type.layout != kLayoutN16)
    return fmt::format("unknown layout '{}'; known is '{}'", type.layout, kLayoutN16);
  if (type.rank() < 2)
    return fmt::format("layout n16 needs rank 2 or more, but got {}", toString(type));
  return std::nullopt;
}

bool sameStorage(const Type &a, const Type &b) {
  if (a.dtype != b.dtype || a.elements() != b.elements())
    return false;
  bool blockedA = a.layout == kLayoutN16, blockedB = b.layout == kLayoutN16;
  if (!blockedA && !blockedB)
    return true;
  // A block of 16 examples stays together only if both sides cut the same dimension 0. A vector of 16n
  // elements counts as blocked: its blocks are where they would be in row-major order. With padding it lacks some.
  if (hasPadding(a) != hasPadding(b))
    return false;
  return a.rank() > 0 && b.rank() > 0 && a.shape[0] == b.shape[0] && (blockedA || a.rank() == 1) &&
         (blockedB || b.rank() == 1);
}

} // namespace gradc
