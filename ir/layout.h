// Storage layouts: how the elements of a logical shape lie in memory.
//
//   (none)  row-major
//   n16     batch in the vector lanes: dimension 0 is cut into blocks of 16, the block is outermost and the
//           position in the block innermost. f32[64,6,28,28]<n16> lies as [64/16][6][28][28][16]. Legal where the
//           rank is at least 2. Where dimension 0 is no multiple of 16 the last block is filled up: whoever stores
//           writes zeros there, so whoever sums over the block may read them. A reshape that keeps dimension 0 does
//           not move memory in this layout.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/type.h"
#include "support/lanes.h"

namespace gradc {

/// Blocks of 16 that hold `extent` positions, the last of them perhaps in part.
constexpr int64_t laneBlocks(int64_t extent) { return (extent + kLanes - 1) / kLanes; }

/// One loop over memory: logical dimension `axis` advances by `step` each iteration, memory by `stride` elements.
struct PhysicalDim {
  int axis = 0;
  int64_t size = 1;
  int64_t step = 1;   // in logical index units: 16 for n16's block dimension
  int64_t stride = 0; // in elements
};

/// The memory dimensions of a type, outermost first: stride of the last is 1. With n16 the indices of dimension 0 may
/// go beyond its size, where the last block is not full.
std::vector<PhysicalDim> physicalDims(const Type &type);

/// True where n16's last block is filled up.
bool hasPadding(const Type &type);

/// Bytes that a value of this type takes in memory, padding included.
int64_t storageBytes(const Type &type);

/// Why the layout's name is unknown or does not suit the shape, or nothing.
std::optional<std::string> checkLayout(const Type &type);

/// True when both types put the same row-major linear element at the same address (a reshape without a copy).
bool sameStorage(const Type &a, const Type &b);

} // namespace gradc
