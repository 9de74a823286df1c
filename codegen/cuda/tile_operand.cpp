#include "codegen/cuda/tile_operand.h"

#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kVector = 4; // elements of 16 bytes

/// Numbers of elements are int where that is enough.
std::string_view numberType(int64_t elements) { return elements < (int64_t{1} << 31) ? "int" : "long long"; }

std::string times(std::string_view value, int64_t factor) {
  return factor == 1 ? std::string(value) : fmt::format("{} * {}", value, factor);
}
/// Of what is not negative, so that a division costs no more than it must.
std::string quotient(std::string_view value, int64_t divisor) {
  return divisor == 1 ? std::string(value) : fmt::format("int(unsigned({}) / {})", value, divisor);
}
std::string rest(std::string_view value, int64_t divisor) {
  return divisor == 1 ? "0" : fmt::format("int(unsigned({}) % {})", value, divisor);
}
std::string sum(const TilePart &i, const TilePart &k) { return i.at + " + " + k.at; }

/// A pointer moved by a number of products that are `stride` elements apart.
std::string moved(CudaText &text, const std::string &pointer, const std::string &products, int64_t stride) {
  if (products == "0" || stride == 0)
    return pointer;
  return text.define(
      "float *", pointer + "_here",
      fmt::format("{} + {} * {}{}", pointer, products, stride, stride < (1 << 20) ? "" : "LL"));
}

// ---- matmul

/// A matrix whose index and depth are `indexStride` and `depthStride` elements apart.
TileOperand matrix(std::string pointer, int64_t extent, int64_t depth, int64_t indexStride,
                   int64_t depthStride) {
  const std::string_view type = numberType(extent * depth);
  auto scaled = [type](std::string_view base, int64_t stride) {
    return [=](CudaText &text, const std::string &i) {
      return TilePart{
          .at = stride == 1 ? i
                            : text.define(type, base, times(type == "int" ? i : "(long long)" + i, stride))};
    };
  };
  const bool deep = depthStride == 1 && indexStride != 1;
  return {.pointer = std::move(pointer),
          .extent = extent,
          .acrossDepth = deep,
          .vectors =
              (deep ? indexStride : depthStride) % kVector == 0 && (deep ? depth : extent) % kVector == 0,
          .index = scaled("at", indexStride),
          .depth = scaled("deep", depthStride),
          .element = sum};
}

TileOperands matmulOperands(CudaText &text, const Function &fn, const OpData &op, const ImplicitProduct &p,
                            const std::string &a, const std::string &b, const std::string &product) {
  const Dict attrs = withDefaults(*op.def, op.attrs);
  const bool shared = fn.type(op.operands[1]).rank() < fn.type(op.results[0]).rank();
  const std::string batch = p.batch == 1 ? "0" : product;
  const std::string lhs = moved(text, a, batch, p.rows * p.depth),
                    rhs = shared ? b : moved(text, b, batch, p.columns * p.depth);
  return {.columns = attrs.flag("transpose_b") ? matrix(rhs, p.columns, p.depth, p.depth, 1)
                                               : matrix(rhs, p.columns, p.depth, 1, p.columns),
          .rows = attrs.flag("transpose_a") ? matrix(lhs, p.rows, p.depth, 1, p.rows)
                                            : matrix(lhs, p.rows, p.depth, p.depth, 1)};
}

// ---- convolutions

struct ConvText {
  Convolution conv; // by value: it outlives the call within the operands' functions
  Window win = conv.window;
  int64_t channels = conv.channels / conv.groups, filters = conv.filters / conv.groups;
  int64_t taps = win.kernel[0] * win.kernel[1];
  int64_t input = win.input[0] * win.input[1], output = win.output[0] * win.output[1];
  std::string_view images = numberType(conv.batch * conv.channels * input),
                   results = numberType(conv.batch * conv.filters * output);

  /// Whether some tap of some window lies in the padding.
  bool isPadded() const {
    for (int dim : {0, 1})
      if (win.padLow[dim] > 0 || win.at(dim, win.output[dim] - 1, win.kernel[dim] - 1) >= win.input[dim])
        return true;
    return false;
  }
};

/// height and width of a pixel lie within a plane.
std::string within(std::string_view height, std::string_view width, const std::array<int64_t, 2> &plane) {
  return fmt::format("unsigned({}) < {} && unsigned({}) < {}", height, plane[0], width, plane[1]);
}

/// kh, kw and what is left of a step k = (kh, kw, inner).
struct Tap {
  std::string kh, kw, inner;
};
Tap tapOf(CudaText &text, const ConvText &c, const std::string &k, int64_t innerSize) {
  Tap tap;
  tap.inner = text.define("int", "inner", rest(k, innerSize));
  const std::string which = text.define("int", "tap", quotient(k, innerSize));
  tap.kh = text.define("int", "kh", quotient(which, c.win.kernel[1]));
  tap.kw = text.define("int", "kw", rest(which, c.win.kernel[1]));
  return tap;
}

/// Filters of a group by steps (kh, kw, inner): of conv2d an index is a filter, of its gradient a channel.
TileOperand filters(const ConvText &c, const std::string &pointer, int64_t extent, int64_t indexStride,
                    int64_t inner, int64_t innerStride) {
  TileOperand w{.pointer = pointer, .extent = extent, .element = sum};
  // One tap, or one channel: the depth lies as it runs.
  w.acrossDepth = (c.taps == 1 && innerStride == 1) || (inner == 1 && indexStride == c.taps);
  w.vectors = w.acrossDepth && indexStride % kVector == 0;
  w.index = [=](CudaText &text, const std::string &i) {
    return TilePart{.at = text.define("int", "at", times(i, indexStride))};
  };
  w.depth = [=](CudaText &text, const std::string &k) {
    const std::string tap = quotient(k, inner);
    return TilePart{.at = text.define("int", "deep",
                                      inner == 1 ? tap
                                      : c.taps == 1
                                          ? times(k, innerStride)
                                          : fmt::format("{} * {} + {}", rest(k, inner), innerStride, tap))};
  };
  return w;
}

TileOperands convOperands(CudaText &text, const ConvText &c, const std::string &x, const std::string &w,
                          const std::string &group) {
  const Window win = c.win;
  const int64_t plane = c.input, width = win.input[1];
  TileOperand pixels{.pointer = moved(text, x, group, c.channels * plane), .extent = c.conv.batch * c.output};
  const bool padded = c.isPadded();
  pixels.index = [=](CudaText &t, const std::string &i) {
    const std::string n = t.define("int", "n", quotient(i, c.output)),
                      o = t.define("int", "pixel", rest(i, c.output));
    TilePart part;
    part.height = t.define(
        "int", "h", fmt::format("{} - {}", times(quotient(o, win.output[1]), win.stride[0]), win.padLow[0]));
    part.width = t.define(
        "int", "w", fmt::format("{} - {}", times(rest(o, win.output[1]), win.stride[1]), win.padLow[1]));
    part.at = t.define(c.images, "at",
                       fmt::format("{}({}) * {} + {} * {} + {}", c.images == "int" ? "" : "(long long)", n,
                                   c.conv.channels * plane, part.height, width, part.width));
    return part;
  };
  pixels.depth = [=](CudaText &t, const std::string &k) {
    const Tap tap = tapOf(t, c, k, c.channels);
    TilePart part;
    part.height = t.define("int", "dh", times(tap.kh, win.dilation[0]));
    part.width = t.define("int", "dw", times(tap.kw, win.dilation[1]));
    part.at =
        t.define("int", "deep",
                 fmt::format("{} * {} + {} * {} + {}", tap.inner, plane, part.height, width, part.width));
    return part;
  };
  pixels.element = sum;
  if (padded)
    pixels.present = [=](const TilePart &i, const TilePart &k) {
      return within(i.height + " + " + k.height, i.width + " + " + k.width, win.input);
    };
  return {.columns = pixels,
          .rows = filters(c, moved(text, w, group, c.filters * c.channels * c.taps), c.filters,
                          c.channels * c.taps, c.channels, c.taps)};
}

TileOperands gradInputOperands(CudaText &text, const ConvText &c, const std::string &dy, const std::string &w,
                               const std::string &group) {
  const Window win = c.win;
  const int64_t plane = c.output, width = win.output[1];
  const bool strided = win.stride[0] > 1 || win.stride[1] > 1;
  TileOperand pixels{.pointer = moved(text, dy, group, c.filters * plane), .extent = c.conv.batch * c.input};
  pixels.index = [=](CudaText &t, const std::string &i) {
    const std::string n = t.define("int", "n", quotient(i, c.input)),
                      o = t.define("int", "pixel", rest(i, c.input));
    TilePart part;
    part.height = t.define("int", "h", fmt::format("{} + {}", quotient(o, win.input[1]), win.padLow[0]));
    part.width = t.define("int", "w", fmt::format("{} + {}", rest(o, win.input[1]), win.padLow[1]));
    part.at = t.define(
        c.results, "at",
        fmt::format("{}({}) * {}", c.results == "int" ? "" : "(long long)", n, c.conv.filters * plane));
    return part;
  };
  pixels.depth = [=](CudaText &t, const std::string &k) {
    const Tap tap = tapOf(t, c, k, c.filters);
    TilePart part;
    part.height = t.define("int", "dh", times(tap.kh, win.dilation[0]));
    part.width = t.define("int", "dw", times(tap.kw, win.dilation[1]));
    part.at = t.define("int", "deep", times(tap.inner, plane));
    return part;
  };
  auto position = [=](const TilePart &i, const TilePart &k, int dim) {
    const std::string distance =
        dim == 0 ? fmt::format("({} - {})", i.height, k.height) : fmt::format("({} - {})", i.width, k.width);
    return win.stride[dim] == 1 ? distance : fmt::format("{} / {}", distance, win.stride[dim]);
  };
  pixels.element = [=](const TilePart &i, const TilePart &k) {
    return fmt::format("{} + {} + {} * {} + {}", i.at, k.at, position(i, k, 0), width, position(i, k, 1));
  };
  pixels.present = [=](const TilePart &i, const TilePart &k) {
    const std::string distance[] = {fmt::format("{} - {}", i.height, k.height),
                                    fmt::format("{} - {}", i.width, k.width)};
    std::string condition =
        within(distance[0], distance[1],
               {(win.output[0] - 1) * win.stride[0] + 1, (win.output[1] - 1) * win.stride[1] + 1});
    for (int dim : {0, 1})
      if (strided && win.stride[dim] > 1)
        condition += fmt::format(" && unsigned({}) % {} == 0", distance[dim], win.stride[dim]);
    return condition;
  };
  return {.columns = pixels,
          .rows = filters(c, moved(text, w, group, c.filters * c.channels * c.taps), c.channels, c.taps,
                          c.filters, c.channels * c.taps)};
}

TileOperands gradWeightOperands(CudaText &text, const ConvText &c, const ReductionOrder &order,
                                const std::string &x, const std::string &dy, const std::string &product) {
  const Window win = c.win;
  const int64_t partials = order.lanes * order.split, images = c.conv.channels * c.input,
                results = c.conv.filters * c.output;
  const std::string group =
      c.conv.groups == 1 ? "0" : text.define("int", "group", fmt::format("{} / {}", product, partials));
  const std::string partial =
      c.conv.groups == 1 ? product : text.define("int", "partial", fmt::format("{} % {}", product, partials));
  // Partial sum s · 16 + l has the examples 16 · (s · segment + b) + l.
  const int64_t segment = laneBlocks(c.conv.batch) / order.split * order.lanes;
  const std::string example = text.define(
      "int", "example",
      order.split == 1 ? partial : fmt::format("{0} / {1} * {2} + {0} % {1}", partial, order.lanes, segment));
  auto from = [&](const std::string &pointer, int64_t perExample, int64_t perGroup) {
    return moved(text, moved(text, pointer, example, perExample), group, perGroup);
  };
  const bool partly = c.conv.batch % order.lanes != 0;
  auto exists = [=, batch = c.conv.batch](const std::string &block) {
    return partly ? fmt::format("{} + {} * {} < {}", example, block, order.lanes, batch) : "";
  };
  TileOperand taps{.pointer = from(x, images, c.channels * c.input), .extent = c.channels * c.taps};
  taps.index = [=](CudaText &t, const std::string &i) {
    const std::string channel = t.define("int", "channel", quotient(i, c.taps)),
                      tap = t.define("int", "tap", rest(i, c.taps));
    TilePart part;
    part.height =
        t.define("int", "h",
                 fmt::format("{} - {}", times(quotient(tap, win.kernel[1]), win.dilation[0]), win.padLow[0]));
    part.width = t.define(
        "int", "w", fmt::format("{} - {}", times(rest(tap, win.kernel[1]), win.dilation[1]), win.padLow[1]));
    part.at = t.define(
        "int", "at",
        fmt::format("{} * {} + {} * {} + {}", channel, c.input, part.height, win.input[1], part.width));
    return part;
  };
  taps.depth = [=](CudaText &t, const std::string &k) {
    const std::string block = t.define("int", "images", quotient(k, c.output)),
                      o = t.define("int", "pixel", rest(k, c.output));
    TilePart part;
    part.height = t.define("int", "dh", times(quotient(o, win.output[1]), win.stride[0]));
    part.width = t.define("int", "dw", times(rest(o, win.output[1]), win.stride[1]));
    part.at = t.define(c.images, "deep",
                       fmt::format("{}({}) * {} + {} * {} + {}", c.images == "int" ? "" : "(long long)",
                                   block, order.lanes * images, part.height, win.input[1], part.width));
    part.exists = exists(block);
    return part;
  };
  taps.element = sum;
  if (c.isPadded())
    taps.present = [=](const TilePart &i, const TilePart &k) {
      return within(i.height + " + " + k.height, i.width + " + " + k.width, win.input);
    };
  TileOperand maps{.pointer = from(dy, results, c.filters * c.output), .extent = c.filters, .element = sum};
  maps.acrossDepth = true;
  maps.vectors = c.output % kVector == 0;
  maps.index = [=](CudaText &t, const std::string &i) {
    return TilePart{.at = t.define("int", "at", times(i, c.output))};
  };
  maps.depth = [=](CudaText &t, const std::string &k) {
    const std::string block = t.define("int", "images", quotient(k, c.output));
    TilePart part;
    part.at = t.define(c.results, "deep",
                       fmt::format("{}({}) * {} + {}", c.results == "int" ? "" : "(long long)", block,
                                   order.lanes * results, rest(k, c.output)));
    part.exists = exists(block);
    return part;
  };
  return {.columns = taps, .rows = maps};
}

} // namespace

PackedFilters packedFilters(const ImplicitProduct &product) {
  return {product.batch, product.depth, product.rows, ceilDiv(product.rows, kVector) * kVector};
}

std::string filterElement(CudaText &text, const Function &fn, OpId id, const std::string &group,
                          const std::string &k, const std::string &row) {
  const ConvText c{convolutionOf(fn, id)};
  const bool forward = fn[id].def->name == "conv2d";
  const int64_t inner = forward ? c.channels : c.filters;
  const std::string tap = text.define("int", "tap", quotient(k, inner)),
                    in = text.define("int", "inner", rest(k, inner));
  const std::string filter = fmt::format("({} * {} + {})", group, c.filters, forward ? row : in);
  return fmt::format("({} * {} + {}) * {} + {}", filter, c.channels, forward ? in : row, c.taps, tap);
}

TileOperands tileOperands(CudaText &text, const Function &fn, OpId id, const std::string &a,
                          const std::string &b, const std::string &product, bool packed) {
  const OpData &op = fn[id];
  if (op.def->name == "matmul")
    return matmulOperands(text, fn, op, *implicitProduct(fn, id), a, b, product);
  const Convolution conv = convolutionOf(fn, id);
  const ConvText c{conv};
  const std::string group = conv.groups == 1 ? "0" : product;
  if (op.def->name != "conv2d_grad_weight") {
    TileOperands operands = op.def->name == "conv2d" ? convOperands(text, c, a, b, group)
                                                     : gradInputOperands(text, c, a, b, group);
    if (const PackedFilters filters = packedFilters(*implicitProduct(fn, id)); packed)
      operands.rows = matrix(moved(text, b, group, filters.depth * filters.filledRows), filters.filledRows,
                             filters.depth, 1, filters.filledRows);
    return operands;
  }
  return gradWeightOperands(text, c, reductionOrder(fn, id), a, b, product);
}

} // namespace gradc
