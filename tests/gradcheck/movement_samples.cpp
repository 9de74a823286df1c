#include "tests/gradcheck/sample_table.h"

namespace gradc::test {
namespace {

void broadcast(SampleMaker &m) {
  struct Case {
    Shape from;
    Ints axes;
    Shape to;
  };
  const Case cases[] = {{{}, {}, {}},
                        {{}, {}, {1}},
                        {{}, {}, {3}},
                        {{}, {}, {2, 3}},
                        {{1}, {0}, {1}},
                        {{3}, {0}, {3}},
                        {{3}, {0}, {3, 2}},
                        {{3}, {1}, {2, 3}},
                        {{1}, {1}, {4, 1}},
                        {{1}, {0}, {1, 4}},
                        {{3}, {1}, {2, 3, 2}},
                        {{2}, {2}, {3, 1, 2}},
                        {{2, 3}, {0, 1}, {2, 3}},
                        {{2, 3}, {0, 1}, {2, 3, 2}},
                        {{2, 3}, {0, 2}, {2, 2, 3}},
                        {{2, 3}, {1, 2}, {4, 2, 3}},
                        {{1, 3}, {0, 1}, {1, 3, 2}},
                        {{2, 1}, {0, 2}, {2, 5, 1}},
                        {{2, 1}, {1, 3}, {2, 2, 3, 1}},
                        {{2, 2, 2}, {0, 1, 2}, {2, 2, 2, 2}},
                        {{2, 2, 2}, {1, 2, 3}, {2, 2, 2, 2}},
                        {{2, 2}, {0, 3}, {2, 3, 2, 2}},
                        {{6}, {1}, {1, 6, 2, 1}},
                        {{1, 1}, {0, 1}, {1, 1, 3}},
                        {{2, 3, 1}, {0, 1, 2}, {2, 3, 1, 1}},
                        {{3}, {3}, {1, 2, 1, 3}}};
  for (const Case &c : cases)
    m.add({m.values(c.from)}, {{"axes", c.axes}, {"shape", c.to}});
}

void reshape(SampleMaker &m) {
  const std::pair<Shape, Shape> cases[] = {{{}, {}},
                                           {{}, {1}},
                                           {{1}, {}},
                                           {{1}, {1, 1, 1}},
                                           {{6}, {2, 3}},
                                           {{2, 3}, {6}},
                                           {{2, 3}, {3, 2}},
                                           {{1, 6}, {6, 1}},
                                           {{4}, {2, 2}},
                                           {{2, 2}, {4}},
                                           {{2, 2, 2}, {4, 2}},
                                           {{2, 2, 2}, {2, 4}},
                                           {{8}, {2, 2, 2}},
                                           {{3, 4}, {2, 6}},
                                           {{3, 4}, {12}},
                                           {{12}, {3, 1, 4}},
                                           {{2, 3, 2}, {12}},
                                           {{2, 1, 5}, {10}},
                                           {{10}, {5, 2}},
                                           {{1, 1}, {1}},
                                           {{5}, {5}},
                                           {{5}, {1, 5}},
                                           {{5, 1}, {5}},
                                           {{2, 3, 1, 2}, {2, 6}},
                                           {{2, 6}, {2, 3, 1, 2}},
                                           {{1, 7}, {7}}};
  for (const auto &[from, to] : cases)
    m.add({m.values(from)}, {{"shape", to}});
}

void transpose(SampleMaker &m) {
  const std::pair<Shape, Ints> cases[] = {{{}, {}},
                                          {{4}, {0}},
                                          {{1}, {0}},
                                          {{2, 3}, {0, 1}},
                                          {{2, 3}, {1, 0}},
                                          {{1, 4}, {1, 0}},
                                          {{4, 1}, {1, 0}},
                                          {{3, 3}, {1, 0}},
                                          {{2, 3, 4}, {0, 1, 2}},
                                          {{2, 3, 4}, {0, 2, 1}},
                                          {{2, 3, 4}, {1, 0, 2}},
                                          {{2, 3, 4}, {1, 2, 0}},
                                          {{2, 3, 4}, {2, 0, 1}},
                                          {{2, 3, 4}, {2, 1, 0}},
                                          {{1, 3, 2}, {2, 0, 1}},
                                          {{2, 1, 3}, {1, 2, 0}},
                                          {{2, 2, 2, 2}, {3, 2, 1, 0}},
                                          {{2, 3, 1, 2}, {0, 2, 3, 1}},
                                          {{2, 3, 1, 2}, {0, 3, 1, 2}},
                                          {{1, 2, 3, 2}, {1, 0, 3, 2}},
                                          {{2, 1, 2, 1, 2}, {4, 3, 2, 1, 0}},
                                          {{5, 2}, {1, 0}},
                                          {{2, 5}, {1, 0}},
                                          {{1, 1}, {1, 0}},
                                          {{2, 2, 3}, {1, 2, 0}},
                                          {{3, 1, 1, 2}, {2, 3, 0, 1}}};
  for (const auto &[shape, permutation] : cases)
    m.add({m.values(shape)}, {{"permutation", permutation}});
}

/// Start, stride and a limit that need not lie on the last element taken.
void slice(SampleMaker &m) {
  const Shape shapes[] = {{1}, {5}, {9}, {3, 4}, {1, 6}, {2, 3, 4}, {2, 1, 3, 2}};
  for (int i = 0; i < 35; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    Ints start, limit, stride;
    for (int64_t size : shape) {
      start.push_back(m.below(size));
      limit.push_back(start.back() + 1 + m.below(size - start.back()));
      stride.push_back(1 + m.below(3));
    }
    Dict attrs{{"start", start}, {"limit", limit}};
    if (i % 3)
      attrs.set("stride", stride);
    m.add({m.values(shape)}, attrs);
  }
}

void pad(SampleMaker &m) {
  const Shape shapes[] = {{1}, {4}, {2, 3}, {1, 2}, {2, 2, 2}, {1, 2, 2, 1}};
  for (int i = 0; i < 36; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    Ints low, high, interior;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      low.push_back(m.below(3));
      high.push_back(m.below(3));
      interior.push_back(m.below(3));
    }
    Dict attrs{{"low", low}, {"high", high}};
    if (i % 3)
      attrs.set("interior", interior);
    if (i % 4 == 0)
      attrs.set("value", -2.5);
    m.add({m.values(shape)}, attrs);
  }
}

void concat(SampleMaker &m) {
  const Shape shapes[] = {{1}, {3}, {2, 3}, {1, 2}, {2, 1, 2}, {1, 2, 2, 1}};
  for (int i = 0; i < 30; ++i) {
    Shape shape = shapes[i % std::size(shapes)];
    int64_t axis = m.below(shape.rank());
    std::vector<Tensor> operands;
    for (int64_t k = 0, count = 1 + i % 4; k < count; ++k) {
      shape[axis] = 1 + m.below(3);
      operands.push_back(m.values(shape));
    }
    m.add(std::move(operands), {{"axis", axis}});
  }
}

void reverse(SampleMaker &m) {
  const Shape shapes[] = {{}, {1}, {5}, {2, 3}, {1, 4}, {2, 3, 2}, {2, 1, 3, 2}};
  for (int i = 0; i < 28; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    Ints axes;
    for (int axis = 0; axis < shape.rank(); ++axis)
      if (m.below(2))
        axes.push_back(axis);
    m.add({m.values(shape)}, {{"axes", axes}});
  }
}

// Few rows and many indices, so that indices repeat.
void gather(SampleMaker &m) {
  const Shape shapes[] = {{3}, {1}, {3, 2}, {1, 3}, {2, 3, 2}, {2, 1, 2, 2}},
              indices[] = {{}, {1}, {4}, {2, 3}};
  for (int i = 0; i < 36; ++i) {
    const Shape &shape = shapes[i % std::size(shapes)];
    int64_t axis = m.below(shape.rank());
    Tensor x = m.values(shape);
    m.add({x, m.indices(indices[i / 2 % std::size(indices)], shape[axis])}, {{"axis", axis}});
  }
}

void scatterAdd(SampleMaker &m) {
  const Shape outers[] = {{}, {2}, {1, 2}}, inners[] = {{}, {3}, {2, 1}}, indices[] = {{}, {1}, {5}, {2, 2}};
  for (int i = 0; i < 36; ++i) {
    Shape shape = outers[i % 3];
    int64_t axis = shape.rank(), size = 1 + i % 4;
    const Shape &index = indices[i % 4];
    for (int64_t dim : index)
      shape.push(dim);
    for (int64_t dim : inners[i / 3 % 3])
      shape.push(dim);
    Tensor at = m.indices(index, size);
    m.add({at, m.values(shape)}, {{"axis", axis}, {"size", size}});
  }
}

} // namespace

void addMovementSamples(SampleTable &table) {
  table["broadcast"] = broadcast;
  table["reshape"] = reshape;
  table["transpose"] = transpose;
  table["slice"] = slice;
  table["pad"] = pad;
  table["concat"] = concat;
  table["reverse"] = reverse;
  table["gather"] = gather;
  table["scatter_add"] = scatterAdd;
}

} // namespace gradc::test
