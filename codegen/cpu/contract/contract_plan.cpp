#include "codegen/cpu/contract/contract_plan.h"

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4;
constexpr int64_t kVector = kVectorLanes * kFloat; // a pixel of 16 images, or 16 neighbours of a row

/// A contraction op with its types and complete attributes.
struct Operation {
  const Type &a, &b, &result;
  Dict attrs;
  ReductionOrder order;
};

/// Cuts the depth of a product into segments: a leading dimension of what is stored.
void cutDepth(MatmulNest &nest, int64_t segments) {
  if (segments == 1)
    return;
  Reduction &depth = nest.reduction;
  depth.extent /= segments;
  nest.batches = {{0, segments, depth.extent * depth.rowStep, depth.extent * depth.columnStep}};
  for (int *dimension : {&nest.rank, &nest.rowAxis, &nest.columnAxis, &nest.laneAxis})
    ++*dimension;
}

/// lanes = batch: rows are columns of b, tile columns are blocks of 16 rows of a.
ContractPlan batchLanes(const Operation &op, RegisterTile tile, const CpuTarget &target) {
  const int64_t depth = op.a.shape[1], units = op.result.shape[1];
  const bool transposed = op.attrs.flag("transpose_b"); // b[units, depth]
  MatmulNest nest;
  nest.rows = units;
  nest.columns = laneBlocks(op.result.shape[0]);
  nest.rowStride = transposed ? depth * kFloat : kFloat;
  nest.columnStride = depth * kVector;
  nest.reduction = Reduction::loop(depth, transposed ? kFloat : units * kFloat, kVector, Reduction::step());
  nest.rowBytes = units * depth * kFloat;
  nest.rowAxis = 1;
  nest.columnAxis = nest.laneAxis = 0;
  nest.tile = tile;
  cutDepth(nest, op.order.split);
  blockForCache(nest, target.l2Bytes);
  return {nest, 1, 0};
}

/// The same with b in n16.
ContractPlan packedBatchLanes(const Operation &op, RegisterTile tile) {
  const int64_t depth = op.a.shape[1], units = op.b.shape[0], inputs = op.b.shape[1];
  MatmulNest nest;
  nest.rows = op.result.shape[1];
  nest.columns = laneBlocks(op.result.shape[0]);
  nest.columnStride = depth * kVector;
  nest.rowAxis = 1;
  nest.columnAxis = nest.laneAxis = 0;
  nest.tile = tile;
  if (op.attrs.flag("transpose_b")) { // rows are units, 16 of them beside each other
    nest.rowStride = kFloat;
    nest.rowBlockStride = inputs * kVector;
    nest.reduction = Reduction::loop(inputs, kVector, kVector, Reduction::step());
  } else { // rows are inputs, and the depth are units
    nest.rowStride = kVector;
    nest.reduction = Reduction::loop(units / kLanes, inputs * kVector, kLanes * kVector,
                                     Reduction::loop(kLanes, kFloat, kVector, Reduction::step()));
    cutDepth(nest, op.order.split);
  }
  blockPackedRows(nest);
  return {nest, 1, 0};
}

/// Products of which two stay in L2, of operands and results that do not.
bool fetchesNext(const Operation &op, int64_t products) {
  constexpr int64_t kNear = 512 << 10;
  const int64_t operands = storageBytes(op.a) + storageBytes(op.b);
  return products > 1 && op.a.layout.empty() && operands / products <= kNear &&
         operands + storageBytes(op.result) > kNear;
}

/// lanes = last dimension of the result. `panel` is the distance in bytes of b's rows.
MatmulNest columnLanesNest(const Operation &op, int64_t panel) {
  const int whole = op.result.rank(), rank = op.b.rank(); // one b for all rows: they are one dimension
  const int64_t columns = op.result.shape[whole - 1];
  const int64_t rows = rank < whole ? op.result.elements() / columns : op.result.shape[rank - 2];
  const bool transposed = op.attrs.flag("transpose_a"); // a[…, depth, rows]
  const int64_t depth = op.a.shape[transposed ? whole - 2 : whole - 1];
  MatmulNest nest;
  nest.rank = rank;
  nest.rowDims = whole - rank + 1;
  nest.rowAxis = rank - 2;
  nest.columnAxis = nest.laneAxis = rank - 1;
  nest.rows = rows;
  nest.rowsOutside =
      rows >= depth; // else b is larger than the result, and half of its columns for each thread pay
  nest.columns = ceilDiv(columns, kLanes);
  nest.lastLanes = columns % kLanes ? static_cast<int>(columns % kLanes) : kVectorLanes;
  nest.columnStride = kVector;
  if (op.a.layout == kLayoutN16) { // a[depth/16][rows][16]
    nest.rowStride = kVector;
    nest.reduction = overBlocks(depth, rows * kVector, panel);
  } else {
    nest.rowStride = transposed ? kFloat : depth * kFloat;
    nest.reduction = Reduction::loop(depth, transposed ? rows * kFloat : kFloat, panel, Reduction::step());
    nest.rowBytes = storageBytes(op.a);
  }
  int64_t aStride = rows * depth * kFloat, bStride = depth * columns * kFloat;
  for (int axis = rank - 3; axis >= 0; --axis) {
    nest.batches.insert(nest.batches.begin(), {axis, op.result.shape[axis], aStride, bStride});
    aStride *= op.result.shape[axis];
    bStride *= op.result.shape[axis];
  }
  nest.fetchesNext = fetchesNext(op, matmulGrid(nest).batches);
  return nest;
}

/// The same, and batchLanes, for one large product.
std::optional<ContractPlan> blocked(const Operation &op, bool batchLanes, RegisterTile tile,
                                    const CpuTarget &target) {
  using Storage = BlockedNest::Storage;
  const bool transposeA = op.attrs.flag("transpose_a"), transposeB = op.attrs.flag("transpose_b");
  const int whole = op.result.rank();
  const int64_t columns = op.result.shape[batchLanes ? 0 : whole - 1],
                rows = batchLanes ? op.result.shape[1] : op.result.elements() / columns;
  const int64_t depth = op.b.shape[transposeB ? 1 : 0];
  const bool weightGradient = op.a.layout == kLayoutN16 && !batchLanes && !transposeB;
  const bool pays = batchLanes
                        ? wantsBlocks(rows, columns, depth, transposeB, target.l2Bytes)
                        : wantsBlocks(rows, columns, depth) ||
                              (weightGradient && wantsPanels(rows, columns, depth, tile, target.l1Bytes));
  if (op.b.rank() != 2 || !pays)
    return std::nullopt;
  BlockedNest nest;
  nest.rows = rows;
  nest.columns = laneBlocks(columns);
  nest.depth = depth / op.order.split;
  nest.segments = op.order.split;
  nest.batchLanes = batchLanes;
  nest.rowDims = whole - 1;
  nest.tile = tile;
  if (batchLanes) {
    nest.row = transposeB ? BlockedNest::Operand{Storage::DepthInner, depth * kFloat}
                          : BlockedNest::Operand{Storage::IndexInner, rows * kFloat};
    nest.column = {Storage::Blocks, depth * kVector};
  } else {
    if (op.a.layout == kLayoutN16) // a[depth/16][rows][16]
      nest.row = {Storage::Blocks, rows * kVector};
    else
      nest.row = transposeA ? BlockedNest::Operand{Storage::IndexInner, rows * kFloat}
                            : BlockedNest::Operand{Storage::DepthInner, depth * kFloat};
    nest.column = transposeB ? BlockedNest::Operand{Storage::DepthInner, depth * kFloat}
                             : BlockedNest::Operand{Storage::IndexInner, columns * kFloat};
    nest.lastLanes = columns % kLanes ? static_cast<int>(columns % kLanes) : kVectorLanes;
  }
  chooseBlocks(nest, target.l1Bytes, target.l2Bytes);
  return batchLanes ? ContractPlan{nest, 1, 0} : ContractPlan{nest, 0, 1};
}

ContractPlan columnLanes(const Operation &op) {
  MatmulNest nest = columnLanesNest(op, op.result.shape[op.result.rank() - 1] * kFloat);
  cutDepth(nest, op.order.split);
  return {nest, 0, 1};
}

/// lanes = rows of a result in n16: the tile's rows are scalars of b, its columns blocks of 16 of a[depth, units], which
/// an item transposes once, and then goes through all rows, as the result lies in memory.
ContractPlan unitLanes(const Operation &op, RegisterTile tile) {
  const int64_t depth = op.a.shape[0], units = op.a.shape[1], inputs = op.b.shape[1];
  MatmulNest nest;
  nest.rows = inputs;
  nest.columns = laneBlocks(units);
  nest.rowStride = nest.columnStride = kVector;
  nest.reduction = overBlocks(depth, inputs * kVector, tile.vectors * kVector);
  nest.packDepth = depth;
  nest.packBlockStride = units * kVector;
  nest.rowAxis = 1;
  nest.columnAxis = nest.laneAxis = 0;
  return {nest, 1, 0};
}

/// As columnLanes, with b[…, columns, depth] transposed panel by panel.
ContractPlan packedLanes(const Operation &op, RegisterTile tile) {
  const int64_t depth = op.b.shape[op.b.rank() - 1];
  MatmulNest nest = columnLanesNest(op, tile.vectors * kVector);
  nest.packDepth = depth;
  return {nest, 0, 1};
}

/// lanes = partial sums along the depth: rows of b by rows of a.
ContractPlan dotLanes(const Operation &op) {
  DotNest nest;
  nest.units = op.result.shape[1];
  nest.examples = op.result.shape[0];
  nest.depth = op.a.shape[1];
  return {nest, 1, 0};
}

/// lanes = batch in both operands and the result: a product per example.
ContractPlan exampleLanes(const Operation &op) {
  const int rank = op.result.rank();
  const int64_t rows = op.result.shape[rank - 2], columns = op.result.shape[rank - 1];
  const bool transposeA = op.attrs.flag("transpose_a"), transposeB = op.attrs.flag("transpose_b");
  const int64_t depth = op.a.shape[transposeA ? rank - 2 : rank - 1];
  MatmulNest nest;
  nest.rank = rank;
  nest.rowAxis = rank - 2;
  nest.columnAxis = rank - 1;
  nest.laneAxis = 0;
  nest.broadcastRows = false;
  nest.rows = rows;
  nest.columns = columns;
  nest.rowStride = (transposeA ? 1 : depth) * kVector;
  nest.columnStride = (transposeB ? depth : 1) * kVector;
  nest.reduction = Reduction::loop(depth, (transposeA ? rows : 1) * kVector,
                                   (transposeB ? 1 : columns) * kVector, Reduction::step());
  int64_t aStride = rows * depth * kVector, bStride = depth * columns * kVector;
  for (int axis = rank - 3; axis >= 0; --axis) {
    const int64_t size = axis == 0 ? laneBlocks(op.result.shape[0]) : op.result.shape[axis];
    nest.batches.insert(nest.batches.begin(), {axis, size, aStride, bStride});
    aStride *= size;
    bStride *= size;
  }
  return {nest, 0, 1};
}

/// Strides of a [N, C, H, W]<n16> tensor.
struct ImageStrides {
  int64_t block, channel, row;
  explicit ImageStrides(const Shape &x)
      : block(x[1] * x[2] * x[3] * kVector), channel(x[2] * x[3] * kVector), row(x[3] * kVector) {}
};

ContractPlan conv(const Operation &op, bool gradient, RegisterTile tile, const CpuTarget &target) {
  ConvNest nest{convOperands(op.a, op.b, op.result.shape, op.attrs, gradient)};
  nest.blocks = laneBlocks(op.result.shape[0]);
  nest.kernelHeight = op.b.shape[2];
  nest.kernelWidth = op.b.shape[3];
  nest.tile = tile;
  blockForCache(nest, target.l2Bytes);
  return {nest, 1, 0};
}

ContractPlan convPixels(const Operation &op, bool gradient) {
  ConvPixelNest nest{convOperands(op.a, op.b, op.result.shape, op.attrs, gradient)};
  nest.examples = op.result.shape[0];
  return {nest, 1, 0};
}

ConvWeightOperands weightGradient(const Operation &op) {
  const Shape &x = op.a.shape, &dy = op.b.shape, &w = op.result.shape;
  const std::vector<int64_t> stride = op.attrs.ints("stride"), padding = op.attrs.ints("padding"),
                             dilation = op.attrs.ints("dilation");
  const ImageStrides input(x), grad(dy);
  ConvWeightOperands c;
  c.blocks = laneBlocks(x[0]);
  c.groups = op.attrs.i64("groups");
  c.channels = dy[1] / c.groups;
  c.depth = w[1];
  c.height = {x[2], dy[2], w[2], stride[0], dilation[0], padding[0]};
  c.width = {x[3], dy[3], w[3], stride[1], dilation[1], padding[2]};
  c.gradBlock = grad.block;
  c.gradGroup = c.channels * grad.channel;
  c.gradChannel = grad.channel;
  c.gradRow = grad.row;
  c.inBlock = input.block;
  c.inGroup = c.depth * input.channel;
  c.inDepth = input.channel;
  c.inRow = input.row;
  c.segments = op.order.split;
  return c;
}

/// The same of row-major operands, which are copied to planes of vectors: each of the gradient meets one of the image at
/// every tap.
ConvWeightOperands pixelGradient(const Operation &op, const ConvPlanes &planes) {
  ConvWeightOperands c = weightGradient(op);
  c.blocks = planes.blocks;
  c.height = {planes.vectors, planes.vectors, c.height.taps, 1, 0, 0};
  c.width = {1, 1, c.width.taps, 1, 0, 0};
  c.gradBlock = planes.grad.imageBytes;
  c.gradChannel = planes.grad.channelBytes();
  c.gradGroup = c.channels * c.gradChannel;
  c.inBlock = planes.image.imageBytes;
  c.inDepth = planes.image.channelBytes();
  c.inGroup = c.depth * c.inDepth;
  c.gradRow = c.inRow = kVector;
  c.segments = 1;
  return c;
}

ContractPlan convWeight(const ConvWeightOperands &operands, RegisterTile tile, const CpuTarget &target) {
  ConvWeightNest nest{operands};
  nest.tile = tile;
  blockForCache(nest, target.l1Bytes, target.l2Bytes);
  return {nest, 1, 0};
}

ContractPlan convTaps(const ConvWeightOperands &operands, RegisterTile tile, const CpuTarget &target,
                      const std::vector<int64_t> &tapOffsets = {}) {
  ConvTapsNest nest{operands};
  nest.tile = tile;
  nest.tapOffsets = tapOffsets;
  blockForCache(nest, target.l2Bytes);
  return {nest, 1, 0};
}

std::optional<ContractPlan> planForm(ContractionForm form, const Operation &op, bool gradient,
                                     RegisterTile tile, const CpuTarget &target) {
  switch (form) {
  case ContractionForm::Generic:
  case ContractionForm::ChannelLanes:               // winograd_weight_nest.h
  case ContractionForm::Tiles: return std::nullopt; // tile_matmul.h
  case ContractionForm::BatchLanes:
    if (op.b.layout == kLayoutN16)
      return packedBatchLanes(op, tile);
    if (std::optional<ContractPlan> plan = blocked(op, true, tile, target))
      return plan;
    return batchLanes(op, tile, target);
  case ContractionForm::ColumnLanes:
  case ContractionForm::PackedLanes:
    if (std::optional<ContractPlan> plan = blocked(op, false, tile, target))
      return plan;
    return form == ContractionForm::ColumnLanes ? columnLanes(op) : packedLanes(op, tile);
  case ContractionForm::UnitLanes: return unitLanes(op, tile);
  case ContractionForm::DotLanes: return dotLanes(op);
  case ContractionForm::ExampleLanes: return exampleLanes(op);
  case ContractionForm::ConvPixels: return convPixels(op, gradient);
  case ContractionForm::Conv: return conv(op, gradient, tile, target);
  case ContractionForm::ConvWeight: return convWeight(weightGradient(op), tile, target);
  case ContractionForm::ConvTaps: return convTaps(weightGradient(op), tile, target);
  }
  return std::nullopt;
}

Operation operationOf(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  return {fn.type(op.operands[0]), fn.type(op.operands[1]), fn.type(op.results[0]),
          withDefaults(*op.def, op.attrs), reductionOrder(fn, id)};
}

} // namespace

std::optional<ContractPlan> planContraction(const Function &fn, OpId op, RegisterTile tile,
                                            const CpuTarget &target) {
  const Operation operation = operationOf(fn, op);
  const bool gradient = fn[op].def->name == "conv2d_grad_input";
  const ContractionShape shape = contractionShape(fn, op);
  tile = legalTile(shape, tile);
  std::optional<ContractPlan> plan = planForm(shape.form, operation, gradient, tile, target);
  if (plan)
    std::visit([&](auto &nest) { nest.tile = tile; }, plan->nest);
  return plan;
}

ContractPlan planPixels(const Function &fn, OpId op, RegisterTile tile, const CpuTarget &target) {
  const Operation operation = operationOf(fn, op);
  const ConvWeightOperands whole = weightGradient(operation);
  const ConvPlanes planes = convPlanes(whole.height, whole.width, operation.a.shape, operation.b.shape);
  const ConvWeightOperands copies = pixelGradient(operation, planes);
  ContractPlan plan = planes.tapOffsets.size() == 1 ? convWeight(copies, tile, target)
                                                    : convTaps(copies, tile, target, planes.tapOffsets);
  plan.planes = planes;
  return plan;
}

} // namespace gradc
