// conv2d and the pools: [N, channels, height, width]
#include <array>

#include "frontend/layer.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

using Pair = std::array<int64_t, 2>;

struct Window {
  Pair kernel, stride, dilation;
  std::array<int64_t, 4> padding{}; // top, bottom, left, right

  Dict attrs() const {
    return {{"stride", std::vector<int64_t>{stride[0], stride[1]}},
            {"padding", std::vector<int64_t>(padding.begin(), padding.end())}};
  }
};

/// Padding so that out = ⌈in / stride⌉; the odd pixel goes to the end.
void padSame(Window &w, const Shape &in) {
  for (int axis = 0; axis < 2; ++axis) {
    int64_t size = in[axis + 2], out = (size + w.stride[axis] - 1) / w.stride[axis];
    int64_t reach = (w.kernel[axis] - 1) * w.dilation[axis] + 1;
    int64_t total = std::max<int64_t>(0, (out - 1) * w.stride[axis] + reach - size);
    w.padding[2 * axis] = total / 2;
    w.padding[2 * axis + 1] = total - total / 2;
  }
}

void readPadding(Window &w, const LayerContext &c, const Shape &in) {
  const Json *given = c.find("padding");
  if (!given || given->isNumber() || (given->isArray() && given->items[0].isNumber())) {
    Pair p = c.pair("padding", {0, 0});
    w.padding = {p[0], p[0], p[1], p[1]};
  } else if (given->isArray()) {
    for (int i = 0; i < 4; ++i)
      w.padding[i] = *given->items[i / 2].items[i % 2].integer();
  } else if (given->text == "same") {
    padSame(w, in);
  }
}

/// Reads stride, padding and dilation, and sees that the window fits the input.
std::optional<Window> readWindow(LayerContext &c, Pair kernel, Pair stride) {
  const Shape in = c.type(0).shape;
  Window w{kernel, c.pair("stride", stride), c.pair("dilation", {1, 1})};
  readPadding(w, c, in);
  for (int axis = 0; axis < 2; ++axis) {
    int64_t padded = in[axis + 2] + w.padding[2 * axis] + w.padding[2 * axis + 1];
    int64_t reach = (w.kernel[axis] - 1) * w.dilation[axis] + 1;
    if (reach > padded)
      return c.fail("kernel", "the kernel covers {} rows or columns, but {}, which is {} with its padding",
                    reach, c.inputText(0), padded);
  }
  return w;
}

bool isImage(LayerContext &c) {
  if (c.type(0).rank() == 4)
    return true;
  c.fail("inputs", "{} expects an input of rank 4, [N, channels, height, width], but {}",
         c.use().layer->spec.name, c.inputText(0));
  return false;
}

std::optional<ValueId> buildConv(LayerContext &c) {
  if (c.x.size() == 2 && !c.find("filters")) {
    Window w{{1, 1}, c.pair("stride", {1, 1}), c.pair("dilation", {1, 1})};
    if (isImage(c) && c.type(1).rank() == 4)
      w.kernel = {c.type(1).shape[2], c.type(1).shape[3]};
    readPadding(w, c, c.type(0).shape);
    Dict attrs = w.attrs();
    attrs.set("dilation", std::vector<int64_t>{w.dilation[0], w.dilation[1]});
    attrs.set("groups", c.integer("groups", 1));
    return c.op("conv2d", c.x, attrs);
  }
  for (std::string_view key : {"filters", "kernel"})
    if (!c.find(key))
      return c.fail("", "conv2d needs '{}'", key);
  if (c.x.size() != 1)
    return c.fail("inputs", "conv2d with 'filters' takes 1 input, but got {}", c.x.size());
  if (!isImage(c))
    return std::nullopt;
  int64_t channels = c.type(0).shape[1], filters = c.integer("filters", 1), groups = c.integer("groups", 1);
  if (channels % groups != 0 || filters % groups != 0)
    return c.fail("groups",
                  "'groups' is {} but must divide both the {} channels of the input and the {} filters",
                  groups, channels, filters);
  std::optional<Window> w = readWindow(c, c.pair("kernel", {1, 1}), {1, 1});
  if (!w)
    return std::nullopt;
  int64_t taps = w->kernel[0] * w->kernel[1];
  Fans fans{channels / groups * taps, filters * taps};
  std::optional<ValueId> weight =
      c.parameter("weight", {filters, channels / groups, w->kernel[0], w->kernel[1]}, fans);
  Dict attrs = w->attrs();
  attrs.set("dilation", std::vector<int64_t>{w->dilation[0], w->dilation[1]});
  attrs.set("groups", groups);
  std::optional<ValueId> y = weight ? c.op("conv2d", {c.x[0], *weight}, attrs) : std::nullopt;
  if (!y || !c.wantsBias())
    return y;
  std::optional<ValueId> bias = c.parameter("bias", {filters}, fans);
  return bias ? c.op("bias", {*y, *bias}) : std::nullopt;
}

std::optional<ValueId> buildPool(LayerContext &c) {
  if (!isImage(c))
    return std::nullopt;
  Pair kernel = c.pair("kernel", {1, 1});
  std::optional<Window> w = readWindow(c, kernel, kernel);
  if (!w)
    return std::nullopt;
  for (int i = 0; i < 4; ++i)
    if (w->padding[i] >= w->kernel[i / 2])
      return c.fail("padding", "a padding of {} leaves windows of {} without any input", w->padding[i],
                    w->kernel[i / 2]);
  Dict attrs = w->attrs();
  attrs.set("kernel", std::vector<int64_t>{kernel[0], kernel[1]});
  return c.op(c.use().layer->spec.name, {c.x[0]}, attrs);
}

std::optional<ValueId> buildGlobalPool(LayerContext &c) {
  if (!isImage(c))
    return std::nullopt;
  return c.op("reduce_mean", {c.x[0]}, {{"axes", std::vector<int64_t>{2, 3}}});
}

const KeySpec kStride{.name = "stride",
                      .forms = {Form::Integer, Form::Pair},
                      .doc = "step of the window",
                      .min = 1,
                      .max = 65535};
const KeySpec kPadding{.name = "padding",
                       .forms = {Form::Integer, Form::Pair, Form::Padding, Form::Word},
                       .doc = "rows and columns around the input; \"same\": out = ceil(in / stride)",
                       .fallback = "0",
                       .min = 0,
                       .max = 65535,
                       .words = {"valid", "same"}};

LayerDef pool(std::string_view name, std::string_view doc) {
  return {.spec = {name,
                   doc,
                   {{.name = "kernel",
                     .forms = {Form::Integer, Form::Pair},
                     .doc = "size of the window",
                     .required = true,
                     .min = 1,
                     .max = 65535},
                    kStride,
                    kPadding}},
          .build = buildPool};
}

} // namespace

std::vector<LayerDef> spatialLayers() {
  KeySpec kernel{.name = "kernel",
                 .forms = {Form::Integer, Form::Pair},
                 .doc = "size of the filters",
                 .min = 1,
                 .max = 65535};
  KeySpec stride = kStride;
  stride.fallback = "1";
  return {
      {.spec =
           {"conv2d",
            "Convolution of [N, channels, height, width]; with two inputs and without filters the primitive",
            {
                {.name = "filters",
                 .forms = {Form::Integer},
                 .doc = "channels of the result",
                 .min = 1,
                 .max = kMaxSize},
                kernel,
                stride,
                kPadding,
                {.name = "dilation",
                 .forms = {Form::Integer, Form::Pair},
                 .doc = "distance of the taps",
                 .fallback = "1",
                 .min = 1,
                 .max = 65535},
                {.name = "groups",
                 .forms = {Form::Integer},
                 .doc = "channels and filters fall into so many separate groups",
                 .fallback = "1",
                 .min = 1,
                 .max = kMaxSize},
                {.name = "weight",
                 .forms = {Form::Object, Form::Name},
                 .doc = "[filters, channels / groups, height, width]",
                 .object = parameterSpec},
                {.name = "bias",
                 .forms = {Form::Bool, Form::Object, Form::Name},
                 .doc = "[filters]",
                 .fallback = "true",
                 .object = parameterSpec},
            }},
       .maxInputs = 2,
       .build = buildConv},
      pool("max_pool2d", "Largest value of each window; padding counts as minus infinity"),
      pool("avg_pool2d", "Mean of each window; padding counts as 0"),
      {.spec = {"global_avg_pool2d", "Mean of each channel's picture: [N, channels]", {}},
       .build = buildGlobalPool},
  };
}

} // namespace gradc
