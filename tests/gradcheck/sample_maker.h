// Makes the tensors of samples from a fixed seed.
#pragma once

#include <algorithm>
#include <numeric>
#include <utility>

#include "support/philox.h"
#include "tests/gradcheck/samples.h"

namespace gradc::test {

using Ints = std::vector<int64_t>;

class SampleMaker {
public:
  explicit SampleMaker(std::string_view op) : stream_(streamHash(op)) {}

  std::vector<Sample> samples;

  void add(std::vector<Tensor> operands, Dict attrs = {}, std::vector<int> fixed = {}) {
    samples.push_back({std::move(operands), std::move(attrs), std::move(fixed)});
  }

  double uniform(double low, double high) {
    return low + (high - low) * uniformFromBits(randomBits(1, stream_, 0, count_++)[0]);
  }
  int64_t below(int64_t n) { return std::min<int64_t>(n - 1, static_cast<int64_t>(uniform(0, double(n)))); }

  Tensor values(const Shape &shape, double low = -1.5, double high = 1.5) {
    return fill(shape, [&](int64_t) { return uniform(low, high); });
  }
  /// |x| in [0.1, 1.6].
  Tensor nonZero(const Shape &shape) {
    return fill(shape, [&](int64_t) { return (uniform(0, 1) < 0.5 ? -1 : 1) * uniform(0.1, 1.6); });
  }
  /// Pairwise at least 0.03 apart, and from zero.
  Tensor distinct(const Shape &shape) {
    std::vector<int64_t> order(shape.elements());
    std::iota(order.begin(), order.end(), 0);
    for (size_t i = order.size(); i-- > 1;)
      std::swap(order[i], order[below(int64_t(i) + 1)]);
    double middle = double(order.size()) / 2 - 0.25;
    return fill(shape, [&](int64_t i) { return 0.07 * (double(order[i]) - middle) + uniform(-0.01, 0.01); });
  }
  Tensor indices(const Shape &shape, int64_t below_) {
    Tensor tensor(Type{DType::I32, shape, {}});
    for (int64_t i = 0; i < tensor.elements(); ++i)
      tensor.setInt(i, below(below_));
    return tensor;
  }
  Tensor bools(const Shape &shape) {
    Tensor tensor(Type{DType::Bool, shape, {}});
    for (int64_t i = 0; i < tensor.elements(); ++i)
      tensor.setInt(i, below(2));
    return tensor;
  }
  static Tensor i64(int64_t value) {
    Tensor tensor(Type{DType::I64, {}, {}});
    tensor.setInt(0, value);
    return tensor;
  }

private:
  template <class F> Tensor fill(const Shape &shape, F &&f) {
    Tensor tensor(Type{DType::F64, shape, {}});
    for (int64_t i = 0; i < tensor.elements(); ++i)
      tensor.set(i, f(i));
    return tensor;
  }

  uint64_t stream_, count_ = 0;
};

} // namespace gradc::test
