// Tiled products: kernels of form `tiles`. A block computes a tile of rows × columns of one implicit product; its 256
// threads hold the sums in registers and read slabs of both factors from shared memory, where the next ones land
// meanwhile. Tiles change no bit of what fused multiply-adds compute: each sum is one chain along the depth.
#pragma once

#include "codegen/cuda/step_writer.h"
#include "codegen/cuda/tile_arithmetic.h"
#include "codegen/cuda/tile_operand.h"

namespace gradc {

/// Writes the block's work up to its sums, and for each of them, one a thread at a time and neighbours of a row side by
/// side, what `finish` writes: given the product, the row, the column and the name of the sum.
class CudaTileWriter {
public:
  /// By fused multiply-adds, or by tensor cores. `inTurn`: a block makes the 16 partial sums of its elements one after
  /// the other, and their tree; else each partial sum is a product.
  CudaTileWriter(CudaStepWriter &w, const ImplicitProduct &product, const CudaTile &tile, int architecture,
                 std::optional<CudaTensorFormat> format, bool inTurn = false);

  using Finish = std::function<void(const CudaIndex &product, const CudaIndex &row, const CudaIndex &column,
                                    const std::string &sum)>;
  /// `packed`: b has packed filters.
  void write(OpId contraction, const std::string &a, const std::string &b, bool packed, const Finish &finish);
  int64_t blocks() const;

private:
  /// A factor in shared memory, as [depth][index], the indices turned (cudaTileSwizzle).
  struct Side {
    TileOperand operand;
    int size = 0;                     // indices of the tile
    std::string first = {};           // of them
    std::vector<TilePart> parts = {}; // of the thread's indices
    std::string next = {};            // registers, where copies are not asynchronous
    bool copiesFour() const { return operand.vectors && !operand.acrossDepth; }
    /// Threads that have something to copy.
    int threads() const;
  };
  void takeNames();
  void findPlace();
  void multiplyAll(OpId contraction, const std::string &a, const std::string &b, bool packed);
  void multiplyInTurn(OpId contraction, const std::string &a, const std::string &b);
  void combine(int level);
  int64_t products() const { return product_.batch * (inTurn_ ? 1 : product_.partials); }
  int sumsOfThread() const { return tile_.rows * tile_.columns / kCudaTileThreads; }
  void prepare(Side &side);
  /// The thread's copies of a slab; `copy` writes one of them, of register `number` or of an element to `to`.
  using Copy = std::function<void(const Side &side, int number, const std::string &to, const TilePart &i,
                                  const TilePart &k)>;
  void forEachCopy(const Side &side, const std::string &slab, bool needsSource, const Copy &copy);
  void copyAcrossDepth(const Side &side, const std::function<TilePart(const std::string &)> &depth,
                       const Copy &copy);
  int copiesOf(const Side &side) const;
  TilePart step(const Side &side, const std::string &slab, const std::string &row);
  void copyAsync(const Side &side, const std::string &to, const TilePart &i, const TilePart &k);
  void fetch(const Side &side, int number, const TilePart &i, const TilePart &k);
  std::string source(const Side &side, const TilePart &i, const TilePart &k) const;
  std::string slabOf(const Side &side, const std::string &buffer) const;
  void asyncLoop();
  void stagedLoop();
  void fillAsync();
  void compute(const std::string &slab, const std::string &buffer);
  void finishTile(const Finish &finish);
  void finishLine(int part, const CudaIndex &column, const Finish &finish);
  bool hasHoles() const { return arithmetic_->keepsHoles() && columns_.operand.present != nullptr; }
  int64_t left() const { return product_.depth % kCudaTileDepth; } // steps of a last, smaller slab
  int64_t slabs() const;
  int slabFloats() const { return (tile_.rows + tile_.columns) * kCudaTileDepth; }

  CudaStepWriter &w_;
  CudaText &t_;
  ImplicitProduct product_;
  CudaTile tile_;
  bool async_, inTurn_;
  int buffers_;
  CudaTileNames names_;
  std::string number_; // of the product
  std::string slab_, ahead_, buffer_, fill_, holes_, holey_, line_, turn_, pending_;
  std::unique_ptr<CudaTileArithmetic> arithmetic_;
  Side columns_, rows_;
};

} // namespace gradc
