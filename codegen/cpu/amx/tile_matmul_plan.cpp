#include <algorithm>
#include <optional>

#include "codegen/cpu/amx/tile_matmul.h"
#include "codegen/cpu/amx/tile_product.h"
#include "codegen/cpu/tile_unit.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

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

constexpr int64_t kPanelTiles = 2, kPanelRows = kPanelTiles * kTileRows;

/// How many panels of both operands an item has, and how much of the depth at a time.
class Grouping {
public:
  Grouping(TileMatmul &plan, const CpuTarget &target)
      : plan_(plan), target_(target), l2Bytes_(target.l2Bytes),
        chunks_(ceilDiv(plan.rowMatrix.depth, kTileDepth)),
        rowPanels_(ceilDiv(plan.rowMatrix.rows, kPanelRows)),
        columnPanels_(ceilDiv(plan.columnMatrix.rows, kPanelRows)) {
    for (const TileMatmul::Batch &batch : plan.batches)
      batches_ *= batch.size;
  }

  void choose() {
    if (!hasTileUnit(target_) && plan_.pieces == 1 && plan_.batches.empty())
      if (const auto walk = walkOfFewExamples()) {
        plan_.walk = *walk;
        return;
      }
    const int64_t fitting = std::max<int64_t>(1, l2Bytes_ / 2 / (chunks_ * chunkBytes()));
    // Two groups pack all rows twice, but beside products; that is less than sums that wait in memory.
    if (rowPanels_ > 1 && (2 * fitting < columnPanels_ || readsFarRows()))
      return chooseDeep();
    // As many column panels as half of the cache holds, fewer where items would be too few for many threads.
    constexpr int64_t kEnoughItems = 16;
    const int64_t groups = std::max(ceilDiv(columnPanels_, fitting),
                                    std::min(columnPanels_, ceilDiv(kEnoughItems, batches_ * rowPanels_)));
    plan_.groupPanels = ceilDiv(columnPanels_, groups);
  }

private:
  int64_t chunkBytes() const { return plan_.pieces * kPanelTiles * kTileBytes; }

  /// Of few examples and a large matrix, by vector code: their product, its gradient, or the gradient towards its input.
  std::optional<TileMatmul::Walk> walkOfFewExamples() const {
    constexpr int64_t kLongRow = 64, kFewExamples = 64;
    const TileMatrix &rows = plan_.rowMatrix, &columns = plan_.columnMatrix;
    const bool examplesInLanes = plan_.columnAxis != plan_.rank - 1;
    if (!examplesInLanes && chunks_ == 1 && columns.rows >= kLongRow &&
        rows.rows * columns.rows * 4 > l2Bytes_)
      return TileMatmul::Walk::Shallow;
    if (!examplesInLanes || columns.rows > kFewExamples)
      return std::nullopt;
    // Whole rows packed ahead are as good as long as the matrix is not much larger than the cache.
    if (rows.depthContiguous() && bytesOf(rows) > 2 * l2Bytes_)
      return TileMatmul::Walk::Rows;
    if (readsFarRows() && rows.depthBlock == kTileRows * rows.depthStride)
      return TileMatmul::Walk::Strips;
    return std::nullopt;
  }

  /// A panel would take a line or two of each row of a matrix that is larger than the cache: several panels take more.
  bool readsFarRows() const {
    return !plan_.rowMatrix.depthContiguous() && bytesOf(plan_.rowMatrix) > l2Bytes_;
  }

  static int64_t bytesOf(const TileMatrix &matrix) {
    return matrix.rows * matrix.depth * static_cast<int64_t>(dtypeSize(matrix.dtype));
  }

  /// The least packing and reading whose sums take a quarter of the cache, and what a block of the depth takes another
  /// half; a panel of columns stays in L1 for all of rows.
  void chooseDeep() {
    plan_.walk = TileMatmul::Walk::Deep;
    constexpr int64_t kEnoughItems = 4, kPanelBytes = 32 << 10;
    constexpr double kReadCost = 0.3; // of a packed tile, where packing one is 1
    double best = 0;
    for (int64_t rows = 1; rows <= rowPanels_; ++rows)
      for (int64_t columns = 1; columns <= columnPanels_; ++columns) {
        const int64_t rowGroups = ceilDiv(rowPanels_, rows), columnGroups = ceilDiv(columnPanels_, columns);
        const bool enough = batches_ * rowGroups * columnGroups >= kEnoughItems || rows * columns == 1;
        if (!enough || rows * columns * kSumBytes > l2Bytes_ / 4)
          continue;
        const double cost = static_cast<double>(rowPanels_ * columnGroups) +
                            kReadCost * static_cast<double>(columnPanels_ * rowGroups);
        if (plan_.blockChunks != 0 && cost >= best)
          continue;
        best = cost;
        plan_.groupRows = rows;
        plan_.groupPanels = columns;
        plan_.blockChunks = std::clamp<int64_t>(l2Bytes_ / 2 / ((rows + columns) * chunkBytes()), 1,
                                                kPanelBytes / chunkBytes());
      }
  }

  TileMatmul &plan_;
  const CpuTarget &target_;
  int64_t l2Bytes_, chunks_, rowPanels_, columnPanels_, batches_ = 1;
};

} // namespace

TileMatmul planTileMatmul(const Function &fn, OpId op, const CpuTarget &target) {
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
  Grouping(plan, target).choose();
  return plan;
}

} // namespace gradc
