#include "ir/contraction.h"

#include <algorithm>
#include <bit>

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"

namespace gradc {
namespace {

bool isN16(const Type &type) { return type.layout == kLayoutN16; }
bool isRowMajor(const Type &type) { return type.layout.empty(); }

ContractionShape matmulShape(const Type &a, const Type &b, const Type &result, const Dict &attrs,
                             const ReductionOrder &order) {
  const int rank = result.rank();
  const int64_t rows = result.shape[rank - 2], columns = result.shape[rank - 1];
  const bool transposeA = attrs.flag("transpose_a"), transposeB = attrs.flag("transpose_b");
  if (rank > b.rank()) { // one b for all rows
    if (!isRowMajor(result) || !isRowMajor(a) || !isRowMajor(b))
      return {};
    return {transposeB ? ContractionForm::PackedLanes : ContractionForm::ColumnLanes,
            result.elements() / columns, laneBlocks(columns)};
  }
  if (order.lanes != 1) {
    // Rows that memory sends side by side: 15 of 4 to 8 KiB take a fifth longer (docs/tuning.md).
    constexpr int64_t kStreams = 8;
    if (isRowMajor(a) && isRowMajor(b) && isRowMajor(result))
      return {ContractionForm::DotLanes, columns, rows, kStreams};
    return {};
  }
  if (rank > 2 && isN16(a) && isN16(b) && isN16(result))
    return {ContractionForm::ExampleLanes, rows, columns};
  // Of a matrix in n16, whose lines a tile takes one after the other: more of them would all be waited for at once.
  constexpr int64_t kRun = 8;
  if (rank == 2 && isN16(b) && !hasPadding(b) && isN16(result) && isN16(a) && !transposeA)
    return {.form = ContractionForm::BatchLanes,
            .rows = columns,
            .columns = laneBlocks(rows),
            .maxTileRows = transposeB ? kLanes : kRun,
            .rowsInBlocks = transposeB};
  if (rank == 2 && isN16(b) && isN16(result) && isN16(a) && transposeA && !transposeB && !hasPadding(result))
    return {ContractionForm::UnitLanes, columns, 1, kRun};
  if (rank == 2 && isN16(result) && isN16(a) && !transposeA && isRowMajor(b)) {
    ContractionShape shape{ContractionForm::BatchLanes, columns, laneBlocks(rows)};
    // Lines a page apart share a set of L1, which has eight ways or more.
    constexpr int64_t kPage = 1024, kWays = 8; // elements
    if (transposeB && b.shape[1] % kPage == 0)
      shape.maxTileRows = kWays;
    return shape;
  }
  const bool simpleA = isRowMajor(a) || (rank == 2 && isN16(a) && transposeA);
  if (!isRowMajor(result) || !isRowMajor(b) || !simpleA)
    return {};
  return {transposeB ? ContractionForm::PackedLanes : ContractionForm::ColumnLanes, rows,
          laneBlocks(columns)};
}

ContractionShape convShape(const Type &operand, const Type &weights, const Type &result, const Dict &attrs,
                           bool gradient) {
  if (operand.layout != result.layout || !isRowMajor(weights))
    return {};
  const std::vector<int64_t> stride = attrs.ints("stride"), dilation = attrs.ints("dilation");
  if (gradient && ((stride[0] > 1 && dilation[0] > 1) || (stride[1] > 1 && dilation[1] > 1)))
    return {};
  const int64_t channels = result.shape[1] / attrs.i64("groups");
  if (isN16(result))
    return {ContractionForm::Conv, channels, result.shape[3]};
  const int64_t height = result.shape[2], width = result.shape[3];
  const bool flat = stride[0] == 1 && stride[1] == 1 && width == operand.shape[3]; // rows follow each other
  const int64_t vectors = flat ? laneBlocks(height * width) : width <= kLanes ? height : laneBlocks(width);
  return {ContractionForm::ConvPixels, channels, vectors};
}

ContractionShape convWeightShape(const Type &x, const Type &dy, const Type &result, const Dict &attrs) {
  if (!isN16(x) || !isN16(dy) || !isRowMajor(result))
    return {};
  constexpr int64_t kFewTaps = 9;
  const int64_t rows = dy.shape[1] / attrs.i64("groups"), taps = result.shape[2] * result.shape[3];
  // Channels a power of two apart share sets of L1, and the input needs some of their ways, too.
  constexpr int64_t kWays = 8;
  if (taps == 1)
    return {ContractionForm::ConvWeight, rows, result.shape[1], kWays};
  // Larger maps go by bands, kernel row by kernel row.
  constexpr int64_t kSmallMap = 1024;
  if (taps <= kFewTaps && dy.shape[2] * dy.shape[3] <= kSmallMap)
    return {ContractionForm::ConvTaps, rows, taps};
  return {ContractionForm::ConvWeight, rows, result.shape[3], kWays};
}

/// A convolution in one group, without gaps between taps.
bool isDense(const Dict &attrs) {
  const std::vector<int64_t> dilation = attrs.ints("dilation");
  return attrs.i64("groups") == 1 && dilation[0] == 1 && dilation[1] == 1;
}

/// Pictures in n16, weights row-major.
bool hasTileLayouts(const OpDef &conv, std::span<const Type> operands, const Type &result) {
  const bool ofWeights = conv.name == "conv2d_grad_weight";
  return isN16(operands[0]) && isN16(ofWeights ? operands[1] : result) &&
         isRowMajor(ofWeights ? result : operands[1]);
}

} // namespace

RowOperand ContractionShape::rowOperand() const {
  switch (form) {
  case ContractionForm::DotLanes:
  case ContractionForm::ExampleLanes:
  case ContractionForm::ConvWeight: return RowOperand::Vector;
  case ContractionForm::ConvTaps: return RowOperand::StreamedVector;
  default: return RowOperand::Scalar;
  }
}

ContractionShape contractionShape(const OpDef &def, std::span<const Type> operands, const Type &result,
                                  const Dict &attrs) {
  if (operands[0].dtype == DType::BF16 && suitsTiles(def, operands, result, attrs))
    return {ContractionForm::Tiles};
  if (result.dtype != DType::F32 || operands[0].dtype != DType::F32 || operands[1].dtype != DType::F32)
    return {};
  const Dict full = withDefaults(def, attrs);
  if (def.name == "matmul")
    return matmulShape(operands[0], operands[1], result, full, reductionOrder(def, operands, full));
  if (def.name == "conv2d")
    return convShape(operands[0], operands[1], result, full, false);
  if (def.name == "conv2d_grad_input")
    return convShape(operands[0], operands[1], result, full, true);
  if (def.name == "conv2d_grad_weight")
    return convWeightShape(operands[0], operands[1], result, full);
  return {};
}

bool suitsPixels(const Function &fn, OpId op) {
  const OpData &data = fn[op];
  auto fits = [&](ValueId v) { return isRowMajor(fn.type(v)) && fn.type(v).dtype == DType::F32; };
  return data.def->name == "conv2d_grad_weight" && std::ranges::all_of(data.operands, fits) &&
         fits(data.results[0]);
}

ContractionShape pixelsShape(const Function &fn, OpId op) {
  const Shape &weights = fn.type(fn[op].results[0]).shape;
  const int64_t rows = weights[0] / withDefaults(*fn[op].def, fn[op].attrs).i64("groups"),
                taps = weights[2] * weights[3];
  if (taps == 1)
    return {ContractionForm::ConvWeight, rows, weights[1]};
  return {ContractionForm::ConvTaps, rows, taps};
}

RegisterTile chooseTile(const ContractionShape &shape, const VectorUnit &unit) {
  const int64_t rows = shape.rowsInBlocks ? std::min(shape.rows, kLanes) : shape.rows;
  return legalTile(shape, chooseTile(rows, shape.columns, unit, shape.rowOperand(), shape.maxTileRows));
}

RegisterTile legalTile(const ContractionShape &shape, RegisterTile tile) {
  if (shape.rowsInBlocks)
    tile.rows = static_cast<int>(std::bit_floor(static_cast<unsigned>(std::min<int64_t>(tile.rows, kLanes))));
  return tile;
}

bool suitsTiles(const OpDef &def, std::span<const Type> operands, const Type &result, const Dict &attrs) {
  if (result.dtype != DType::F32)
    return false;
  if (def.name != "matmul")
    return operands[0].dtype == DType::BF16 && isDense(withDefaults(def, attrs)) &&
           hasTileLayouts(def, operands, result);
  // In n16 a matrix is one of rank 2.
  return (result.rank() == 2 && operands[1].rank() == 2) ||
         (isRowMajor(operands[0]) && isRowMajor(operands[1]) && isRowMajor(result));
}

bool suitsTiles(const Function &fn, OpId op) {
  const Type operands[] = {fn.type(fn[op].operands[0]), fn.type(fn[op].operands[1])};
  return suitsTiles(*fn[op].def, operands, fn.type(fn[op].results[0]), fn[op].attrs);
}

bool tilesPay(const Function &fn, OpId op) {
  const OpData &data = fn[op];
  if (data.def->name == "matmul")
    return true;
  // Fewer channels leave most of a tile empty, and packing them takes longer than the convolution.
  constexpr int64_t kFewestChannels = 16;
  const bool ofWeights = data.def->name == "conv2d_grad_weight";
  const Shape &weights = fn.type(ofWeights ? data.results[0] : data.operands[1]).shape;
  return isDense(withDefaults(*data.def, data.attrs)) && std::min(weights[0], weights[1]) >= kFewestChannels;
}

ContractionShape contractionShape(const Function &fn, OpId op) {
  const Type operands[] = {fn.type(fn[op].operands[0]), fn.type(fn[op].operands[1])};
  return contractionShape(*fn[op].def, operands, fn.type(fn[op].results[0]), fn[op].attrs);
}

std::string_view contractionFormName(ContractionForm form) {
  switch (form) {
  case ContractionForm::Generic: return "generic";
  case ContractionForm::BatchLanes: return "batch_lanes";
  case ContractionForm::ColumnLanes: return "column_lanes";
  case ContractionForm::PackedLanes: return "packed_lanes";
  case ContractionForm::DotLanes: return "dot_lanes";
  case ContractionForm::UnitLanes: return "unit_lanes";
  case ContractionForm::ExampleLanes: return "example_lanes";
  case ContractionForm::ConvPixels: return "conv_pixels";
  case ContractionForm::Conv: return "conv";
  case ContractionForm::ConvWeight: return "conv_weight";
  case ContractionForm::ConvTaps: return "conv_taps";
  case ContractionForm::ChannelLanes: return "channel_lanes";
  case ContractionForm::Tiles: return "tiles";
  }
  return "generic";
}

OpId findContraction(const Function &fn, RegionId region) {
  for (OpId op : fn[region].ops)
    if (fn[op].def->is(kContraction))
      return op;
  return kNoOp;
}

bool isContractionKernel(const OpData &kernel) {
  const std::string &kind = kernel.attrs.str("kind");
  return kind == "contract" || kind == "pair";
}

bool isPackedInputGradient(const Function &fn, OpId op) {
  return fn[op].def->name == "matmul" && !fn[op].attrs.flag("transpose_b") &&
         isN16(fn.type(fn[op].operands[1])) && contractionShape(fn, op).form == ContractionForm::BatchLanes;
}

bool isPackedWeightGradient(const Function &fn, OpId op) {
  return contractionShape(fn, op).form == ContractionForm::UnitLanes;
}

std::optional<GradientPair> findGradientPair(const Function &fn, RegionId region) {
  std::vector<OpId> contractions;
  for (OpId op : fn[region].ops)
    if (fn[op].def->is(kContraction))
      contractions.push_back(op);
  if (contractions.size() != 2)
    return std::nullopt;
  const GradientPair pair{contractions[0], contractions[1]};
  if (!isPackedInputGradient(fn, pair.input) || !isPackedWeightGradient(fn, pair.weights))
    return std::nullopt;
  const std::vector<ValueId> &toInput = fn[pair.input].operands, &toWeights = fn[pair.weights].operands;
  auto isArgument = [&](ValueId v) { return fn[v].def == kNoOp; };
  if (toInput[0] != toWeights[0] || !(fn.type(toInput[1]) == fn.type(fn[pair.weights].results[0])) ||
      !isArgument(toInput[0]) || !isArgument(toInput[1]) || !isArgument(toWeights[1]))
    return std::nullopt;
  const std::vector<bool> ofInput = descendants(fn, region, pair.input),
                          ofWeights = descendants(fn, region, pair.weights);
  const bool apart = std::ranges::all_of(fn[region].yields,
                                         [&](ValueId v) { return ofInput[index(v)] != ofWeights[index(v)]; });
  return apart ? std::optional(pair) : std::nullopt;
}

std::vector<bool> descendants(const Function &fn, RegionId region, OpId op) {
  std::vector<bool> made(fn.numValues());
  for (OpId inner : fn[region].ops)
    if (inner == op || std::ranges::any_of(fn[inner].operands, [&](ValueId v) { return made[index(v)]; }))
      for (ValueId v : fn[inner].results)
        made[index(v)] = true;
  return made;
}

} // namespace gradc
