// What a block does with the slabs of two factors in shared memory (codegen/cuda/tile_writer.h): multiply-adds of f32, or
// products of tensor cores.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "codegen/cuda/text.h"
#include "support/cuda_tiling.h"

namespace gradc {

/// Names in the text: of the tile in shared memory, of the slab that is being multiplied (columns at x, rows at y), of the
/// sums, of where the thread's first column and row lie in the tile; where slabs are of one tap, of an array that says of
/// the thread's columns whether they have the slab's.
struct CudaTileNames {
  std::string tile, x, y, sums, column, row, present;
};

/// Which of a slab's products are not added: none, those of columns' factors that are holes, or all of columns that lack
/// the slab's tap.
enum class CudaAbsent { None, Holes, Columns };

class CudaTileArithmetic {
public:
  virtual ~CudaTileArithmetic() = default;
  /// Whether an absent tap is a hole that adds nothing; else it is zero.
  virtual bool keepsHoles() const = 0;
  /// Declares the sums and the thread's place.
  virtual void begin() = 0;
  /// Where the thread's columns lie in the tile; empty if it keeps no holes.
  virtual std::vector<std::string> columns() const { return {}; }
  /// All steps of a slab.
  virtual void multiply(CudaAbsent absent) = 0;

  // The sums leave through shared memory, in parts of so many rows.
  virtual int parts() const = 0;
  virtual int heldRows() const = 0;
  virtual void put(int part) = 0;
  /// The row of the tile that is line `line` of a part.
  virtual std::string rowOf(const std::string &line, int part) const = 0;
  /// What a line's columns are turned by ("^ …"), so that what is written together lies in different banks.
  virtual std::string turn(const std::string &line) const = 0;
};

std::unique_ptr<CudaTileArithmetic> cudaFusedTile(CudaText &text, const CudaTileNames &names,
                                                  const CudaTile &tile);

/// How the factors are rounded for tensor cores; the sums are f32.
enum class CudaTensorFormat { Tf32, Bf16, F16 };
std::unique_ptr<CudaTileArithmetic> cudaTensorTile(CudaText &text, const CudaTileNames &names,
                                                   const CudaTile &tile, CudaTensorFormat format,
                                                   int architecture);

} // namespace gradc
