// What both ways of walking a matrix product by tiles share (tile_matmul.h): how operands are packed, and where sums
// lie in the result.
#pragma once

#include "codegen/cpu/amx/tile_matmul.h"
#include "codegen/cpu/amx/tile_product.h"

namespace gradc {

class TileMatmulParts {
public:
  static constexpr int64_t kPanelTiles = 2, kPanelRows = kPanelTiles * kTileRows;

  TileMatmulParts(KernelContext &k, const TileMatmul &plan, EpilogueStore &store);

  /// The step that packs the column operand into the workspace: [batch][panel][chunk][piece][tile].
  KernelStep emitPacking(int columnBuffer) {
    return emitPacking(columnBuffer, ordersColumns() ? TileForm::Ordered : TileForm::Columns);
  }
  int64_t workspaceBytes() const { return batches * columnPanels() * panelBytes(); }

protected:
  KernelStep emitPacking(int columnBuffer, TileForm form);
  /// Packed columns are ordered (tile_emulation.h), where that saves shuffles.
  bool ordersColumns() const;

  int64_t rowPanels() const { return ceilDiv(plan.rowMatrix.rows, kPanelRows); }
  int64_t columnPanels() const { return ceilDiv(plan.columnMatrix.rows, kPanelRows); }
  int64_t columnGroups() const { return ceilDiv(columnPanels(), plan.groupPanels); }
  /// A chunk is 32 of the depth of a panel.
  int64_t columnTiles() const { return ceilDiv(plan.columnMatrix.rows, kTileRows); }
  int64_t chunkBytes() const { return plan.pieces * kPanelTiles * kTileBytes; }
  int64_t panelBytes() const { return chunks * chunkBytes(); }
  /// Where a tile of columns, of one piece, lies among packed panels.
  int64_t placeOfTile(int64_t tile) const {
    return tile / kPanelTiles * panelBytes() + tile % kPanelTiles * kTileBytes;
  }

  using OnChunk = std::function<void(llvm::Value *number, int64_t depth)>;
  void forChunks(int64_t depth, llvm::Value *low, llvm::Value *high, const OnChunk &f);

  /// The coordinates of a batch, and where it begins in an operand.
  Values decodeBatch(llvm::Value *batch);
  llvm::Value *atBatch(llvm::Value *operand, const Values &numbers, bool rows);

  /// Neighbouring panels of an operand; those beyond its last one do not exist.
  struct Panels {
    llvm::Value *first;
    int64_t count;
  };
  /// Packs chunks low … high of panels of the row operand, `pitch` bytes from panel to panel; chunk 0 of the first
  /// would lie at `target`.
  void packRowPanels(llvm::Value *source, const Panels &panels, llvm::Value *target, int64_t pitch,
                     llvm::Value *low, llvm::Value *high);

  /// Chunks low … high of one row of a panel whose depth is contiguous.
  void packRow(llvm::Value *source, llvm::Value *target, llvm::Value *row, llvm::Value *low,
               llvm::Value *high);

  /// Where a panel of an operand begins, and the rows of the row operand from there on.
  llvm::Value *panelAt(const TileMatrix &matrix, llvm::Value *source, llvm::Value *panel) {
    return e.offset(source, e.mul(panel, kPanelTiles * matrix.rowBlock));
  }
  llvm::Value *rowsFrom(llvm::Value *panel) {
    return e.b.CreateSub(e.i64(plan.rowMatrix.rows), e.mul(panel, kPanelRows));
  }

  /// f(rows): code for a panel of 32, and for the last one where it has fewer.
  void switchRows(llvm::Value *panel, const std::function<void(int64_t)> &f) {
    emitPanelSwitch(e, panel, plan.rowMatrix.rows, kPanelRows, f);
  }
  void switchColumns(llvm::Value *panel, const std::function<void(int64_t)> &f) {
    emitPanelSwitch(e, panel, plan.columnMatrix.rows, kPanelRows, f);
  }

  /// The block of sums of so many rows and columns, and where one of its rows lies in the result. Numbers of `args`: the
  /// batch's coordinates, the first row, the first column.
  TileBlock blockOf(int64_t rows, int64_t columns) const;
  std::vector<LaneIndex> indicesOf(const TileKernels::Args &args, llvm::Value *row, int64_t columns);

  KernelContext &k;
  Emit &e;
  const TileMatmul &plan;
  EpilogueStore &store;
  TileKernels tiles;
  int64_t batches = 1, chunks;

private:
  void packRows(llvm::Value *source, llvm::Value *target, int64_t rows, llvm::Value *low, llvm::Value *high);
  using OnPanel = std::function<void(llvm::Value *from, llvm::Value *to, int64_t rows)>;
  void forPanels(const TileMatrix &matrix, const Panels &panels, llvm::Value *source, llvm::Value *target,
                 int64_t pitch, const OnPanel &f);
  void packTiles(const TileMatrix &matrix, TileForm form, llvm::Value *source, const Panels &panels,
                 llvm::Value *target, int64_t pitch, llvm::Value *low, llvm::Value *high);
};

/// The product of a plan whose panels fit the cache for all of the depth.
class FlatMatmul : public TileMatmulParts {
public:
  using TileMatmulParts::TileMatmulParts;
  KernelStep emitProduct(int rowBuffer);

private:
  struct Item {
    llvm::Value *panel, *first, *end; // the panel of rows, the panels of columns
    llvm::Value *source, *columns;    // the operands of the batch
    llvm::Value *packed;              // where the panel of rows is
    Values batch;
    struct {
      llvm::Value *source, *target, *rows;
    } ahead; // the rows that the next item needs, none behind the last
  };
  /// A part of the work beside the products of a chunk.
  struct Part {
    llvm::Value *chunk;
    int number, count;
  };
  /// Arguments for a panel of columns, behind the batch and the first row: its first column, the sums of the panel before,
  /// and the rows of the next item that are packed meanwhile.
  enum Number { Column = 1, Previous, Source, Target, Low, High };
  llvm::Value *number(const TileKernels::Args &args, Number which) const {
    return args.numbers[plan.batches.size() + which];
  }

  Item itemOf(llvm::Value *number);
  bool packsAhead() const { return plan.rowMatrix.depthContiguous(); }
  llvm::Value *shareOf(const Item &item);
  int64_t rowsWithChunk(int64_t rows) const;
  void emitColumns(const Item &item, int64_t rows);
  void call(const Item &item, const std::string &name, llvm::Value *panel,
            const std::function<void(const TileKernels::Args &, int64_t columns)> &body);
  void multiply(const TileKernels::Args &args, int64_t rows, int64_t columns, bool finishes);
  void packPart(const TileKernels::Args &args, const Part &part);
  void finishPart(const TileKernels::Args &args, const Part &part, int64_t rows);
  void finish(const TileKernels::Args &args, llvm::Value *sums, llvm::Value *first, int64_t count,
              int64_t columns);
  void announce(const TileKernels::Args &args, int64_t rows, int64_t columns);

  llvm::Value *source_ = nullptr, *columns_ = nullptr, *scratch_ = nullptr;
};

/// The product of a plan whose sums wait in scratch memory (Walk::Deep).
class DeepMatmul : public TileMatmulParts {
public:
  using TileMatmulParts::TileMatmulParts;
  KernelStep emitProduct(int rowBuffer);

private:
  /// Panels rows … rowEnd of the row operand by columns … columnEnd of the other.
  struct Item {
    llvm::Value *rows, *rowEnd, *columns, *columnEnd;
    llvm::Value *source, *packed; // the operands of the batch
    Values batch;
  };
  void emitItem(const Item &item);
  void emitBlock(const Item &item, llvm::Value *low, llvm::Value *high);
  void addPanels(const Item &item, llvm::Value *row, llvm::Value *column, llvm::Value *low,
                 llvm::Value *high);
  void storePanels(const Item &item, llvm::Value *row, llvm::Value *column);
  llvm::Value *sumsOf(const Item &item, llvm::Value *row, llvm::Value *column);
  llvm::Value *rowsOf(const Item &item, llvm::Value *row);
  int64_t sumBytes() const { return plan.groupRows * plan.groupPanels * kSumBytes; }
};

} // namespace gradc
