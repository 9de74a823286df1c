// Storage layouts: how the elements of a logical shape lie in memory.
//
//   (none)  row-major
//   n16     batch in the vector lanes: dimension 0 is cut into blocks of 16, the block is outermost and the
//           position in the block innermost. f32[64,6,28,28]<n16> lies as [64/16][6][28][28][16]. Legal where
//           dimension 0 is a multiple of 16 and the rank is at least 1. A reshape that keeps dimension 0 does
//           not move memory in this layout. For rank 1 it is the same as row-major and is not written.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"

namespace gradc {

inline constexpr int64_t kLanes = 16;
inline constexpr std::string_view kLayoutN16 = "n16";

/// One loop over memory: logical dimension `axis` advances by `step` each iteration, memory by `stride` elements.
struct PhysicalDim {
  int axis = 0;
  int64_t size = 1;
  int64_t step = 1;   // in logical index units: 16 for n16's block dimension
  int64_t stride = 0; // in elements
};

/// The memory dimensions of a type, outermost first: stride of the last is 1.
std::vector<PhysicalDim> physicalDims(const Type &type);

/// Bytes that a value of this type takes in memory.
int64_t storageBytes(const Type &type);

/// Why the layout's name is unknown or does not suit the shape, or nothing.
std::optional<std::string> checkLayout(const Type &type);

/// True when both types put the same row-major linear element at the same address (a reshape without a copy).
bool sameStorage(const Type &a, const Type &b);

} // namespace gradc
