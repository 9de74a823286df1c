// Filters of a convolution or of its gradient for images, packed as [group][depth][rows] (ir/implicit_product.h): so that
// a slab's rows lie side by side, which they do not as filters lie, with their taps innermost. Rows are filled up with
// zeros to a multiple of four.
#pragma once

#include "codegen/cuda/contract.h"

namespace gradc {

struct PackedFilters {
  int64_t groups, depth, rows, filledRows;
  int64_t elements() const { return groups * depth * filledRows; }
};
PackedFilters packedFilters(const ImplicitProduct &product);

/// Into the workspace, whose begin they fill.
CudaStep emitPackedFilters(const CudaContraction &c, const ImplicitProduct &product);

} // namespace gradc
