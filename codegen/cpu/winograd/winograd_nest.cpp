#include "codegen/cpu/winograd/winograd_nest.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/winograd.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4, kVector = kVectorLanes * kFloat;

/// Columns of V that a scalar of U must meet at least to be worth its way from L3.
constexpr int64_t kFewestColumns = 3;
/// Items below which channels are split, though each part's worker then makes its own V.
constexpr int64_t kFewestItems = 4;

/// Into groups of at most so many, or of a register tile's.
void cutTiles(WinogradNest &nest, int64_t most) {
  const int64_t width = nest.tile.vectors;
  const int64_t groups = ceilDiv(nest.tiles(), std::max(width, most / width * width));
  nest.columns = ceilDiv(ceilDiv(nest.tiles(), groups), width) * width;
}

/// M of an item and U of a chunk stay in L2: of panels enough to meet each vector of V that comes from L3, and of as many
/// tiles as that allows, for each of whose groups U is made anew.
void blockFar(WinogradNest &nest, int64_t l2Bytes) {
  constexpr int64_t kFewestPanels = 4, kEnoughItems = 8, kChunk = 128;
  nest.far = true;
  const int64_t columnBytes = nest.algorithm.points() * nest.tile.rows * kVector; // of a panel
  cutTiles(nest, l2Bytes / 2 / kFewestPanels / columnBytes);
  const int64_t all = countTiles(nest.panelRuns());
  nest.panels =
      std::clamp<int64_t>(l2Bytes / 2 / (nest.columns * columnBytes), 1, ceilDiv(all, kEnoughItems));
  nest.chunk = ceilDiv(ceilDiv(nest.depth, ceilDiv(nest.depth, kChunk)), kVectorLanes) * kVectorLanes;
  nest.chunk = std::min(nest.depth, nest.chunk);
}

/// While V stays in L2, a panel at a time keeps M near, too. Where the operand has more channels, all panels take part, so
/// that each plane of V is read once; with still more, the nest is far, if V of all tiles is not too large.
void blockForCache(WinogradNest &nest, int64_t l2Bytes) {
  constexpr int64_t kMostInL2 = 32, kChunk = 16;
  const int64_t columnBytes = nest.algorithm.points() * nest.depth * kVector, width = nest.tile.vectors;
  const int64_t columns = std::max(kFewestColumns, l2Bytes * 45 / 100 / columnBytes);
  cutTiles(nest, std::min(columns, ceilDiv(nest.tiles(), 2 * width) * width));
  const int64_t bytes = nest.columns * columnBytes, all = countTiles(nest.panelRuns());
  nest.panels = std::min(bytes <= l2Bytes / 2 ? 1 : all, ceilDiv(all, ceilDiv(kFewestItems, nest.groups())));
  nest.chunk = kChunk - kChunk % WinogradNest::depthsOfVector(nest.tile.rows);
  if (bytes > l2Bytes * 9 / 10 && nest.tiles() * columnBytes <= kMostInL2 * l2Bytes)
    blockFar(nest, l2Bytes);
}

} // namespace

int64_t WinogradNest::tileRows() const { return ceilDiv(outHeight, algorithm.tile); }
int64_t WinogradNest::tileColumns() const { return ceilDiv(outWidth, algorithm.width); }
int64_t WinogradNest::weightPlane() const {
  return winogradPlane((far ? panels : countTiles(panelRuns())) * weightPanel());
}
int64_t WinogradNest::operandPlane() const {
  return winogradPlane((far ? groups() : 1) * columns * depth * kVector);
}
int64_t WinogradNest::productPlane() const { return winogradPlane(panels * tile.rows * columns * kVector); }
int64_t WinogradNest::inRow() const { return inWidth * kVector; }
int64_t WinogradNest::inChannel() const { return inHeight * inRow(); }

WinogradNest planWinograd(const Function &fn, OpId id, RegisterTile tile, int64_t l2Bytes) {
  CHECK(!winogradObjection(fn, id));
  const OpData &op = fn[id];
  const Shape &in = fn.type(op.operands[0]).shape, &w = fn.type(op.operands[1]).shape,
              &out = fn.type(op.results[0]).shape;
  const std::vector<int64_t> padding = withDefaults(*op.def, op.attrs).ints("padding");
  WinogradNest nest;
  nest.turned = op.def->name == "conv2d_grad_input";
  nest.blocks = ceilDiv(out[0], kLanes);
  nest.channels = out[1];
  nest.depth = in[1];
  nest.inHeight = in[2];
  nest.inWidth = in[3];
  nest.outHeight = out[2];
  nest.outWidth = out[3];
  nest.algorithm = winogradOf(fn, id);
  // Tap t of a gradient reads position h + padding - t; read backwards, its kernel begins at h + padding - (r - 1).
  const int64_t last = nest.algorithm.kernel - 1;
  nest.inTop = nest.turned ? padding[0] - last : -padding[0];
  nest.inLeft = nest.turned ? padding[2] - last : -padding[2];
  const int64_t channel = nest.algorithm.taps() * kFloat, filter = w[1] * channel;
  nest.weightChannel = nest.turned ? channel : filter;
  nest.weightDepth = nest.turned ? filter : channel;
  nest.tile = {std::min(tile.rows, kVectorLanes), tile.vectors};
  nest.tile.rows = nest.panelRuns().front().size; // the largest
  blockForCache(nest, l2Bytes);
  return nest;
}

WinogradPlace winogradPlace(Emit &e, const WinogradNest &nest, llvm::Value *tile) {
  llvm::Value *rest = e.div(tile, nest.tileColumns());
  return {e.div(rest, nest.tileRows()), e.mul(e.mod(rest, nest.tileRows()), nest.algorithm.tile),
          e.mul(e.mod(tile, nest.tileColumns()), nest.algorithm.width)};
}

llvm::Value *winogradCorner(Emit &e, const WinogradNest &nest, const WinogradPlace &place) {
  llvm::Value *row = e.add(place.row, e.i64(nest.inTop)), *column = e.add(place.column, e.i64(nest.inLeft));
  return e.add(e.mul(place.block, nest.depth * nest.inChannel()),
               e.add(e.mul(row, nest.inRow()), e.mul(column, kVector)));
}

llvm::Value *winogradColumn(Emit &e, const WinogradNest &nest, llvm::Value *column) {
  const int64_t width = nest.tile.vectors;
  return e.add(e.mul(e.div(column, width), nest.depth * width * kVector),
               e.mul(e.mod(column, width), kVector));
}

} // namespace gradc
