#include "tests/gradcheck/sample_table.h"

namespace gradc::test {
namespace {

const Shape kShapes[] = {{},
                         {1},
                         {2},
                         {5},
                         {1, 1},
                         {2, 3},
                         {1, 4},
                         {4, 1},
                         {2, 1, 3},
                         {2, 2, 2},
                         {1, 1, 5},
                         {3, 2, 1, 2},
                         {1, 3, 1, 1},
                         {2, 2, 1, 1, 2},
                         {7},
                         {3, 3},
                         {6, 1},
                         {1, 2, 1, 3},
                         {2, 1, 1, 1, 1, 3}};

using Make = std::function<Tensor(SampleMaker &, const Shape &)>;

/// 38 samples of a unary op.
void unary(SampleMaker &m, const Make &make, const std::vector<Dict> &attrs = {Dict{}}) {
  size_t turn = 0;
  for (int round : {0, 1})
    for (const Shape &shape : kShapes) {
      (void)round;
      m.add({make(m, shape)}, attrs[turn++ % attrs.size()]);
    }
}

void binary(SampleMaker &m, const Make &first, const Make &second) {
  for (int round : {0, 1})
    for (const Shape &shape : kShapes) {
      (void)round;
      Tensor a = first(m, shape);
      m.add({a, second(m, shape)});
    }
}

Make range(double low, double high) {
  return [=](SampleMaker &m, const Shape &shape) { return m.values(shape, low, high); };
}
const Make kAny = range(-1.5, 1.5), kPositive = range(0.3, 2.5);
const Make kNonZero = [](SampleMaker &m, const Shape &shape) { return m.nonZero(shape); };

/// Two operands that differ by at least 0.1 everywhere.
void apart(SampleMaker &m) {
  for (int round : {0, 1})
    for (const Shape &shape : kShapes) {
      (void)round;
      Tensor a = m.values(shape), b = m.nonZero(shape);
      for (int64_t i = 0; i < a.elements(); ++i)
        b.set(i, a.get(i) + b.get(i));
      m.add({a, b});
    }
}

Tensor betweenIntegers(SampleMaker &m, const Shape &shape) {
  Tensor x = m.values(shape, 0.1, 0.9);
  for (int64_t i = 0; i < x.elements(); ++i)
    x.set(i, x.get(i) + double(m.below(7)) - 3);
  return x;
}

} // namespace

void addElementwiseSamples(SampleTable &table) {
  for (const char *op : {"neg", "exp", "square", "tanh", "sigmoid", "erf"})
    table[op] = [](SampleMaker &m) { unary(m, kAny); };
  table["gelu"] = [](SampleMaker &m) {
    unary(m, kAny, {{}, Dict{{"approximate", Keyword{"none"}}}, Dict{{"approximate", Keyword{"tanh"}}}});
  };
  table["softplus"] = [](SampleMaker &m) { unary(m, range(-6, 6)); };
  for (const char *op : {"log", "sqrt", "rsqrt"})
    table[op] = [](SampleMaker &m) { unary(m, kPositive); };
  for (const char *op : {"abs", "sign", "relu"})
    table[op] = [](SampleMaker &m) { unary(m, kNonZero); };
  table["floor"] = [](SampleMaker &m) { unary(m, betweenIntegers); };
  table["leaky_relu"] = [](SampleMaker &m) {
    unary(m, kNonZero, {{}, Dict{{"slope", 0.3}}, Dict{{"slope", -0.5}}, Dict{{"slope", 0.0}}});
  };
  table["elu"] = [](SampleMaker &m) {
    unary(m, kNonZero, {{}, Dict{{"alpha", 0.4}}, Dict{{"alpha", 2.0}}, Dict{{"alpha", -1.0}}});
  };
  for (const char *op : {"add", "sub", "mul"})
    table[op] = [](SampleMaker &m) { binary(m, kAny, kAny); };
  table["div"] = [](SampleMaker &m) { binary(m, kAny, kNonZero); };
  table["pow"] = [](SampleMaker &m) { binary(m, kPositive, range(-2, 3)); };
  for (const char *op : {"maximum", "minimum"})
    table[op] = apart;
  table["select"] = [](SampleMaker &m) {
    for (int round : {0, 1})
      for (const Shape &shape : kShapes) {
        (void)round;
        Tensor condition = m.bools(shape), a = m.values(shape);
        m.add({condition, a, m.values(shape)});
      }
  };
  // A cast to less than f64 is a staircase to central differences, so only f64 is sampled here; the golden files
  // have the others.
  table["cast"] = [](SampleMaker &m) { unary(m, kAny, {Dict{{"dtype", DType::F64}}}); };
}

} // namespace gradc::test
