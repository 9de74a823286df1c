// Tiled products: kernels of form `tiles`. A block computes a tile of rows × columns of one implicit product; its 256
// threads hold the sums in registers and read slabs of both factors from shared memory, where the next ones land
// meanwhile. Tiles change no bit of what fused multiply-adds compute: each sum is one chain along the depth.
#pragma once

#include <span>

#include "codegen/cuda/step_writer.h"
#include "codegen/cuda/tile_arithmetic.h"
#include "codegen/cuda/tile_copies.h"

namespace gradc {

/// A sum of a thread: where it belongs, its name, and the condition on which that place is there. Where it is not, row and
/// column are those of another sum of the thread.
struct CudaTileSum {
  CudaIndex product, row, column;
  std::string sum, exists;
};

/// Writes the block's work up to its sums, and for each thread and some of them at a time, neighbours of a row side by side,
/// what `finish` writes.
class CudaTileWriter {
public:
  /// By fused multiply-adds, or by tensor cores. `inTurn`: a block makes the 16 partial sums of its elements one after
  /// the other, and their tree; else each partial sum is a product. `split`: so is each of so many segments of the
  /// depth, which tensor cores need not add in order; segment s of product p has number p · split + s.
  /// `launchBlocks`: of all products that a step makes, where this is one of several.
  CudaTileWriter(CudaStepWriter &w, const ImplicitProduct &product, const CudaTile &tile,
                 const CudaTarget &target, std::optional<CudaTensorFormat> format, bool inTurn = false,
                 int64_t split = 1, int64_t launchBlocks = 0);

  using Finish = std::function<void(std::span<const CudaTileSum> sums)>;
  /// `factors` says no product yet; `shared` is an array of sharedFloats().
  void write(OpId contraction, const TileFactors &factors, const std::string &shared, const Finish &finish);
  int64_t blocks() const;
  int64_t sharedFloats() const;

private:
  void takeNames();
  void findPlace();
  void multiplyAll(OpId contraction, TileFactors factors);
  void multiplyInTurn(OpId contraction, const TileFactors &factors);
  void combine(int level);
  std::string beginSegment();
  int64_t products() const { return product_.batch * (inTurn_ ? 1 : product_.partials) * split_; }
  int sumsOfThread() const { return tile_.rows * tile_.columns / kCudaTileThreads; }
  /// Slabs between two barriers, and groups of them that have room: one is read while the others are on their way.
  struct Groups {
    int slabs, count;
  };
  Groups groupsOf(const CudaTarget &target, bool tensorCores, int64_t blocks) const;
  void asyncLoop();
  std::string numberOfGroups();
  void forSlabs(const std::string &group, const std::function<void()> &write);
  void stagedLoop();
  void compute(const std::string &buffer);
  void finishTile(const Finish &finish);
  void finishLine(int part, const CudaIndex &column, const Finish &finish);
  void finishLines(int part, const CudaIndex &column, const Finish &finish);
  std::string defineRow(const std::string &line, int part);
  CudaTileSum sumOf(const std::string &line, const std::string &row, const CudaIndex &column);
  std::string rowExists(const std::string &row) const;
  /// Some columns lack the tap of a whole slab, or some of a slab's factors are holes.
  bool lacksTaps() const { return arithmetic_->keepsHoles() && columns_->hasTapMasks(); }
  bool hasHoles() const {
    return arithmetic_->keepsHoles() && columns_->mayBeAbsent() && !columns_->hasTapMasks();
  }
  int64_t left() const { return product_.depth % kCudaTileDepth; } // steps of a last, smaller slab
  int64_t slabs() const;                                           // of all segments
  static constexpr int kLinesAtOnce = 4;                           // that a thread finishes together
  int linesOfBlock() const { return kCudaTileThreads / tile_.columns; }
  int columnFloats() const { return cudaTilePitch(tile_.columns) * kCudaTileDepth; }
  int slabFloats() const { return columnFloats() + cudaTilePitch(tile_.rows) * kCudaTileDepth; }

  CudaStepWriter &w_;
  CudaText &t_;
  ImplicitProduct product_;
  CudaTile tile_;
  bool async_, inTurn_;
  int64_t split_;
  Groups groups_;
  CudaTileNames names_;
  std::string number_; // of the product
  std::string firstColumn_, firstRow_;
  std::string slabs_; // the number of them that the block multiplies
  std::string group_, slab_, part_, buffer_, fill_, holes_, holey_, whole_, line_, turn_, pending_, taps_;
  std::unique_ptr<CudaTileArithmetic> arithmetic_;
  CudaTileStepTable steps_;
  std::optional<CudaTileCopies> columns_, rows_;
};

} // namespace gradc
