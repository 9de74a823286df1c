// The factors of a convolution and of its gradients. The depth runs over taps, then over channels or filters of the group;
// of the gradient for filters over examples, then over pixels of the result (ir/order.h).
#include "codegen/cuda/tile_operand.h"
#include "codegen/cuda/tile_steps.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"

namespace gradc {
namespace {

struct ConvText {
  Convolution conv; // by value: it outlives the call within the operands' functions
  Window win = conv.window;
  int64_t channels = conv.channels / conv.groups, filters = conv.filters / conv.groups;
  int64_t taps = win.kernel[0] * win.kernel[1];
  int64_t input = win.input[0] * win.input[1], output = win.output[0] * win.output[1];
  std::string_view images = tileNumberType(conv.batch * conv.channels * input),
                   results = tileNumberType(conv.batch * conv.filters * output);

  std::string group(const TileFactors &from) const { return conv.groups == 1 ? "0" : from.product; }

  /// Whether some tap of some window lies in the padding.
  bool isPadded() const {
    for (int dim : {0, 1})
      if (win.padLow[dim] > 0 || win.at(dim, win.output[dim] - 1, win.kernel[dim] - 1) >= win.input[dim])
        return true;
    return false;
  }
  /// The pixels that windows begin at are those of the input, one by one.
  bool isPointwise() const { return taps == 1 && !isPadded() && win.stride[0] == 1 && win.stride[1] == 1; }
};

/// `number * factor` of a type that holds it.
std::string wide(std::string_view type, std::string_view number, int64_t factor) {
  return fmt::format("{}({}) * {}", type == "int" ? "" : "(long long)", number, factor);
}

/// height and width of a pixel lie within a plane.
std::string within(std::string_view height, std::string_view width, const std::array<int64_t, 2> &plane) {
  return fmt::format("unsigned({}) < {} && unsigned({}) < {}", height, plane[0], width, plane[1]);
}

/// How far apart the filters' elements are for neighbouring indices, channels or filters of a tap, and taps.
struct FilterStrides {
  int64_t index, inner, tap;
};

/// Filters of a group by steps (kh, kw, inner): of conv2d an index is a filter, of its gradient a channel.
TileOperand filterOperand(const ConvText &c, const ConvolutionPhase &phase, const std::string &pointer,
                          int64_t extent, int64_t inner, const FilterStrides &stride) {
  const bool all = phase.taps == c.win.kernel;
  TileOperand w{.pointer = pointer, .extent = extent, .loops = {phase.taps[0], phase.taps[1], inner}};
  w.index = [=](CudaText &text, const std::string &i) {
    const int64_t first = (phase.firstTap[0] * c.win.kernel[1] + phase.firstTap[1]) * stride.tap;
    return TilePart{
        .at = text.define("int", "at",
                          tileTimes(i, stride.index) + (first == 0 ? "" : fmt::format(" + {}", first)))};
  };
  w.vectors = stride.index == 1 && extent % kTileVector == 0 && stride.inner % kTileVector == 0 &&
              (c.taps == 1 || stride.tap % kTileVector == 0);
  if (all && (c.taps == 1 || inner == 1 || stride.tap == inner * stride.inner)) { // steps lie evenly
    const int64_t step = c.taps > 1 && inner == 1 ? stride.tap : stride.inner;
    w.loops = {c.taps * inner};
    w.acrossDepth = step == 1 && stride.index != 1;
    w.depth = [=](CudaText &text, std::span<const std::string> k) {
      return TilePart{.at = text.define("int", "deep", tileTimes(k[0], step))};
    };
    return w;
  }
  w.depth = [=, kernelWidth = c.win.kernel[1]](CudaText &text, std::span<const std::string> k) {
    std::string tap[2];
    for (size_t dim : {0, 1})
      tap[dim] = tileTimes(k[dim], phase.tapStep[dim]);
    return TilePart{.at = text.define("int", "deep",
                                      fmt::format("{} * {} + ({} * {} + {}) * {}", k[2], stride.inner, tap[0],
                                                  kernelWidth, tap[1], stride.tap))};
  };
  return w;
}

/// The filters as they lie, or packed.
TileOperand filterOperand(CudaText &text, const ConvText &c, const ConvolutionPhase &phase,
                          const TileFactors &from, bool forward) {
  const int64_t rows = forward ? c.filters : c.channels, inner = forward ? c.channels : c.filters;
  if (from.packedRows != 0)
    return filterOperand(c, phase, tilePointer(text, from.b, c.group(from), c.taps * inner * from.packedRows),
                         from.packedRows, inner, {1, from.packedRows, inner * from.packedRows});
  const std::string pointer = tilePointer(text, from.b, c.group(from), c.filters * c.channels * c.taps);
  return forward ? filterOperand(c, phase, pointer, rows, inner, {c.channels * c.taps, c.taps, 1})
                 : filterOperand(c, phase, pointer, rows, inner, {c.taps, c.channels * c.taps, 1});
}

/// Number of a pixel's example, its height and its width, of a number that counts through planes of `size`.
struct Pixel {
  std::string example, height, width;
};
Pixel pixelOf(CudaText &t, const std::string &number, const std::array<int64_t, 2> &size) {
  const std::string within = t.define("int", "pixel", cudaRemainder(number, size[0] * size[1]));
  return {t.define("int", "n", cudaQuotient(number, size[0] * size[1])), cudaQuotient(within, size[1]),
          cudaRemainder(within, size[1])};
}

TileOperands convOperands(CudaText &text, const ConvText &c, const TileFactors &from) {
  const Window win = c.win;
  const int64_t plane = c.input, width = win.input[1];
  TileOperand pixels{.pointer = tilePointer(text, from.a, c.group(from), c.channels * plane),
                     .extent = c.conv.batch * c.output,
                     .loops = {win.kernel[0], win.kernel[1], c.channels},
                     // Of one channel, neighbouring taps lie side by side, and so do those of the next pixel.
                     .acrossDepth = c.channels == 1 && win.kernel[1] > 1,
                     .vectors = c.isPointwise() && plane % kTileVector == 0,
                     .channelsWithin = true};
  pixels.index = [=](CudaText &t, const std::string &i) {
    const Pixel o = pixelOf(t, i, win.output);
    TilePart part;
    part.height =
        t.define("int", "h", fmt::format("{} - {}", tileTimes(o.height, win.stride[0]), win.padLow[0]));
    part.width =
        t.define("int", "w", fmt::format("{} - {}", tileTimes(o.width, win.stride[1]), win.padLow[1]));
    part.at = t.define(c.images, "at",
                       fmt::format("{} + {} * {} + {}", wide(c.images, o.example, c.conv.channels * plane),
                                   part.height, width, part.width));
    return part;
  };
  pixels.depth = [=](CudaText &t, std::span<const std::string> k) {
    TilePart part;
    part.height = t.define("int", "dh", tileTimes(k[0], win.dilation[0]));
    part.width = t.define("int", "dw", tileTimes(k[1], win.dilation[1]));
    part.at = t.define("int", "deep",
                       fmt::format("{} * {} + {} * {} + {}", k[2], plane, part.height, width, part.width));
    return part;
  };
  if (c.isPadded())
    pixels.present = [=](const TilePart &i, const TilePart &k) {
      return within(i.height + " + " + k.height, i.width + " + " + k.width, win.input);
    };
  return {.columns = pixels, .rows = filterOperand(text, c, {.taps = win.kernel}, from, true)};
}

/// Of the pixels of one phase (ir/implicit_product.h): taps and pixels step over those that never meet.
TileOperands gradInputOperands(CudaText &text, const ConvText &c, const TileFactors &from) {
  const ConvolutionPhase &phase = from.phase;
  const int64_t plane = c.output, width = c.win.output[1];
  TileOperand pixels{.pointer = tilePointer(text, from.a, c.group(from), c.filters * plane),
                     .extent = c.conv.batch * phase.pixels[0] * phase.pixels[1],
                     .loops = {phase.taps[0], phase.taps[1], c.filters},
                     .vectors = c.isPointwise() && plane % kTileVector == 0,
                     .channelsWithin = true};
  pixels.index = [=, phase = from.phase](CudaText &t, const std::string &i) {
    const Pixel o = pixelOf(t, i, phase.pixels);
    TilePart part; // where tap 0 of the phase comes from
    part.height = t.define("int", "h", fmt::format("{} + {}", o.height, phase.firstWindow[0]));
    part.width = t.define("int", "w", fmt::format("{} + {}", o.width, phase.firstWindow[1]));
    part.at = t.define(c.results, "at",
                       fmt::format("{} + {} * {} + {}", wide(c.results, o.example, c.conv.filters * plane),
                                   part.height, width, part.width));
    return part;
  };
  pixels.depth = [=, phase = from.phase](CudaText &t, std::span<const std::string> k) {
    TilePart part;
    part.height = t.define("int", "dh", tileTimes(k[0], phase.windowStep[0]));
    part.width = t.define("int", "dw", tileTimes(k[1], phase.windowStep[1]));
    part.at = t.define("int", "deep",
                       fmt::format("{} * {} - {} * {} - {}", k[2], plane, part.height, width, part.width));
    return part;
  };
  if (phase.lacksWindows(c.win))
    pixels.present = [=, output = c.win.output](const TilePart &i, const TilePart &k) {
      return within(i.height + " - " + k.height, i.width + " - " + k.width, output);
    };
  return {.columns = pixels, .rows = filterOperand(text, c, phase, from, false)};
}

TileOperands gradWeightOperands(CudaText &text, const ConvText &c, const ReductionOrder &order,
                                const std::string &x, const std::string &dy, const std::string &product) {
  const Window win = c.win;
  const int64_t partials = order.lanes * order.split, images = c.conv.channels * c.input,
                results = c.conv.filters * c.output;
  const bool isWhole = partials == 1; // one sum over all examples
  std::string group = "0", partial = isWhole ? "0" : product;
  if (c.conv.groups > 1) {
    group = isWhole ? product : text.define("int", "group", fmt::format("{} / {}", product, partials));
    if (!isWhole)
      partial = text.define("int", "partial", fmt::format("{} % {}", product, partials));
  }
  // Partial sum s · 16 + l has the examples 16 · (s · segment + b) + l.
  const int64_t blocks = isWhole ? c.conv.batch : laneBlocks(c.conv.batch) / order.split,
                segment = blocks * order.lanes;
  std::string example = partial;
  if (!isWhole)
    example = text.define("int", "example",
                          order.split == 1
                              ? partial
                              : fmt::format("{0} / {1} * {2} + {0} % {1}", partial, order.lanes, segment));
  auto from = [&](const std::string &pointer, int64_t perExample, int64_t perGroup) {
    return tilePointer(text, tilePointer(text, pointer, example, perExample), group, perGroup);
  };
  const bool partly = c.conv.batch % order.lanes != 0;
  auto exists = [=, batch = c.conv.batch](const std::string &block) {
    return partly ? fmt::format("{} + {} * {} < {}", example, block, order.lanes, batch) : "";
  };
  TileOperand taps{.pointer = from(x, images, c.channels * c.input),
                   .extent = c.channels * c.taps,
                   .loops = {blocks, win.output[0], win.output[1]}};
  // Neighbouring pixels of a row lie side by side, and so do those of the next tap.
  taps.acrossDepth = true;
  taps.index = [=](CudaText &t, const std::string &i) {
    const Pixel tap = pixelOf(t, i, win.kernel); // of a channel
    TilePart part;
    part.height =
        t.define("int", "h", fmt::format("{} - {}", tileTimes(tap.height, win.dilation[0]), win.padLow[0]));
    part.width =
        t.define("int", "w", fmt::format("{} - {}", tileTimes(tap.width, win.dilation[1]), win.padLow[1]));
    part.at = t.define(
        "int", "at",
        fmt::format("{} * {} + {} * {} + {}", tap.example, c.input, part.height, win.input[1], part.width));
    return part;
  };
  taps.depth = [=](CudaText &t, std::span<const std::string> k) {
    TilePart part;
    part.height = t.define("int", "dh", tileTimes(k[1], win.stride[0]));
    part.width = t.define("int", "dw", tileTimes(k[2], win.stride[1]));
    part.at = t.define(c.images, "deep",
                       fmt::format("{} + {} * {} + {}", wide(c.images, k[0], order.lanes * images),
                                   part.height, win.input[1], part.width));
    part.exists = exists(k[0]);
    return part;
  };
  taps.mayEnd = partly;
  if (c.isPadded())
    taps.present = [=](const TilePart &i, const TilePart &k) {
      return within(i.height + " + " + k.height, i.width + " + " + k.width, win.input);
    };
  TileOperand maps{.pointer = from(dy, results, c.filters * c.output),
                   .extent = c.filters,
                   .loops = taps.loops,
                   .acrossDepth = true,
                   .mayEnd = partly};
  maps.index = [=](CudaText &t, const std::string &i) {
    return TilePart{.at = t.define("int", "at", tileTimes(i, c.output))};
  };
  maps.depth = [=](CudaText &t, std::span<const std::string> k) {
    TilePart part;
    part.at = t.define(c.results, "deep",
                       fmt::format("{} + {} * {} + {}", wide(c.results, k[0], order.lanes * results), k[1],
                                   win.output[1], k[2]));
    part.exists = exists(k[0]);
    return part;
  };
  return {.columns = taps, .rows = maps};
}

} // namespace

TileOperands convolutionOperands(CudaText &text, const Function &fn, OpId id, const TileFactors &from) {
  const ConvText c{convolutionOf(fn, id)};
  const std::string_view op = fn[id].def->name;
  if (op == "conv2d")
    return convOperands(text, c, from);
  if (op == "conv2d_grad_input")
    return gradInputOperands(text, c, from);
  return gradWeightOperands(text, c, from.whole ? ReductionOrder{} : reductionOrder(fn, id), from.a, from.b,
                            from.product);
}

} // namespace gradc
