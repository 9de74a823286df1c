// Chooses how kernels run on a CUDA device, as an attribute that code generation obeys and that dumps show: what the
// pass `schedule` is for a CPU.
//
//   %y = kernel(%x, %w) {kind = contract} { … conv2d … }
// becomes
//   %y = kernel(%x, %w) {kind = contract, schedule = {algorithm = direct, form = tiles, tile = [64,64], …}} { … }
//
// algorithm  decides about bits (ir/order.h): direct, the bits of a CPU; mma_tf32, mma_bf16 and mma_f16, what tensor
//         cores make of factors rounded to that (an absent tap is zero), with sums in f32; cublas, a library's, with
//         precision = tf32, bf16 or f16 where it may round to that, too
// form    tiles     an implicit product of matrices (ir/implicit_product.h), through shared memory
//         dots      dot products of few rows by rows as they lie
//         elements  an element a thread, for what fills no tile
//         library   a call
// pack    filters are first packed in the order in which tiles read them: those that are an argument of the function before
//         all kernels, in a launch that is there anyway
// in_turn a block makes the 16 partial sums of its elements one after the other, which saves their way through memory
// tile    rows and columns of a block's result, from a model of time (support/cuda_tiling.h, passes/cuda_tensor_tiling_util.h)
// split   segments of the depth, each the work of blocks of its own: of tensor cores, whose sums have no order
// threads of a block
// order   partial sums of a reduction, where it is not one chain: stated, not chosen
//
// The device is given by numbers, so the pass asks nothing of the machine it runs on. A product goes to the library
// where the same model says that it saves time in spite of the launch of its own, and of another for what is fused with
// it. Runs after outline, before launches. What the interpreter computes stays as it was.
#include <algorithm>
#include <array>

#include "ir/contraction.h"
#include "ir/implicit_product.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "passes/cuda_tensor_tiling_util.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr double kCyclesPerMicrosecond = 1500; // of any device

struct DeviceFigures {
  int64_t architecture, multiprocessors;
  double flopsPerMicrosecond, tensorFlopsPerMicrosecond, bytesPerMicrosecond;

  CudaMultipliers multipliers() const { return multipliersOf(flopsPerMicrosecond); }
  CudaMultipliers tensorCores() const { return multipliersOf(tensorFlopsPerMicrosecond); }

private:
  CudaMultipliers multipliersOf(double flops) const {
    return {multiprocessors, flops / (2 * static_cast<double>(multiprocessors) * kCyclesPerMicrosecond)};
  }
};

std::string wordOf(const Dict &options, std::string_view name) {
  return options.find(name)->as<Keyword>()->word;
}

/// The operands are the kernel's own, of f32, row by row.
bool readsArguments(const Function &fn, OpId contraction) {
  return std::ranges::all_of(fn[contraction].operands, [&](ValueId v) {
    return fn[v].def == kNoOp && fn.type(v).dtype == DType::F32 && fn.type(v).layout.empty();
  });
}

/// Most of a tile would hold nothing: one row or column of a group, as in a depthwise convolution; or a few of a
/// convolution whose elements are many and whose sums so short that threads of an element each are through before (LeNet's
/// pool1.grad, 6 rows over 400 steps: 9 us instead of 49 on an H200). Partial sums keep more threads busy in a tile all
/// the same.
bool isNarrow(const ImplicitProduct &product, bool convolution, int64_t multiprocessors) {
  constexpr int64_t kFewest = 4, kFew = 8, kShort = 512, kThreads = 512; // of a multiprocessor
  const int64_t narrow = std::min(product.rows, product.columns);
  const bool many = product.batch * product.rows * product.columns >= multiprocessors * kThreads;
  return product.partials == 1 && ((product.batch > 1 && narrow < kFewest) ||
                                   (convolution && narrow <= kFew && product.depth <= kShort && many));
}

class ContractionScheduler {
public:
  ContractionScheduler(const Function &fn, OpId kernel, OpId contraction, const Dict &options,
                       const DeviceFigures &device)
      : fn_(fn), kernel_(kernel), contraction_(contraction), options_(options), device_(device),
        product_(implicitProduct(fn, contraction)) {}

  Dict schedule() const {
    Dict schedule;
    const std::string form = formOf();
    schedule.set("algorithm", Keyword{form == "library" ? "cublas"
                                      : form == "tiles" ? tileAlgorithm()
                                                        : "direct"});
    schedule.set("form", Keyword{form});
    if (form == "library" && usesTensorCores())
      schedule.set("precision", precisionAttr());
    const bool isRounded = form == "tiles" && usesTensorCores();
    if (isRounded)
      addTensorTiles(schedule);
    else if (form == "tiles")
      addTiles(schedule);
    if (form != "library")
      schedule.set("threads", int64_t{kCudaTileThreads});
    if (form != "library" && !isRounded)
      addOrder(fn_, contraction_, schedule);
    return schedule;
  }

private:
  void addTiles(Dict &schedule) const {
    const CudaTile tile =
        fillsInTurn() ? kTileInTurn : chooseCudaTile(shapeOf(*product_), device_.multipliers());
    addTile(schedule, tile);
    if (fillsInTurn())
      schedule.set("in_turn", true);
  }

  void addTensorTiles(Dict &schedule) const {
    const CudaTensorPlan plan = tensorPlan();
    addTile(schedule, plan.tile);
    if (plan.split > 1)
      schedule.set("split", plan.split);
  }

  void addTile(Dict &schedule, const CudaTile &tile) const {
    schedule.set("tile", std::vector<int64_t>{tile.rows, tile.columns});
    if (packingPays())
      schedule.set("pack", true);
  }

  CudaProductShape shapeOf(const ImplicitProduct &product) const {
    CudaProductShape shape{product.batch * product.partials, product.rows, product.columns, product.depth};
    if (opName() == "conv2d_grad_input") { // a product for each phase, on average
      const int64_t phases = std::ssize(inputPhases(convolutionOf(fn_, contraction_).window));
      shape.count *= phases;
      shape.columns = ceilDiv(shape.columns, phases);
      shape.depth = ceilDiv(shape.depth, phases);
    }
    return shape;
  }

  CudaTensorPlan tensorPlan() const {
    CudaTensorProduct product{.shape = shapeOf(withoutPartials(fn_, contraction_, *product_)),
                              .streams = streams()};
    product.reads = product.streams > largeResults();
    if (opName() == "matmul") {
      const Dict attrs = withDefaults(*fn_[contraction_].def, fn_[contraction_].attrs);
      product.columnsByFour = !attrs.flag("transpose_b") && product_->columns % 4 == 0;
      product.rowsByFour = attrs.flag("transpose_a") && product_->rows % 4 == 0;
    } else {
      product.rowsByFour = packingPays();
    }
    return planCudaTensorTiles(product, device_.tensorCores());
  }

  bool isLarge(ValueId v) const { return fn_.type(v).elements() == resultType().elements(); }
  int64_t largeResults() const {
    return std::ranges::count_if(fn_[kernel_].results, [&](ValueId v) { return isLarge(v); });
  }
  /// Arrays of the result's size that the kernel reads or writes beside the product's factors.
  int64_t streams() const {
    const RegionData &body = fn_[fn_[kernel_].regions[0]];
    auto isFactor = [&](ValueId v) { return std::ranges::count(fn_[contraction_].operands, v) > 0; };
    return largeResults() +
           std::ranges::count_if(body.args, [&](ValueId v) { return isLarge(v) && !isFactor(v); });
  }

  std::string_view opName() const { return fn_[contraction_].def->name; }
  const Type &resultType() const { return fn_.type(fn_[contraction_].results[0]); }

  /// What factors are rounded to: f32 where the device has no tensor cores for what is asked for. Those of tf32 and bf16
  /// came with sm_80.
  std::string precision() const {
    const std::string asked = wordOf(options_, "precision");
    return device_.architecture >= 80 || asked == "f16" ? asked : "f32";
  }
  /// As text is read: tf32 is no type.
  Attr precisionAttr() const {
    const std::optional<DType> type = parseDType(precision());
    return type ? Attr(*type) : Attr(Keyword{precision()});
  }
  bool usesTensorCores() const { return precision() != "f32"; }
  std::string tileAlgorithm() const { return usesTensorCores() ? "mma_" + precision() : "direct"; }

  std::string formOf() const {
    if (!readsArguments(fn_, contraction_) || !fn_.type(fn_[contraction_].results[0]).layout.empty())
      return "elements";
    if (libraryServes() && (wordOf(options_, "library") == "always" || libraryPays()))
      return "library";
    if (!product_)
      return "dots";
    const bool convolution = opName() != "matmul";
    return isNarrow(*product_, convolution, device_.multiprocessors) ? "elements" : "tiles";
  }

  /// The tile whose pending sums fit in registers (codegen/cuda/tile_writer.cpp).
  static constexpr CudaTile kTileInTurn{64, 64, 4, 4};

  /// Whether the device has work without running partial sums side by side.
  bool fillsInTurn() const {
    const int64_t blocks = product_->batch * ceilDiv(product_->rows, kTileInTurn.rows) *
                           ceilDiv(product_->columns, kTileInTurn.columns);
    return product_->partials == kLanes && blocks >= device_.multiprocessors;
  }

  /// Filters lie with their taps innermost, which a slab of several channels has apart: so each element that a block
  /// reads comes with 32 bytes. To pack what another kernel makes takes a launch.
  bool packingPays() const {
    constexpr double kManyMultiplications = 1 << 28; // dozens of microseconds
    const std::string_view op = fn_[contraction_].def->name;
    if (op != "conv2d" && op != "conv2d_grad_input")
      return false;
    const Convolution conv = convolutionOf(fn_, contraction_);
    const int64_t inner = (op == "conv2d" ? conv.channels : conv.filters) / conv.groups;
    return inner > 1 && conv.window.kernel[0] * conv.window.kernel[1] > 1 &&
           (multipliesByArgument(fn_, kernel_) || product_->multiplications() >= kManyMultiplications);
  }

  bool libraryServes() const { return opName() == "matmul" && wordOf(options_, "library") != "never"; }

  /// By the model of time, in microseconds.
  bool libraryPays() const {
    constexpr double kMargin = 1.05;
    const double shared = usesTensorCores() ? kLaunch : 5; // a generated product may share a launch
    if (!product_)
      return false;
    const double library = usesTensorCores() ? tensorLibraryTime() : libraryTime();
    const double cycles = usesTensorCores() ? tensorPlan().cycles : tileCycles();
    return library * kMargin + shared < cycles / kCyclesPerMicrosecond;
  }

  double tileCycles() const {
    const CudaProductShape shape = shapeOf(*product_);
    return cudaTileCycles(chooseCudaTile(shape, device_.multipliers()), shape, device_.multipliers());
  }

  /// A call reaches most of the device's speed, but has launches of its own.
  double libraryTime() const {
    constexpr double kCall = 7, kReached = 0.9;
    double time = 2 * product_->multiplications() / (kReached * device_.flopsPerMicrosecond) + kCall;
    if (isFused())
      time += kLaunch + 8.0 * static_cast<double>(resultType().elements()) / device_.bytesPerMicrosecond;
    return time;
  }

  /// The same of tensor cores, which soon wait for memory: factors lie there as f32.
  double tensorLibraryTime() const {
    constexpr double kCall = 6, kReached = 0.6, kBytesReached = 0.95; // on an H200, as a share of the H100's
    const double bytes = kBytesReached * device_.bytesPerMicrosecond;
    double moved = static_cast<double>(resultType().elements());
    for (ValueId factor : fn_[contraction_].operands)
      moved += static_cast<double>(fn_.type(factor).elements());
    double time = std::max(2 * product_->multiplications() / (kReached * device_.tensorFlopsPerMicrosecond),
                           4 * moved / bytes) +
                  kCall;
    if (isFused())
      time += kLaunch +
              4.0 * static_cast<double>(streams() * resultType().elements()) / bytes; // the L2 has the rest
    return time;
  }

  static constexpr double kLaunch = 2.5;
  /// Something follows the product.
  bool isFused() const { return fn_[fn_[kernel_].regions[0]].ops.size() > 1; }

  const Function &fn_;
  OpId kernel_, contraction_;
  const Dict &options_;
  const DeviceFigures &device_;
  std::optional<ImplicitProduct> product_;
};

Dict scheduleOf(const Function &fn, OpId kernel, const Dict &options, const DeviceFigures &device) {
  Dict schedule;
  for (OpId op : fn[fn[kernel].regions[0]].ops) {
    if (fn[op].def->is(kContraction))
      return ContractionScheduler(fn, kernel, op, options, device).schedule();
    if (fn[op].def->is(kReduction) && !schedule.has("order"))
      addOrder(fn, op, schedule);
  }
  return schedule;
}

Result<void> checkWord(PassContext &context, std::string_view option,
                       std::span<const std::string_view> known) {
  const std::string word = wordOf(context.options, option);
  if (std::ranges::find(known, word) != known.end())
    return {};
  return std::unexpected(context.diag.error({}, "option {} of schedule-cuda is {}, but got {}", option,
                                            fmt::join(known, " or "), word));
}

Result<bool> run(Module &module, PassContext &context) {
  constexpr std::array<std::string_view, 3> kLibrary = {"auto", "always", "never"};
  constexpr std::array<std::string_view, 4> kPrecision = {"f32", "tf32", "bf16", "f16"};
  if (auto checked = checkWord(context, "library", kLibrary); !checked)
    return std::unexpected(checked.error());
  if (auto checked = checkWord(context, "precision", kPrecision); !checked)
    return std::unexpected(checked.error());
  const DeviceFigures device{
      .architecture = context.options.i64("architecture"),
      .multiprocessors = context.options.i64("multiprocessors"),
      .flopsPerMicrosecond = static_cast<double>(context.options.i64("gflops")) * 1e3,
      .tensorFlopsPerMicrosecond = static_cast<double>(context.options.i64("tensor_gflops")) * 1e3,
      .bytesPerMicrosecond = static_cast<double>(context.options.i64("gbytes")) * 1e3,
  };
  if (std::min({device.architecture, device.multiprocessors}) < 1)
    return std::unexpected(context.diag.error({}, "schedule-cuda needs a device with multiprocessors"));
  bool changed = false;
  for (auto &fn : module.functions)
    changed |= setSchedules(*fn, context,
                            [&](OpId kernel) { return scheduleOf(*fn, kernel, context.options, device); });
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(schedule_cuda) {
  return {.name = "schedule-cuda",
          .doc = "choose tiles, forms and library calls for a CUDA device",
          .options = {{"architecture", "of the device: 80 for sm_80", int64_t{80}},
                      {"multiprocessors", "of the device", int64_t{108}},
                      {"gflops", "of the device in f32", int64_t{19500}},
                      {"tensor_gflops", "of its tensor cores, of factors that lie as f32", int64_t{156000}},
                      {"gbytes", "a second that its memory moves", int64_t{1555}},
                      {"library", "products by cuBLAS: auto, always or never", Keyword{"auto"}},
                      {"precision", "of products of f32: f32, tf32, bf16 or f16", Keyword{"f32"}}},
          .run = run};
}
