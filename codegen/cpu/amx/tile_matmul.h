// Matrix products by bf16 tiles (tile_product.h): of bf16 operands, or of f32 ones split into three bf16.
//
// Two steps. `pack` makes tiles of the column operand in the kernel's workspace. Then an item of the product takes a
// panel of 32 rows, packs it into the worker's scratch memory, and goes through a group of column panels that stays in
// the level-2 cache. Sums pass through 4 KiB of scratch memory into the epilogue (tile_matmul_flat.cpp). Where the depth is
// too large for that, an item is several panels of both operands, and their sums wait in scratch memory
// (tile_matmul_deep.cpp). Of few examples vector code in place of the tile unit has ways of its own
// (tile_matmul_emulated.h).
#pragma once

#include "codegen/cpu/amx/tile_pack.h"
#include "codegen/cpu/contract/epilogue.h"
#include "codegen/cpu/contract/tile_kernel.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

struct TileMatmul {
  enum class Walk : uint8_t { Flat, Deep, Shallow, Strips, Rows }; // the last three: tile_matmul_emulated.h
  Walk walk = Walk::Flat;
  struct Batch {
    int axis = 0;
    int64_t size = 1, rowStride = 0, columnStride = 0; // bytes in the operands
  };
  std::vector<Batch> batches;
  TileMatrix rowMatrix, columnMatrix; // M[row, depth] and M[column, depth]
  int rowOperand = 0, columnOperand = 1;
  int pieces = 1;
  int64_t groupPanels = 1; // column panels that an item goes through
  // Where one panel of each operand is too much for the cache: row panels of an item, and chunks of 32 of the depth
  // that it takes at a time.
  int64_t groupRows = 1, blockChunks = 0;
  // Where sums lie in the result. Columns are the lanes.
  int rank = 2, rowAxis = 0, columnAxis = 1;
  int rowDims = 1; // dimensions of the result that are rows
};

/// What a factor is packed from: the kernel may hold the cast that rounds it to bf16.
ValueId packedFrom(const Function &fn, ValueId factor);

/// The plan of a matmul that suits tiles (ir/contraction.h).
TileMatmul planTileMatmul(const Function &fn, OpId op, const CpuTarget &target);

/// Emits the kernel's functions. Buffers are numbers in the kernel's list.
KernelCode emitTileMatmul(KernelContext &k, const TileMatmul &plan, EpilogueStore &store, int rowBuffer,
                          int columnBuffer);

} // namespace gradc
