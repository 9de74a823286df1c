#include "ir/winograd.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// Channels from which on the transforms take little beside the products.
constexpr int64_t kManyChannels = 32;
/// Of an image: with fewer, transforming the weights would take as long as what it saves.
constexpr int64_t kFewestTiles = 4;
/// The high powers in tiles of 5×5 make seven times the direct algorithm's error.
constexpr int64_t kSmallestKernel = 3;

/// Of an image.
int64_t tilesOf(const Shape &map, Winograd algorithm) {
  return ceilDiv(map[2], algorithm.tile) * ceilDiv(map[3], algorithm.width);
}

} // namespace

std::optional<std::string> winogradObjection(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  if (op.def->name != "conv2d" && op.def->name != "conv2d_grad_input")
    return fmt::format("conv2d or conv2d_grad_input, but got {}", op.def->name);
  const Dict attrs = withDefaults(*op.def, op.attrs);
  const Type &operand = fn.type(op.operands[0]), &weights = fn.type(op.operands[1]),
             &result = fn.type(op.results[0]);
  if (weights.shape[2] != weights.shape[3] || !Winograd::ofKernel(weights.shape[2]).isValid())
    return fmt::format("a kernel of 2×2 to 5×5, but got {}×{}", weights.shape[2], weights.shape[3]);
  for (const char *name : {"stride", "dilation"})
    if (const std::vector<int64_t> steps = attrs.ints(name); steps[0] != 1 || steps[1] != 1)
      return fmt::format("{} 1, but got {}×{}", name, steps[0], steps[1]);
  if (attrs.i64("groups") != 1)
    return fmt::format("one group, but got {}", attrs.i64("groups"));
  for (const Type *type : {&operand, &result})
    if (type->dtype != DType::F32 || type->layout != kLayoutN16)
      return fmt::format("images in f32 and layout n16, but got {}", toString(*type));
  if (!weights.layout.empty())
    return fmt::format("row-major weights, but got {}", toString(weights));
  return std::nullopt;
}

Winograd winogradOf(const Function &fn, OpId op) {
  Winograd algorithm = Winograd::ofKernel(fn.type(fn[op].operands[1]).shape[2]);
  if (algorithm.kernel == 5)
    algorithm.width = 4;
  return algorithm;
}

bool winogradPays(const Function &fn, OpId op) {
  const Winograd algorithm = winogradOf(fn, op);
  const Shape &weights = fn.type(fn[op].operands[1]).shape, &map = fn.type(fn[op].results[0]).shape;
  const int64_t tiles = tilesOf(map, algorithm);
  const int64_t channels = std::min({weights[0], weights[1], kManyChannels});
  // Half of the multiplications must be saved; with half as many channels, three quarters.
  return algorithm.kernel >= kSmallestKernel && tiles >= kFewestTiles &&
         channels * map[2] * map[3] * algorithm.taps() >= 2 * kManyChannels * tiles * algorithm.points();
}

ContractionShape winogradShape(const Function &fn, OpId op) {
  const Shape &shape = fn.type(fn[op].results[0]).shape;
  const int64_t blocks = (shape[0] + kLanes - 1) / kLanes;
  return {ContractionForm::Conv, shape[1], (blocks * tilesOf(shape, winogradOf(fn, op)) + 1) / 2};
}

std::string_view scheduledAlgorithm(const Function &fn, OpId kernel) {
  const Attr *schedule = fn[kernel].attrs.find("schedule");
  const Dict *dict = schedule ? schedule->as<Dict>() : nullptr;
  const Attr *algorithm = dict ? dict->find("algorithm") : nullptr;
  const Keyword *word = algorithm ? algorithm->as<Keyword>() : nullptr;
  return word ? std::string_view(word->word) : "direct";
}

} // namespace gradc
