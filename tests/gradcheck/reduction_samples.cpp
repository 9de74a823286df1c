#include "tests/gradcheck/sample_table.h"

namespace gradc::test {
namespace {

/// Every subset of the axes of small shapes, with and without kept dimensions.
void reduce(SampleMaker &m, bool distinct) {
  const Shape shapes[] = {{}, {1}, {4}, {2, 3}, {1, 3}, {2, 2, 3}, {3, 1, 2, 2}};
  for (const Shape &shape : shapes)
    for (int subset = 0; subset < 1 << shape.rank(); ++subset) {
      Ints axes;
      for (int axis = 0; axis < shape.rank(); ++axis)
        if (subset >> axis & 1)
          axes.push_back(axis);
      Dict attrs{{"axes", axes}};
      if ((subset + shape.rank()) % 2)
        attrs.set("keep_dims", true);
      m.add({distinct ? m.distinct(shape) : m.values(shape)}, attrs);
    }
}

void matmul(SampleMaker &m) {
  const Shape sizes[] = {{1, 1, 1}, {2, 3, 4}, {1, 4, 2}, {3, 1, 2}, {2, 3, 1}, {4, 2, 3}};
  const Shape batches[] = {{}, {2}, {1}, {2, 1}};
  for (int i = 0; i < 48; ++i) {
    const Shape &size = sizes[i % 6], &batch = batches[i / 12];
    bool ta = i & 1, tb = (i / 6 + i) & 2;
    Shape a = batch, b = batch;
    a.push(ta ? size[2] : size[0]);
    a.push(ta ? size[0] : size[2]);
    b.push(tb ? size[1] : size[2]);
    b.push(tb ? size[2] : size[1]);
    Tensor lhs = m.values(a);
    m.add({lhs, m.values(b)}, {{"transpose_a", ta}, {"transpose_b", tb}});
  }
  for (const Shape &lhs : {Shape{2, 3, 4}, Shape{1, 2, 4}, Shape{2, 1, 2, 4}}) // one rhs for all
    for (bool tb : {false, true})
      m.add({m.values(lhs), m.values(tb ? Shape{3, 4} : Shape{4, 3})}, {{"transpose_b", tb}});
}

} // namespace

void addReductionSamples(SampleTable &table) {
  for (const char *op : {"reduce_sum", "reduce_mean"})
    table[op] = [](SampleMaker &m) { reduce(m, false); };
  for (const char *op : {"reduce_max", "reduce_min"})
    table[op] = [](SampleMaker &m) { reduce(m, true); };
  table["matmul"] = matmul;
}

} // namespace gradc::test
