#include "tests/gradcheck/sample_table.h"

namespace gradc::test {
namespace {

struct Plane {
  Ints input, kernel, stride, padding, dilation;
  int64_t output(int dim) const {
    int64_t span = (kernel[dim] - 1) * dilation[dim] + 1;
    return (input[dim] + padding[2 * dim] + padding[2 * dim + 1] - span) / stride[dim] + 1;
  }
};

const Plane kConvs[] = {
    {{1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, {{3, 3}, {2, 2}, {1, 1}, {0, 0, 0, 0}, {1, 1}},
    {{3, 4}, {3, 2}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, {{4, 4}, {2, 2}, {2, 2}, {0, 0, 0, 0}, {1, 1}},
    {{5, 4}, {2, 3}, {2, 1}, {1, 0, 0, 2}, {1, 1}}, {{5, 5}, {2, 2}, {1, 1}, {0, 0, 0, 0}, {2, 3}},
    {{4, 5}, {2, 2}, {2, 2}, {1, 2, 0, 1}, {2, 1}}, {{4, 3}, {1, 3}, {3, 1}, {0, 0, 2, 2}, {1, 1}},
    {{2, 2}, {3, 3}, {1, 1}, {1, 1, 1, 1}, {1, 1}}, {{1, 5}, {1, 3}, {1, 2}, {0, 0, 1, 0}, {1, 2}}};
struct Channels {
  int64_t batch, groups, perGroup, filtersPerGroup;
};
const Channels kChannels[] = {{1, 1, 1, 1}, {2, 1, 2, 1}, {1, 2, 1, 2},
                              {2, 3, 1, 1}, {1, 1, 2, 3}, {1, 2, 2, 1}};

enum class Form { Forward, GradInput, GradWeight };

void conv2d(SampleMaker &m, Form form) {
  for (int i = 0; i < 30; ++i) {
    const Plane &p = kConvs[i % 10];
    const Channels &c = kChannels[i % 6];
    Shape x{c.batch, c.groups * c.perGroup, p.input[0], p.input[1]};
    Shape w{c.groups * c.filtersPerGroup, c.perGroup, p.kernel[0], p.kernel[1]};
    Shape y{c.batch, c.groups * c.filtersPerGroup, p.output(0), p.output(1)};
    Dict attrs = {
        {"stride", p.stride}, {"padding", p.padding}, {"dilation", p.dilation}, {"groups", c.groups}};
    if (form == Form::GradInput)
      attrs.set("input", p.input);
    if (form == Form::GradWeight)
      attrs.set("kernel", p.kernel);
    Tensor first = m.values(form == Form::GradInput ? y : x);
    m.add({first, m.values(form == Form::GradWeight ? y : w)}, attrs);
  }
}

const Plane kWindows[] = {
    {{1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, {{4, 4}, {2, 2}, {2, 2}, {0, 0, 0, 0}, {1, 1}},
    {{3, 5}, {2, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}}, {{4, 4}, {3, 3}, {2, 2}, {1, 1, 1, 1}, {1, 1}},
    {{5, 3}, {3, 2}, {2, 1}, {1, 2, 0, 1}, {1, 1}}, {{2, 2}, {3, 3}, {1, 1}, {1, 2, 2, 1}, {1, 1}},
    {{5, 5}, {2, 2}, {3, 3}, {0, 0, 0, 0}, {1, 1}}, {{1, 6}, {1, 4}, {1, 2}, {0, 0, 3, 3}, {1, 1}},
    {{6, 1}, {3, 1}, {3, 1}, {0, 0, 0, 0}, {1, 1}}, {{3, 3}, {3, 3}, {1, 1}, {0, 0, 0, 0}, {1, 1}}};

template <class Add> void forEachWindow(Add &&add) {
  for (int i = 0; i < 30; ++i) {
    const Plane &p = kWindows[i % 10];
    add(p, Shape{1 + i % 2, 1 + i / 10, p.input[0], p.input[1]},
        Shape{1 + i % 2, 1 + i / 10, p.output(0), p.output(1)},
        {{"window", p.kernel}, {"stride", p.stride}, {"padding", p.padding}});
  }
}

Dict poolAttrs(const Plane &p) {
  Dict attrs{{"kernel", p.kernel}, {"padding", p.padding}};
  if (p.stride != p.kernel)
    attrs.set("stride", p.stride);
  return attrs;
}

} // namespace

void addSpatialSamples(SampleTable &table) {
  table["conv2d"] = [](SampleMaker &m) { conv2d(m, Form::Forward); };
  table["conv2d_grad_input"] = [](SampleMaker &m) { conv2d(m, Form::GradInput); };
  table["conv2d_grad_weight"] = [](SampleMaker &m) { conv2d(m, Form::GradWeight); };
  table["window_max"] = [](SampleMaker &m) {
    forEachWindow([&](const Plane &, const Shape &x, const Shape &, const Dict &attrs) {
      m.add({m.distinct(x)}, attrs);
    });
  };
  table["window_max_grad"] = [](SampleMaker &m) {
    forEachWindow([&](const Plane &, const Shape &x, const Shape &y, const Dict &attrs) {
      Tensor at = m.distinct(x);
      m.add({at, m.values(y)}, attrs);
    });
  };
  table["window_sum"] = [](SampleMaker &m) {
    forEachWindow([&](const Plane &, const Shape &x, const Shape &, const Dict &attrs) {
      m.add({m.values(x)}, attrs);
    });
  };
  table["window_sum_grad"] = [](SampleMaker &m) {
    forEachWindow([&](const Plane &p, const Shape &, const Shape &y, Dict attrs) {
      attrs.set("input", p.input);
      m.add({m.values(y)}, attrs);
    });
  };
  table["max_pool2d"] = [](SampleMaker &m) {
    forEachWindow([&](const Plane &p, const Shape &x, const Shape &, const Dict &) {
      m.add({m.distinct(x)}, poolAttrs(p));
    });
  };
  table["avg_pool2d"] = [](SampleMaker &m) {
    forEachWindow([&](const Plane &p, const Shape &x, const Shape &, const Dict &) {
      m.add({m.values(x)}, poolAttrs(p));
    });
  };
}

} // namespace gradc::test
