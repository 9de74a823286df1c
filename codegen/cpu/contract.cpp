// Kernels of kind `contract`: one matmul or convolution, and as its epilogue whatever else the region computes; of kind
// `pair`: both gradients of a dense layer, likewise.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include <fmt/format.h>

#include "codegen/cpu/amx/tile_conv.h"
#include "codegen/cpu/amx/tile_conv_weight.h"
#include "codegen/cpu/amx/tile_matmul.h"
#include "codegen/cpu/contract/contract_plan.h"
#include "codegen/cpu/contract/epilogue.h"
#include "codegen/cpu/contract/pair_nest.h"
#include "codegen/cpu/contract/segments.h"
#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/winograd/winograd_nest.h"
#include "codegen/cpu/winograd/winograd_weight_nest.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "ir/winograd.h"
#include "support/check.h"

namespace gradc {
namespace {

/// The schedule's tile, if it has one that can be emitted; edited IR may hold anything.
std::optional<RegisterTile> scheduledTile(const KernelContext &k) {
  constexpr int64_t kMaxRows = 32, kMaxVectors = kVectorLanes;
  const Attr *schedule = k.fn[k.kernel].attrs.find("schedule");
  const Dict *dict = schedule ? schedule->as<Dict>() : nullptr;
  const Attr *tile = dict ? dict->find("tile") : nullptr;
  const AttrList *sizes = tile ? tile->as<AttrList>() : nullptr;
  if (!sizes || sizes->size() != 2)
    return std::nullopt;
  const int64_t *rows = (*sizes)[0].as<int64_t>(), *vectors = (*sizes)[1].as<int64_t>();
  if (!rows || !vectors || *rows < 1 || *rows > kMaxRows || *vectors < 1 || *vectors > kMaxVectors)
    return std::nullopt;
  return RegisterTile{static_cast<int>(*rows), static_cast<int>(*vectors)};
}

RegisterTile tileOf(const KernelContext &k, OpId contraction) {
  if (const std::optional<RegisterTile> tile = scheduledTile(k))
    return *tile;
  return chooseTile(algorithmShape(k.fn, contraction, scheduledAlgorithm(k.fn, k.kernel)),
                    {k.e.target.vectorRegisters, k.e.target.vectorBits});
}

/// The number of the buffer of a value that the kernel gets.
int bufferOf(const KernelContext &k, ValueId value) {
  const auto &args = k.body().args;
  const auto arg = std::ranges::find(args, value);
  CHECK(arg != args.end(), "operands of a contraction must be operands of its kernel");
  return k.operandBuffer(static_cast<int>(arg - args.begin()));
}
int operandBuffer(const KernelContext &k, OpId contraction, int number) {
  return bufferOf(k, k.fn[contraction].operands[number]);
}

double flopsOf(const Function &fn, OpId contraction) {
  const OpData &op = fn[contraction];
  const Type &a = fn.type(op.operands[0]), &b = fn.type(op.operands[1]), &c = fn.type(op.results[0]);
  if (op.def->name == "matmul") // each multiply-add pairs an element of each operand and of the result
    return 2 * std::sqrt(double(a.elements()) * double(b.elements()) * double(c.elements()));
  const Type &weights = op.def->name == "conv2d_grad_weight" ? c : b;
  const Type &map = op.def->name == "conv2d" ? c : op.def->name == "conv2d_grad_weight" ? b : a;
  return 2.0 * double(map.elements()) * double(weights.elements()) / double(weights.shape[0]);
}

/// Bytes that each thread reads whole, however the items are shared out: convolutions share images, products only
/// the units of one operand, but for segments of the depth, which share nothing.
double sharedBytes(const Function &fn, OpId contraction, ContractionForm form) {
  if (fn[contraction].def->name == "matmul" && reductionOrder(fn, contraction).split > 1)
    return 0;
  const OpData &op = fn[contraction];
  const auto bytes = [&](int operand) { return double(storageBytes(fn.type(op.operands[operand]))); };
  switch (form) {
  case ContractionForm::BatchLanes:
    return bytes(0) + (withDefaults(*op.def, op.attrs).flag("transpose_b") ? 0 : bytes(1));
  case ContractionForm::ColumnLanes:
  case ContractionForm::UnitLanes: return bytes(1);
  case ContractionForm::PackedLanes: return bytes(0);
  default: return 0;
  }
}

/// Estimated seconds of one thread, less what it costs others to fetch what they share from its cache: what decides
/// whether a step is split.
double estimatedWork(const Function &fn, OpId contraction) {
  constexpr double kFlops = 170e9, kCacheToCache = 11e9, kFromL3 = 29e9, kL2 = 1 << 20;
  double bytes = 0;
  for (ValueId operand : fn[contraction].operands)
    bytes += double(storageBytes(fn.type(operand)));
  const double seconds = std::max(flopsOf(fn, contraction) / kFlops, bytes > kL2 ? bytes / kFromL3 : 0);
  // More than that is not in the other's cache, but comes from memory for whoever asks.
  const double shared = std::min(sharedBytes(fn, contraction, contractionShape(fn, contraction).form), kL2);
  return std::max(seconds - shared / kCacheToCache, 1e-9);
}

/// Brings the weights of a convolution into the order of its tiles, in the workspace.
KernelStep emitPackStep(KernelContext &k, const ConvNest &nest, OpId contraction, int weights) {
  KernelStep step{.symbol = k.symbol + ".pack",
                  .items = packWeightsItems(nest),
                  .work = 0.5e-9 * static_cast<double>(nest.packedWeightBytes() / 4)};
  k.e.beginKernel(step.symbol);
  emitPackWeights(k.e, nest, k.e.buffer(operandBuffer(k, contraction, weights)),
                  k.e.buffer(k.workspaceBuffer()));
  k.e.endFunction();
  return step;
}

/// Copies the pixels that a 1×1 kernel's strides meet into the workspace.
KernelStep emitGatherStep(KernelContext &k, const ConvWeightNest &nest, OpId contraction, int input) {
  constexpr double kBytesASecond = 15e9;
  KernelStep step{.symbol = k.symbol + ".gather",
                  .items = gatherItems(nest),
                  .work = static_cast<double>(nest.gatheredBytes()) / kBytesASecond};
  k.e.beginKernel(step.symbol);
  emitGather(k.e, nest, k.e.buffer(operandBuffer(k, contraction, input)), k.e.buffer(k.workspaceBuffer()));
  k.e.endFunction();
  return step;
}

KernelCode winograd(KernelContext &k, OpId contraction) {
  EpilogueStore store(k, k.fn[contraction].results[0]);
  if (k.fn[contraction].def->name == "conv2d_grad_weight")
    return emitWinogradWeight(
        k, store, planWinogradWeight(k.fn, contraction, tileOf(k, contraction), k.e.target.l2Bytes),
        operandBuffer(k, contraction, 0), operandBuffer(k, contraction, 1));
  const WinogradNest nest = planWinograd(k.fn, contraction, tileOf(k, contraction), k.e.target.l2Bytes);
  return emitWinograd(k, store, nest, operandBuffer(k, contraction, 1), operandBuffer(k, contraction, 0));
}

bool usesTiles(const KernelContext &k, OpId contraction) {
  const DType factor = k.fn.type(k.fn[contraction].operands[0]).dtype;
  return suitsTiles(k.fn, contraction) &&
         (factor == DType::BF16 || scheduledAlgorithm(k.fn, k.kernel) == "amx6");
}

KernelCode emitTiles(KernelContext &k, OpId contraction) {
  const std::string_view name = k.fn[contraction].def->name;
  EpilogueStore store(k, k.fn[contraction].results[0]);
  auto buffer = [&](int operand) {
    return bufferOf(k, packedFrom(k.fn, k.fn[contraction].operands[operand]));
  };
  // Tiles are faster than what estimatedWork counts with.
  constexpr double kFaster = 10, kFasterSplit = 2;
  double faster = kFaster;
  KernelCode code;
  if (name == "matmul") {
    const TileMatmul plan = planTileMatmul(k.fn, contraction, k.e.target);
    code = emitTileMatmul(k, plan, store, buffer(plan.rowOperand), buffer(plan.columnOperand));
    faster = plan.pieces == 1 ? kFaster : kFasterSplit;
  } else if (name == "conv2d_grad_weight") {
    const TileConvWeight plan = planTileConvWeight(k.fn, contraction, k.e.target.l2Bytes);
    code = emitTileConvWeight(k, plan, store, buffer(1), buffer(0));
  } else {
    const TileConv plan = planTileConv(k.fn, contraction, k.e.target.l2Bytes);
    code = emitTileConv(k, plan, store, buffer(1), buffer(0));
  }
  code.steps.back().work = estimatedWork(k.fn, contraction) / faster;
  return code;
}

/// Where finished sums go: through the epilogue, or, of several segments, to the workspace, where emitCombine adds them.
std::unique_ptr<TileStore> storeOf(KernelContext &k, KernelCode &code, ValueId sum, int64_t segments) {
  if (segments == 1)
    return std::make_unique<EpilogueStore>(k, sum);
  code.workspaceBytes = segmentBytes(k, sum, segments);
  return std::make_unique<SegmentStore>(k, sum);
}

/// The step that multiplies and adds.
KernelStep emitNestStep(KernelContext &k, OpId contraction, const ContractPlan &plan, TileStore &store,
                        const std::function<std::pair<llvm::Value *, llvm::Value *>()> &operands) {
  KernelStep step{.symbol = k.symbol, .work = estimatedWork(k.fn, contraction)};
  k.e.beginKernel(step.symbol);
  const auto [row, column] = operands();
  TileKernels tiles(k.e, store, k.symbol);
  std::visit(
      [&](const auto &nest) {
        emitNest(tiles, nest, row, column);
        step.items = nest.items();
        step.scratchBytes = nest.scratchBytes();
      },
      plan.nest);
  k.e.endFunction();
  return step;
}

/// Copies an operand to where its planes lie in the workspace.
KernelStep emitPlaneStep(KernelContext &k, const PlaneCopy &copy, std::string_view name, int operand,
                         int64_t offset) {
  constexpr double kBytesASecond = 10e9;
  KernelStep step{.symbol = fmt::format("{}.{}", k.symbol, name),
                  .items = copy.channels,
                  .work = static_cast<double>(copy.bytes()) / kBytesASecond};
  k.e.beginKernel(step.symbol);
  llvm::Value *source = k.e.buffer(operand), *workspace = k.e.buffer(k.workspaceBuffer());
  emitPlaneCopy(k.e, copy, source, k.e.offset(workspace, offset));
  k.e.endFunction();
  return step;
}

/// Both operands are copied first, the gradient before the image.
KernelCode pixels(KernelContext &k, OpId contraction) {
  const ContractPlan plan = planPixels(k.fn, contraction, tileOf(k, contraction), k.e.target);
  const ConvPlanes &planes = *plan.planes;
  KernelCode code{.workspaceBytes = planes.bytes()};
  code.steps.push_back(
      emitPlaneStep(k, planes.grad, "grad", operandBuffer(k, contraction, plan.rowOperand), 0));
  code.steps.push_back(emitPlaneStep(k, planes.image, "image",
                                     operandBuffer(k, contraction, plan.columnOperand), planes.grad.bytes()));
  EpilogueStore store(k, k.fn[contraction].results[0]);
  code.steps.push_back(emitNestStep(k, contraction, plan, store, [&] {
    llvm::Value *workspace = k.e.buffer(k.workspaceBuffer());
    return std::pair{workspace, k.e.offset(workspace, planes.grad.bytes())};
  }));
  return code;
}

} // namespace

KernelCode emitContract(KernelContext &k) {
  const OpId contraction = findContraction(k.fn, k.region());
  CHECK(contraction != kNoOp, "a contract kernel without a contraction");
  const std::string_view algorithm = scheduledAlgorithm(k.fn, k.kernel);
  if (algorithm == "winograd")
    return winograd(k, contraction);
  if (algorithm == "pixels")
    return pixels(k, contraction);
  if (usesTiles(k, contraction))
    return emitTiles(k, contraction);
  const std::optional<ContractPlan> plan =
      planContraction(k.fn, contraction, tileOf(k, contraction), k.e.target);
  if (!plan)
    return emitMap(k);

  KernelCode code;
  const ConvNest *conv = std::get_if<ConvNest>(&plan->nest);
  const bool packed = conv && conv->packWeights;
  if (packed) {
    code.steps.push_back(emitPackStep(k, *conv, contraction, plan->rowOperand));
    code.workspaceBytes = conv->packedWeightBytes();
  }
  const ConvWeightNest *gradient = std::get_if<ConvWeightNest>(&plan->nest);
  const bool gathered = gradient && gradient->gathers;
  if (gathered) {
    code.steps.push_back(emitGatherStep(k, *gradient, contraction, plan->columnOperand));
    code.workspaceBytes = gradient->gatheredBytes();
  }
  const ValueId sum = k.fn[contraction].results[0];
  const int64_t segments = reductionOrder(k.fn, contraction).split;
  const std::unique_ptr<TileStore> store = storeOf(k, code, sum, segments);
  auto operand = [&](bool copied, int number) {
    return k.e.buffer(copied ? k.workspaceBuffer() : operandBuffer(k, contraction, number));
  };
  code.steps.push_back(emitNestStep(k, contraction, *plan, *store, [&] {
    return std::pair{operand(packed, plan->rowOperand), operand(gathered, plan->columnOperand)};
  }));
  if (segments > 1)
    code.steps.push_back(emitCombine(k, sum, segments));
  return code;
}

KernelCode emitPair(KernelContext &k) {
  const std::optional<GradientPair> pair = findGradientPair(k.fn, k.region());
  CHECK(pair, "a kernel of kind pair without a pair of gradients");
  const Type &weights = k.fn.type(k.fn[pair->input].operands[1]);
  PairNest nest{.inputs = weights.shape[1],
                .units = weights.shape[0],
                .examples = k.fn.type(k.fn[pair->input].operands[0]).shape[0],
                .segments = reductionOrder(k.fn, pair->input).split,
                .tile = tileOf(k, pair->input)};
  cutStrips(nest);
  const ValueId toInput = k.fn[pair->input].results[0];
  KernelCode code;
  const std::unique_ptr<TileStore> store = storeOf(k, code, toInput, nest.segments);
  EpilogueStore update(k, k.fn[pair->weights].results[0]);
  code.steps.push_back({.symbol = k.symbol,
                        .items = nest.items(),
                        .scratchBytes = nest.scratchBytes(),
                        .work = estimatedWork(k.fn, pair->input) + estimatedWork(k.fn, pair->weights)});
  k.e.beginKernel(k.symbol);
  TileKernels tiles(k.e, update, k.symbol);
  emitNest(tiles, *store, nest,
           {.gradient = k.e.buffer(operandBuffer(k, pair->input, 0)),
            .weights = k.e.buffer(operandBuffer(k, pair->input, 1)),
            .input = k.e.buffer(operandBuffer(k, pair->weights, 1))});
  k.e.endFunction();
  if (nest.segments > 1)
    code.steps.push_back(emitCombine(k, toInput, nest.segments));
  return code;
}

} // namespace gradc
