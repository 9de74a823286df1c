#include "ir/winograd.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// Channels from which on the transforms take little beside the products.
constexpr int64_t kManyChannels = 32;
/// Of 5×5: with fewer, a step gains little for code that is four times as large, once for each batch size; in an
/// executable of examples/lenet.json (20 to 50 channels) 36 KiB for a seventh of the step.
constexpr int64_t kFewestOfFive = 24;
/// Of 5×5, of an image: with fewer, transforming the weights would take as long as what it saves.
constexpr int64_t kFewestTilesOfFive = 4;
/// Of all images, towards the weights.
constexpr int64_t kFewestTilesOfSum = 4;
/// With no more, all of them are columns of a register tile.
constexpr int64_t kFewTiles = 4;
/// The high powers in tiles of 5×5 make seven times the direct algorithm's error.
constexpr int64_t kSmallestKernel = 3;
/// Segments of the sums towards the weights, tiles of each, and pairs of channels in all of them.
constexpr int64_t kMostSegments = 8, kFewestTilesOfSegment = 16, kMostPairs = 1 << 17;
/// Tiles of 4×4 towards 5×5 weights have short chains, and so many tiles and images that the transforms' errors even out.
constexpr int64_t kSegmentsOfLargeTiles = 16, kFewestLargeTiles = 40, kFewestImages = kLanes;

/// Of an image.
int64_t tilesOf(const Shape &map, Winograd algorithm) {
  return ceilDiv(map[2], algorithm.tile) * ceilDiv(map[3], algorithm.width);
}

int64_t segmentsOf(int64_t tiles, int64_t pairs) {
  int64_t segments = 1;
  while (segments < kMostSegments && tiles >= 2 * segments * kFewestTilesOfSegment &&
         2 * segments * pairs <= kMostPairs)
    segments *= 2;
  return segments;
}

bool isWeightGradient(const OpData &op) { return op.def->name == "conv2d_grad_weight"; }
const Type &weightsOf(const Function &fn, const OpData &op) {
  return fn.type(isWeightGradient(op) ? op.results[0] : op.operands[1]);
}
int64_t pairsOf(const Shape &weights) { return weights[0] * weights[1]; }
/// What the tiles cut: the result or, towards the weights, the gradient.
const Type &mapOf(const Function &fn, const OpData &op) {
  return fn.type(isWeightGradient(op) ? op.operands[1] : op.results[0]);
}

/// The direct algorithm's, of a pair of channels and an image: what lies in the padding is left out.
int64_t productsOf(const Function &fn, const OpData &op) {
  const bool towardsInput = op.def->name == "conv2d_grad_input";
  const Shape &first = fn.type(op.operands[0]).shape, &map = mapOf(fn, op).shape;
  const Shape &image = towardsInput ? map : first;
  const Shape &result = towardsInput ? first : map; // of the convolution
  const std::vector<int64_t> padding = withDefaults(*op.def, op.attrs).ints("padding");
  int64_t products = 1;
  for (int axis : {0, 1}) {
    int64_t along = 0;
    for (int64_t at = 0; at < result[2 + axis]; ++at) {
      const int64_t start = at - padding[2 * axis];
      const int64_t end = std::min(start + weightsOf(fn, op).shape[2 + axis], image[2 + axis]);
      along += std::max<int64_t>(0, end - std::max<int64_t>(0, start));
    }
    products *= along;
  }
  return products;
}

/// What winogradObjection has against the op, whatever its types' layouts are.
std::optional<std::string> shapeObjection(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  if (op.def->name != "conv2d" && op.def->name != "conv2d_grad_input" && !isWeightGradient(op))
    return fmt::format("conv2d or a gradient of it, but got {}", op.def->name);
  const Dict attrs = withDefaults(*op.def, op.attrs);
  const Type &weights = weightsOf(fn, op);
  if (weights.shape[2] != weights.shape[3] || !Winograd::ofKernel(weights.shape[2]).isValid())
    return fmt::format("a kernel of 2×2 to 5×5, but got {}×{}", weights.shape[2], weights.shape[3]);
  for (const char *name : {"stride", "dilation"})
    if (const std::vector<int64_t> steps = attrs.ints(name); steps[0] != 1 || steps[1] != 1)
      return fmt::format("{} 1, but got {}×{}", name, steps[0], steps[1]);
  if (attrs.i64("groups") != 1)
    return fmt::format("one group, but got {}", attrs.i64("groups"));
  return std::nullopt;
}

} // namespace

std::optional<std::string> winogradObjection(const Function &fn, OpId id) {
  if (std::optional<std::string> objection = shapeObjection(fn, id))
    return objection;
  const OpData &op = fn[id];
  const Type &operand = fn.type(op.operands[0]), &weights = weightsOf(fn, op), &map = mapOf(fn, op);
  for (const Type *type : {&operand, &map})
    if (type->dtype != DType::F32 || type->layout != kLayoutN16)
      return fmt::format("images in f32 and layout n16, but got {}", toString(*type));
  if (!weights.layout.empty())
    return fmt::format("row-major weights, but got {}", toString(weights));
  return std::nullopt;
}

Winograd winogradOf(const Function &fn, OpId op) {
  const Shape &weights = weightsOf(fn, fn[op]).shape, &map = mapOf(fn, fn[op]).shape;
  const Winograd algorithm = Winograd::ofKernel(weights[2]), large{.tile = 4, .kernel = 5};
  if (algorithm.kernel != 5)
    return algorithm;
  if (!isWeightGradient(fn[op]))
    return {.tile = algorithm.tile, .kernel = 5, .width = 4};
  const bool even = map[0] >= kFewestImages && tilesOf(map, large) >= kFewestLargeTiles;
  return even && pairsOf(weights) * kMostSegments <= kMostPairs ? large : algorithm;
}

bool winogradPays(const Function &fn, OpId op) {
  const Winograd algorithm = winogradOf(fn, op);
  const Shape &weights = weightsOf(fn, fn[op]).shape, &map = mapOf(fn, fn[op]).shape;
  const int64_t tiles = tilesOf(map, algorithm);
  const int64_t channels = std::min({weights[0], weights[1], kManyChannels});
  // The sums of few tiles have large errors. Towards 5×5 weights the high powers are the results': there, only short
  // chains have small ones.
  if (isWeightGradient(fn[op]) && (map[0] * tiles < kFewestTilesOfSum ||
                                   (algorithm.kernel == 5 && segmentsOf(tilesOf(map, Winograd::ofKernel(5)),
                                                                        pairsOf(weights)) < kMostSegments)))
    return false;
  if (algorithm.kernel < kSmallestKernel ||
      (algorithm.kernel == 5 && (channels < kFewestOfFive || tiles < kFewestTilesOfFive)))
    return false;
  // The direct algorithm must multiply 1.6 times as often; with half as many channels, 3.2 times.
  return 10 * channels * productsOf(fn, fn[op]) >= 16 * kManyChannels * tiles * algorithm.points();
}

bool winogradWouldPay(const Function &fn, OpId op) { return !shapeObjection(fn, op) && winogradPays(fn, op); }

int64_t winogradSegments(const Function &fn, OpId op) {
  const Shape &weights = weightsOf(fn, fn[op]).shape, &map = mapOf(fn, fn[op]).shape;
  const Winograd algorithm = winogradOf(fn, op);
  if (isWeightGradient(fn[op]) && algorithm.kernel == 5 && algorithm.tile == 4)
    return kSegmentsOfLargeTiles;
  return segmentsOf(laneBlocks(map[0]) * tilesOf(map, algorithm), pairsOf(weights));
}

ContractionShape winogradShape(const Function &fn, OpId op) {
  const Shape &shape = mapOf(fn, fn[op]).shape;
  if (isWeightGradient(fn[op]))
    return {ContractionForm::ChannelLanes, fn.type(fn[op].operands[0]).shape[1], laneBlocks(shape[1])};
  const int64_t tiles = laneBlocks(shape[0]) * tilesOf(shape, winogradOf(fn, op));
  const bool halve = kFewTiles < tiles && tiles < 2 * kFewTiles; // so that there are several items
  return {ContractionForm::Conv, shape[1], halve ? (tiles + 1) / 2 : tiles};
}

std::string_view scheduledAlgorithm(const Function &fn, OpId kernel) {
  const Attr *schedule = fn[kernel].attrs.find("schedule");
  const Dict *dict = schedule ? schedule->as<Dict>() : nullptr;
  const Attr *algorithm = dict ? dict->find("algorithm") : nullptr;
  const Keyword *word = algorithm ? algorithm->as<Keyword>() : nullptr;
  return word ? std::string_view(word->word) : "direct";
}

ContractionShape algorithmShape(const Function &fn, OpId op, std::string_view algorithm) {
  return algorithm == "winograd" ? winogradShape(fn, op)
         : algorithm == "pixels" ? pixelsShape(fn, op)
                                 : contractionShape(fn, op);
}

} // namespace gradc
