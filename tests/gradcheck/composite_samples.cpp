#include "tests/gradcheck/sample_table.h"

namespace gradc::test {
namespace {

void bias(SampleMaker &m) {
  const Shape shapes[] = {{3}, {1}, {2, 3}, {1, 4}, {2, 1}, {2, 3, 2}, {2, 3, 1, 2}};
  for (int i = 0; i < 28; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    int64_t axis = m.below(2 * shape.rank()) - shape.rank();
    Tensor x = m.values(shape);
    m.add({x, m.values({shape[int(axis < 0 ? axis + shape.rank() : axis)]})}, {{"axis", axis}});
  }
}

void dense(SampleMaker &m) {
  const Shape batches[] = {{}, {1}, {3}, {2, 2}, {1, 2, 1}};
  for (int i = 0; i < 30; ++i) {
    Shape x = batches[i % 5];
    int64_t inputs = 1 + i % 4, units = 1 + i / 4 % 3;
    x.push(inputs);
    std::vector<Tensor> operands = {m.values(x), m.values({units, inputs})};
    if (i % 2)
      operands.push_back(m.values({units}));
    m.add(std::move(operands));
  }
}

void batchNorm(SampleMaker &m, bool training) {
  const Shape shapes[] = {{2, 1}, {5, 3}, {3, 2, 2}, {2, 3, 2, 2}, {1, 2, 3, 2}, {4, 1, 2, 1, 2}};
  for (int i = 0; i < 30; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    const Shape channels{shape[1]};
    Dict attrs{{"epsilon", i % 2 ? 0.01 : 0.5}};
    if (training)
      attrs.set("momentum", i % 3 ? 0.1 : 0.75);
    m.add({m.distinct(shape), m.values(channels), m.values(channels), m.values(channels),
           m.values(channels, 0.5, 2)},
          attrs);
  }
}

void layerNorm(SampleMaker &m) {
  const Shape shapes[] = {{3}, {1, 4}, {5, 2}, {2, 3, 4}, {2, 2, 3}, {1, 2, 2, 3}};
  for (int i = 0; i < 30; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    const int dims = 1 + i / 6 % shape.rank();
    const Shape normalized(std::span(shape.end() - dims, size_t(dims)));
    m.add({m.distinct(shape), m.values(normalized), m.values(normalized)}, {{"epsilon", i % 2 ? 0.01 : 0.5}});
  }
}

void softmax(SampleMaker &m) {
  const Shape shapes[] = {{1}, {4}, {2, 3}, {1, 5}, {3, 1}, {2, 2, 3}, {2, 3, 1, 2}};
  for (int i = 0; i < 28; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    Dict attrs;
    if (i % 4)
      attrs.set("axis", m.below(2 * shape.rank()) - shape.rank());
    m.add({m.distinct(shape)}, attrs);
  }
}

void crossEntropy(SampleMaker &m) {
  for (int i = 0; i < 32; ++i) {
    Shape shape{1 + i % 4, 1 + i / 4 % 5};
    Tensor logits = m.distinct(shape);
    m.add({logits, i % 2 ? m.indices({shape[0]}, shape[1]) : m.values(shape, 0, 1)});
  }
}

// The mask jumps with the rate, so that operand is not differentiated.
void dropout(SampleMaker &m) {
  const Shape shapes[] = {{}, {1}, {7}, {2, 3}, {1, 5}, {2, 2, 3}};
  for (int i = 0; i < 30; ++i) {
    Tensor x = m.values(shapes[i % std::size(shapes)]);
    m.add({x, m.values({}, 0, 0.9), m.i64(i), m.i64(7 * i), m.i64(i % 3)}, {{"stream", "sample"}}, {1});
  }
}

void flatten(SampleMaker &m) {
  const Shape shapes[] = {{1}, {4}, {2, 3}, {1, 3}, {2, 2, 2}, {3, 1, 2, 1}, {2, 1, 2, 1, 2}};
  for (int i = 0; i < 28; ++i)
    m.add({m.values(shapes[i % std::size(shapes)])});
}

} // namespace

void addCompositeSamples(SampleTable &table) {
  table["bias"] = bias;
  table["dense"] = dense;
  table["batch_norm_train"] = [](SampleMaker &m) { batchNorm(m, true); };
  table["batch_norm_infer"] = [](SampleMaker &m) { batchNorm(m, false); };
  table["layer_norm"] = layerNorm;
  table["softmax"] = softmax;
  table["log_softmax"] = softmax;
  table["softmax_cross_entropy"] = crossEntropy;
  table["dropout"] = dropout;
  table["flatten"] = flatten;
}

} // namespace gradc::test
