#include "codegen/cpu/tile_matmul.h"

#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/tile_product.h"
#include "ir/contraction.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

constexpr int64_t kPanelTiles = 2;
constexpr int64_t kEnoughItems = 32;
constexpr int64_t kPackChunks = 8; // of the depth, in an item of packing

/// Rows and depth of a matrix in memory, in bytes. Of the rank's last two axes; n16 has rank 2.
TileMatrix tileMatrix(const Type &type, int rowAxis, int depthAxis) {
  const auto size = static_cast<int64_t>(dtypeSize(type.dtype));
  TileMatrix matrix{.dtype = type.dtype, .rows = type.shape[rowAxis], .depth = type.shape[depthAxis]};
  auto strides = [&](int axis, int64_t &stride, int64_t &block) {
    stride = size * (axis + 1 == type.rank() ? 1 : type.shape[type.rank() - 1]);
    block = kLanes * stride;
    if (type.layout == kLayoutN16) { // [N/16][R][16]
      stride = axis == 0 ? size : size * kLanes;
      block = axis == 0 ? size * kLanes * type.shape[1] : kLanes * stride;
    }
  };
  strides(rowAxis, matrix.rowStride, matrix.rowBlock);
  strides(depthAxis, matrix.depthStride, matrix.depthBlock);
  return matrix;
}

/// The last `extent` of a dimension that is cut into pieces of `size`.
int64_t lastPart(int64_t extent, int64_t size) { return (extent - 1) % size + 1; }

class TileMatmulEmitter {
public:
  TileMatmulEmitter(KernelContext &k, const TileMatmul &plan, EpilogueStore &store)
      : k_(k), e(k.e), plan_(plan), store_(store), tiles_(k.e, store, k.symbol),
        chunks_(ceilDiv(plan.rowMatrix.depth, kTileDepth)),
        rowTiles_(ceilDiv(plan.rowMatrix.rows, kTileRows)),
        columnTiles_(ceilDiv(plan.columnMatrix.rows, kTileRows)) {
    for (const TileMatmul::Batch &batch : plan.batches)
      batches_ *= batch.size;
  }

  KernelCode emit(int rowBuffer, int columnBuffer) {
    KernelCode code;
    code.workspaceBytes = batches_ * columnPanels() * panelBytes();
    code.steps = {emitPacking(columnBuffer), emitProduct(rowBuffer)};
    return code;
  }

private:
  int64_t columnPanels() const { return ceilDiv(columnTiles_, kPanelTiles); }
  int64_t groups() const { return ceilDiv(columnPanels(), plan_.groupPanels); }
  /// Packed panels of both operands lie as [chunk][piece][tile].
  int64_t chunkBytes() const { return plan_.pieces * kPanelTiles * kTileBytes; }
  int64_t panelBytes() const { return chunks_ * chunkBytes(); }

  /// The coordinates of a batch; moves an operand to it.
  Values decodeBatch(llvm::Value *batch) {
    Values numbers(plan_.batches.size());
    for (size_t i = numbers.size(); i-- > 0;) {
      numbers[i] = i == 0 ? batch : e.mod(batch, plan_.batches[i].size);
      batch = e.div(batch, plan_.batches[i].size);
    }
    return numbers;
  }
  llvm::Value *atBatch(llvm::Value *operand, const Values &numbers, bool rows) {
    for (size_t i = 0; i < numbers.size(); ++i)
      operand = e.offset(
          operand, e.mul(numbers[i], rows ? plan_.batches[i].rowStride : plan_.batches[i].columnStride));
    return operand;
  }

  /// As packPanel for all chunks, row by row: memory is read as a stream.
  void packRows(const TileMatrix &matrix, llvm::Value *source, llvm::Value *target, int64_t rows) {
    const TilePacking packing{TileForm::Rows, plan_.pieces, kPanelTiles * kTileBytes};
    const int64_t full = matrix.depth / kTileDepth, rest = matrix.depth % kTileDepth;
    e.loop(e.i64(0), e.i64(rows), 1, [&](llvm::Value *row) {
      llvm::Value *from = e.offset(source, e.mul(row, matrix.rowStride));
      llvm::Value *to = e.offset(target, e.mul(row, kTilePitch));
      auto chunk = [&](llvm::Value *number, int64_t depth) {
        emitPackRow(e, matrix, packing, e.offset(from, e.mul(number, 2 * matrix.depthBlock)), depth,
                    e.offset(to, e.mul(number, chunkBytes())));
      };
      if (full)
        e.loop(e.i64(0), e.i64(full), 1, [&](llvm::Value *number) { chunk(number, kTileDepth); });
      if (rest)
        chunk(e.i64(full), rest);
    });
    llvm::Constant *zero = llvm::Constant::getNullValue(e.vectorType(DType::F32));
    if (rows % kTileRows != 0)
      e.loop(e.i64(rows), e.i64(ceilDiv(rows, kTileRows) * kTileRows), 1, [&](llvm::Value *row) {
        e.loop(e.i64(0), e.i64(chunks_ * plan_.pieces), 1, [&](llvm::Value *piece) {
          e.b.CreateAlignedStore(
              zero, e.offset(target, e.add(e.mul(row, kTilePitch), e.mul(piece, kPanelTiles * kTileBytes))),
              llvm::Align(64));
        });
      });
  }

  /// Packs `count` tiles side by side, the last of `lastRows` rows, for chunks low … high.
  void packPanel(const TileMatrix &matrix, TileForm form, llvm::Value *source, llvm::Value *target,
                 int64_t count, int64_t lastRows, llvm::Value *low, llvm::Value *high) {
    const TilePacking packing{form, plan_.pieces, kPanelTiles * kTileBytes};
    auto chunk = [&](llvm::Value *number, int64_t depth) {
      for (int64_t tile = 0; tile < count; ++tile)
        emitPackTile(
            e, matrix, packing,
            e.offset(source, e.add(e.mul(number, 2 * matrix.depthBlock), e.i64(tile * matrix.rowBlock))),
            tile + 1 == count ? lastRows : kTileRows, depth,
            e.offset(target, e.add(e.mul(number, chunkBytes()), e.i64(tile * kTileBytes))));
    };
    const int64_t full = matrix.depth / kTileDepth, rest = matrix.depth % kTileDepth;
    auto atMost = [&](int64_t bound) {
      return e.b.CreateSelect(e.b.CreateICmpSLT(high, e.i64(bound)), high, e.i64(bound));
    };
    if (full)
      e.loop(low, atMost(full), 1, [&](llvm::Value *number) { chunk(number, kTileDepth); });
    if (rest)
      emitIf(
          e, e.b.CreateICmpEQ(high, e.i64(full + 1)), [&] { chunk(e.i64(full), rest); }, [] {});
  }

  /// Panels of 2 tiles, and the last one where it is different: f(number of the first tile, tiles, rows of the last).
  using OnPanel = std::function<void(llvm::Value *panel, int64_t tiles, int64_t lastRows)>;
  void switchPanel(llvm::Value *panel, int64_t extent, const OnPanel &f) {
    const int64_t tiles = ceilDiv(extent, kTileRows), panels = ceilDiv(tiles, kPanelTiles);
    const int64_t lastTiles = lastPart(tiles, kPanelTiles), lastRows = lastPart(extent, kTileRows);
    auto last = [&] { f(e.i64(panels - 1), lastTiles, lastRows); };
    if (panels == 1)
      return last();
    if (lastTiles == kPanelTiles && lastRows == kTileRows)
      return f(panel, kPanelTiles, kTileRows);
    emitIf(
        e, e.b.CreateICmpSLT(panel, e.i64(panels - 1)), [&] { f(panel, kPanelTiles, kTileRows); }, last);
  }

  KernelStep emitPacking(int columnBuffer) {
    const int64_t pieces = ceilDiv(chunks_, kPackChunks);
    KernelStep step{.symbol = k_.symbol + ".pack", .items = batches_ * columnPanels() * pieces};
    constexpr double kSecondsPerTile = 30e-9;
    step.work = kSecondsPerTile * static_cast<double>(batches_ * columnTiles_ * chunks_ * plan_.pieces);
    e.beginKernel(step.symbol);
    llvm::Value *source = e.buffer(columnBuffer), *target = e.buffer(k_.workspaceBuffer());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *low = e.mul(e.mod(item, pieces), kPackChunks);
      llvm::Value *end = e.add(low, e.i64(kPackChunks));
      llvm::Value *high = e.b.CreateSelect(e.b.CreateICmpSLT(end, e.i64(chunks_)), end, e.i64(chunks_));
      llvm::Value *panel = e.div(item, pieces);
      llvm::Value *from = atBatch(source, decodeBatch(e.div(panel, columnPanels())), false);
      llvm::Value *to = e.offset(target, e.mul(panel, panelBytes()));
      switchPanel(e.mod(panel, columnPanels()), plan_.columnMatrix.rows,
                  [&](llvm::Value *number, int64_t tiles, int64_t lastRows) {
                    packPanel(plan_.columnMatrix, TileForm::Columns,
                              e.offset(from, e.mul(number, kPanelTiles * plan_.columnMatrix.rowBlock)), to,
                              tiles, lastRows, low, high);
                  });
    });
    e.endFunction();
    return step;
  }

  KernelStep emitProduct(int rowBuffer) {
    const int64_t rowPanels = ceilDiv(rowTiles_, kPanelTiles);
    KernelStep step{.symbol = k_.symbol,
                    .items = batches_ * groups() * rowPanels,
                    .scratchBytes = kSumBytes + panelBytes()};
    e.beginKernel(step.symbol);
    llvm::Value *source = e.buffer(rowBuffer), *columns = e.buffer(k_.workspaceBuffer());
    llvm::Value *sums = e.scratch(), *packed = e.offset(sums, kSumBytes);
    emitTileBegin(e);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *rest = e.div(item, rowPanels), *batch = e.div(rest, groups());
      llvm::Value *first = e.mul(e.mod(rest, groups()), plan_.groupPanels);
      const Values numbers = decodeBatch(batch);
      llvm::Value *rows = atBatch(source, numbers, true);
      llvm::Value *panels = e.offset(columns, e.mul(batch, columnPanels() * panelBytes()));
      switchPanel(e.mod(item, rowPanels), plan_.rowMatrix.rows,
                  [&](llvm::Value *panel, int64_t tiles, int64_t lastRows) {
                    packRowPanel(e.offset(rows, e.mul(panel, kPanelTiles * plan_.rowMatrix.rowBlock)), packed,
                                 tiles, lastRows);
                    TileKernels::Args args{packed, panels, e.argument(1), numbers, sums};
                    args.numbers.push_back(e.mul(panel, kPanelTiles * kTileRows));
                    emitColumns(args, first, tiles, (tiles - 1) * kTileRows + lastRows);
                  });
    });
    emitTileEnd(e);
    e.endFunction();
    return step;
  }

  void packRowPanel(llvm::Value *source, llvm::Value *target, int64_t tiles, int64_t lastRows) {
    if (plan_.rowMatrix.depthContiguous())
      packRows(plan_.rowMatrix, source, target, (tiles - 1) * kTileRows + lastRows);
    else
      packPanel(plan_.rowMatrix, TileForm::Rows, source, target, tiles, lastRows, e.i64(0), e.i64(chunks_));
  }

  /// A panel of rows by the group of column panels that begins at `first`.
  void emitColumns(const TileKernels::Args &args, llvm::Value *first, int64_t tiles, int64_t rows) {
    auto call = [&](llvm::Value *panel, int64_t columnTiles, int64_t lanes) {
      if (plan_.columnAxis != plan_.rank - 1) // n16: the epilogue knows which examples exist
        lanes = kVectorLanes;
      TileKernels::Args inner = args;
      inner.column = e.offset(args.column, e.mul(panel, panelBytes()));
      inner.numbers.push_back(e.mul(panel, kPanelTiles));
      tiles_.call(fmt::format("{}x{}{}", rows, columnTiles, lanes == kVectorLanes ? "" : "m"), inner,
                  [&](const TileKernels::Args &a) { block(a, tiles, rows, columnTiles, lanes); });
    };
    if (groups() == 1 && columnPanels() == 1) {
      switchPanel(e.i64(0), plan_.columnMatrix.rows, call);
      return;
    }
    llvm::Value *end = e.add(first, e.i64(plan_.groupPanels));
    end = e.b.CreateSelect(e.b.CreateICmpSLT(end, e.i64(columnPanels())), end, e.i64(columnPanels()));
    e.loop(first, end, 1, [&](llvm::Value *panel) { switchPanel(panel, plan_.columnMatrix.rows, call); });
  }

  /// One block of sums and its epilogue. The last number is the column's tile, the one before it the row.
  void block(const TileKernels::Args &args, int64_t tiles, int64_t rows, int64_t columnTiles, int64_t lanes) {
    auto indices = [&](llvm::Value *row) {
      std::vector<LaneIndex> at;
      for (int64_t j = 0; j < columnTiles; ++j)
        at.push_back(indexOf(args, row, j, j + 1 == columnTiles ? lanes : kVectorLanes));
      return at;
    };
    TileBlock shape{.rowTiles = static_cast<int>(tiles),
                    .columnTiles = static_cast<int>(columnTiles),
                    .pieces = plan_.pieces,
                    .columnsAreLhs = plan_.columnOperand == 0};
    shape.a.pieceStride = shape.b.pieceStride = kPanelTiles * kTileBytes;
    if (store_.prefetches())
      e.loop(e.i64(0), e.i64(rows), 1, [&](llvm::Value *row) {
        std::vector<TileVector> announced;
        for (LaneIndex &at : indices(row))
          announced.push_back({nullptr, std::move(at)});
        store_.prefetch(announced);
      });
    TileProduct product(e, shape, args.partials);
    product.zero();
    e.loop(e.i64(0), e.i64(chunks_), 1, {args.row, args.column}, [&](llvm::Value *, const Values &at) {
      product.step(at[0], at[1]);
      return Values{e.offset(at[0], chunkBytes()), e.offset(at[1], chunkBytes())};
    });
    product.store();
    emitStoreRows(e, store_, args.partials, kSumPitch, rows, indices);
  }

  LaneIndex indexOf(const TileKernels::Args &args, llvm::Value *row, int64_t column, int64_t lanes) {
    LaneMath math(e);
    const size_t batches = plan_.batches.size();
    std::vector<LaneValue> dims(plan_.rank, math.constant(0));
    for (size_t i = 0; i < batches; ++i)
      dims[plan_.batches[i].axis] = math.uniform(args.numbers[i]);
    dims[plan_.rowAxis] = math.uniform(e.add(args.numbers[batches], row));
    dims[plan_.columnAxis] =
        math.consecutive(e.mul(e.add(args.numbers[batches + 1], e.i64(column)), kVectorLanes), kVectorLanes);
    LaneIndex index =
        LaneIndex::of(std::move(dims), lanes == kVectorLanes ? nullptr : e.laneMask(static_cast<int>(lanes)));
    index.groups[plan_.rowAxis].count = plan_.rowDims;
    return index;
  }

  KernelContext &k_;
  Emit &e;
  const TileMatmul &plan_;
  EpilogueStore &store_;
  TileKernels tiles_;
  int64_t batches_ = 1, chunks_, rowTiles_, columnTiles_;
};

/// As many column panels as half of the cache holds, fewer where items would be too few for many threads.
int64_t groupPanelsFor(const TileMatmul &plan, int64_t l2Bytes) {
  const int64_t panelBytes =
      ceilDiv(plan.columnMatrix.depth, kTileDepth) * plan.pieces * kPanelTiles * kTileBytes;
  const int64_t panels = ceilDiv(plan.columnMatrix.rows, kPanelTiles * kTileRows);
  int64_t items = ceilDiv(plan.rowMatrix.rows, kPanelTiles * kTileRows);
  for (const TileMatmul::Batch &batch : plan.batches)
    items *= batch.size;
  const int64_t fitting = std::max<int64_t>(1, l2Bytes / 2 / panelBytes);
  const int64_t groups =
      std::max(ceilDiv(panels, fitting), std::min(panels, ceilDiv(kEnoughItems / 2, items)));
  return ceilDiv(panels, groups);
}

} // namespace

ValueId packedFrom(const Function &fn, ValueId factor) {
  const OpId def = fn[factor].def;
  return def != kNoOp && fn[def].def->name == "cast" ? fn[def].operands[0] : factor;
}

TileMatmul planTileMatmul(const Function &fn, OpId op, int64_t l2Bytes) {
  const OpData &data = fn[op];
  const Dict attrs = withDefaults(*data.def, data.attrs);
  const Type &a = fn.type(packedFrom(fn, data.operands[0])), &b = fn.type(packedFrom(fn, data.operands[1]));
  const Type &result = fn.type(data.results[0]);
  const int whole = result.rank(), rank = b.rank(); // one b for all rows: they are one dimension
  const bool transposeA = attrs.flag("transpose_a"), transposeB = attrs.flag("transpose_b");
  TileMatrix ofA = tileMatrix(a, transposeA ? whole - 1 : whole - 2, transposeA ? whole - 2 : whole - 1);
  const TileMatrix ofB = tileMatrix(b, transposeB ? rank - 2 : rank - 1, transposeB ? rank - 1 : rank - 2);
  if (rank < whole)
    ofA.rows = result.elements() / result.shape[whole - 1];
  const bool lanesAreRows = result.layout == kLayoutN16; // then the result's rows are the tiles' columns
  TileMatmul plan;
  plan.rank = rank;
  plan.rowDims = whole - rank + 1;
  plan.rowMatrix = lanesAreRows ? ofB : ofA;
  plan.columnMatrix = lanesAreRows ? ofA : ofB;
  plan.rowOperand = lanesAreRows ? 1 : 0;
  plan.columnOperand = 1 - plan.rowOperand;
  plan.rowAxis = lanesAreRows ? rank - 1 : rank - 2;
  plan.columnAxis = lanesAreRows ? rank - 2 : rank - 1;
  plan.pieces = fn.type(data.operands[0]).dtype == DType::F32 ? 3 : 1;
  int64_t strideA = a.shape[whole - 2] * a.shape[whole - 1] * static_cast<int64_t>(dtypeSize(a.dtype));
  int64_t strideB = b.shape[rank - 2] * b.shape[rank - 1] * static_cast<int64_t>(dtypeSize(b.dtype));
  for (int axis = rank - 3; axis >= 0; --axis) {
    plan.batches.insert(plan.batches.begin(), {axis, result.shape[axis], strideA, strideB});
    strideA *= result.shape[axis];
    strideB *= result.shape[axis];
  }
  plan.groupPanels = groupPanelsFor(plan, l2Bytes);
  return plan;
}

KernelCode emitTileMatmul(KernelContext &k, const TileMatmul &plan, EpilogueStore &store, int rowBuffer,
                          int columnBuffer) {
  return TileMatmulEmitter(k, plan, store).emit(rowBuffer, columnBuffer);
}

} // namespace gradc
