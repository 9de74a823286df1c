// Convolutions by bf16 tiles against the chains that codegen/cpu/amx/tile_conv.h and tile_conv_weight.h define: every bit
// must agree, with the tile unit and without, for odd shapes and any partition of the grid.
#include "ir/op.h"
#include "ir/text.h"
#include "tests/support/tile_reference.h"

namespace gradc {
namespace {

using namespace testing::tiles;

struct Case {
  int64_t batch, channels, height, width, filters, kernelHeight, kernelWidth;
  std::array<int64_t, 2> stride = {1, 1};
  std::array<int64_t, 4> padding = {0, 0, 0, 0};

  int64_t outHeight() const { return (height + padding[0] + padding[1] - kernelHeight) / stride[0] + 1; }
  int64_t outWidth() const { return (width + padding[2] + padding[3] - kernelWidth) / stride[1] + 1; }
  Shape x() const { return {batch, channels, height, width}; }
  Shape w() const { return {filters, channels, kernelHeight, kernelWidth}; }
  Shape y() const { return {batch, filters, outHeight(), outWidth()}; }
  std::string attrs() const {
    return fmt::format("stride = [{}], padding = [{}]", fmt::join(stride, ","), fmt::join(padding, ","));
  }
};

const Case kCases[] = {
    {16, 64, 5, 6, 48, 3, 3, {1, 1}, {1, 1, 1, 1}}, // channels that fill tiles
    {20, 20, 7, 6, 50, 5, 5, {1, 1}, {2, 2, 2, 2}}, // that do not, and a batch that does not
    {16, 3, 6, 5, 18, 3, 3},                        // few channels: a tile holds several pixels
    {16, 33, 7, 9, 17, 3, 3, {2, 2}, {1, 1, 1, 1}}, // phases of the gradient towards the input
    {16, 16, 5, 7, 34, 1, 1, {2, 2}},               // phases without a tap
    {16, 17, 9, 9, 16, 5, 5, {4, 3}, {2, 2, 2, 2}},
    {7, 32, 4, 5, 65, 3, 2, {1, 3}, {0, 2, 1, 0}}, // padding that differs from side to side
    {16, 40, 3, 3, 6, 3, 3, {1, 1}, {3, 3, 3, 3}}, // results that read padding alone
};

float at(const Tensor &tensor, int64_t a, int64_t b, int64_t c, int64_t d) {
  const Shape &shape = tensor.type().shape;
  return static_cast<float>(tensor.get(((a * shape[1] + b) * shape[2] + c) * shape[3] + d));
}

/// Adds the terms to the sum, 32 at a time.
float chain(float sum, const Floats &a, const Floats &b) {
  for (size_t first = 0; first < a.size(); first += 32) {
    const size_t end = std::min(a.size(), first + 32);
    sum = tileStep(sum, {a.begin() + first, a.begin() + end}, {b.begin() + first, b.begin() + end});
  }
  return sum;
}

/// One result of conv2d or its gradient towards the input: kernel rows and columns in the order of the operand's
/// positions, of each position all channels and a zero where their number is odd.
float positionSum(const Tensor &operand, int64_t example, const Tensor &weights, int64_t channel,
                  bool gradient, std::span<const std::pair<int64_t, int64_t>> rows, // position, tap
                  std::span<const std::pair<int64_t, int64_t>> columns) {
  const Shape &shape = operand.type().shape;
  float sum = 0;
  for (const auto &[h, kernelRow] : rows) {
    if (h < 0 || h >= shape[2])
      continue;
    Floats a, b;
    for (const auto &[w, kernelColumn] : columns)
      for (int64_t c = 0; c < shape[1] + shape[1] % 2; ++c) {
        const bool inside = c < shape[1] && w >= 0 && w < shape[3];
        a.push_back(inside ? at(operand, example, c, h, w) : 0);
        b.push_back(!inside    ? 0
                    : gradient ? at(weights, c, channel, kernelRow, kernelColumn)
                               : at(weights, channel, c, kernelRow, kernelColumn));
      }
    sum = chain(sum, a, b);
  }
  return sum;
}

/// Positions that a result at `i` reads along a dimension, ascending, and the taps that do.
std::vector<std::pair<int64_t, int64_t>> positions(const Case &c, int dim, int64_t i, bool gradient) {
  const int64_t kernel = dim == 0 ? c.kernelHeight : c.kernelWidth, stride = c.stride[dim],
                padding = c.padding[2 * dim];
  std::vector<std::pair<int64_t, int64_t>> result;
  for (int64_t tap = 0; tap < kernel; ++tap) {
    const int64_t distance = i + padding - tap;
    if (!gradient)
      result.emplace_back(i * stride - padding + tap, tap);
    else if (distance % stride == 0)
      result.emplace_back(distance / stride, tap);
  }
  std::ranges::sort(result);
  return result;
}

Tensor imagesOf(const Case &c, const Tensor &operand, const Tensor &weights, bool gradient) {
  Tensor result(Type{DType::F32, gradient ? c.x() : c.y(), {}});
  const Shape &shape = result.type().shape;
  for (int64_t i = 0; i < result.elements(); ++i) {
    const int64_t w = i % shape[3], h = i / shape[3] % shape[2], channel = i / shape[3] / shape[2] % shape[1];
    result.set(i, positionSum(operand, i / shape[3] / shape[2] / shape[1], weights, channel, gradient,
                              positions(c, 0, h, gradient), positions(c, 1, w, gradient)));
  }
  return result;
}

/// Blocks of 16 images, rows of the gradient, pairs of its pixels.
float weightSum(const Case &c, const Tensor &x, const Tensor &dy, std::array<int64_t, 4> weight) {
  float sum = 0;
  for (int64_t first = 0; first < c.batch; first += 16)
    for (int64_t oh = 0; oh < c.outHeight(); ++oh) {
      const int64_t h = oh * c.stride[0] - c.padding[0] + weight[2];
      if (h < 0 || h >= c.height)
        continue;
      Floats a, b;
      for (int64_t ow = 0; ow < c.outWidth() + c.outWidth() % 2; ++ow)
        for (int64_t n = first; n < first + 16; ++n) {
          const int64_t w = ow * c.stride[1] - c.padding[2] + weight[3];
          a.push_back(n < c.batch && ow < c.outWidth() ? at(dy, n, weight[0], oh, ow) : 0);
          b.push_back(n < c.batch && w >= 0 && w < c.width ? at(x, n, weight[1], h, w) : 0);
        }
      sum = chain(sum, a, b);
    }
  return sum;
}

Tensor weightsOf(const Case &c, const Tensor &x, const Tensor &dy) {
  Tensor result(Type{DType::F32, c.w(), {}});
  for (int64_t i = 0; i < result.elements(); ++i)
    result.set(i, weightSum(c, x, dy,
                            {i / (c.channels * c.kernelHeight * c.kernelWidth),
                             i / (c.kernelHeight * c.kernelWidth) % c.channels,
                             i / c.kernelWidth % c.kernelHeight, i % c.kernelWidth}));
  return result;
}

void check(const std::string &text, const std::function<Tensor(const Tensor &, const Tensor &)> &reference) {
  SCOPED_TRACE(text);
  Diagnostics diag;
  Result<Module> module = parseModule(text, "test.gir", diag);
  ASSERT_TRUE(module) << diag.render();
  const Function &fn = *module->functions[0];
  std::vector<Tensor> arguments, roundedArguments;
  for (ValueId arg : fn.body().args) {
    arguments.push_back(randomTensor(fn.type(arg), static_cast<uint32_t>(arguments.size() + 1), true));
    roundedArguments.push_back(arguments.back());
    for (int64_t i = 0; i < arguments.back().elements(); ++i)
      roundedArguments.back().set(i, rounded(static_cast<float>(arguments.back().get(i))));
  }
  expectOnBothUnits(testing::asKernel(*module, "contract"), arguments,
                    reference(roundedArguments[0], roundedArguments[1]));
}

std::string text(const Type &a, const Type &b, const Type &result, std::string_view op) {
  return fmt::format("func @f(%a: {}, %b: {}) -> {} {{\n  %y = {} : {}\n  return %y\n}}", toString(a),
                     toString(b), toString(result), op, toString(result));
}

TEST(TileConv, Forward) {
  for (const Case &c : kCases)
    check(text({DType::BF16, c.x(), "n16"}, {DType::BF16, c.w(), ""}, {DType::F32, c.y(), "n16"},
               fmt::format("conv2d(%a, %b) {{{}}}", c.attrs())),
          [&](const Tensor &x, const Tensor &w) { return imagesOf(c, x, w, false); });
}

TEST(TileConv, TowardsTheInput) {
  for (const Case &c : kCases)
    check(
        text({DType::BF16, c.y(), "n16"}, {DType::BF16, c.w(), ""}, {DType::F32, c.x(), "n16"},
             fmt::format("conv2d_grad_input(%a, %b) {{input = [{},{}], {}}}", c.height, c.width, c.attrs())),
        [&](const Tensor &dy, const Tensor &w) { return imagesOf(c, dy, w, true); });
}

TEST(TileConv, TowardsTheWeights) {
  for (const Case &c : kCases)
    check(text({DType::BF16, c.x(), "n16"}, {DType::BF16, c.y(), "n16"}, {DType::F32, c.w(), ""},
               fmt::format("conv2d_grad_weight(%a, %b) {{kernel = [{},{}], {}}}", c.kernelHeight,
                           c.kernelWidth, c.attrs())),
          [&](const Tensor &x, const Tensor &dy) { return weightsOf(c, x, dy); });
}

/// A parameter is rounded while it is packed.
TEST(TileConv, RoundsWhilePacking) {
  const Case &c = kCases[1];
  check(fmt::format("func @f(%x: {0}, %w: {1}) -> {2} {{\n  %r = cast(%w) {{dtype = bf16}} : {3}\n"
                    "  %y = conv2d(%x, %r) {{{4}}} : {2}\n  return %y\n}}",
                    toString(Type{DType::BF16, c.x(), "n16"}), toString(Type{DType::F32, c.w(), ""}),
                    toString(Type{DType::F32, c.y(), "n16"}), toString(Type{DType::BF16, c.w(), ""}),
                    c.attrs()),
        [&](const Tensor &x, const Tensor &w) { return imagesOf(c, x, w, false); });
}

} // namespace
} // namespace gradc
