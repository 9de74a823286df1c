#include "codegen/cpu/winograd/winograd_transform.h"

#include <span>

#include "support/check.h"

namespace gradc {
namespace {

// The points are 0, ±p of the pairs, ∞. Row j of Bᵀ is Π(x - p) over the other points, by powers of x; row j of G is
// (1, p, p², …) / Π(p - q); column j of Aᵀ is (1, p, p², …). The p, their powers and the coefficients below are exact.
constexpr double kPointsOf6[] = {5.0 / 8, 3.0 / 2}, kPointsOf8[] = {1.0 / 2, 1, 2};

using Element = std::function<llvm::Value *(int)>;

/// The transforms of one line of a patch with `size` points.
struct Line {
  Emit &e;
  std::span<const double> pairs;

  Line(Emit &e, int64_t size) : e(e), pairs(kPointsOf6) {
    if (size == 8)
      pairs = kPointsOf8;
    CHECK(size == points());
  }
  int points() const { return 2 * static_cast<int>(pairs.size()) + 2; }

  llvm::Value *constant(double value) const { return e.constant(DType::F32, value); }
  llvm::Value *times(double c, llvm::Value *x) const { return e.b.CreateFMul(constant(c), x); }
  llvm::Value *fma(double c, llvm::Value *x, llvm::Value *y) const { return e.fma(constant(c), x, y); }
  llvm::Value *plus(llvm::Value *x, llvm::Value *y) const { return e.b.CreateFAdd(x, y); }
  llvm::Value *minus(llvm::Value *x, llvm::Value *y) const { return e.b.CreateFSub(x, y); }

  /// The coefficients of Π(y - p²) over all pairs but one, from the constant on.
  std::vector<double> product(size_t without) const {
    std::vector<double> coefficients{1};
    for (size_t i = 0; i < pairs.size(); ++i) {
      if (i == without)
        continue;
      coefficients.insert(coefficients.begin(), 0);
      for (size_t j = 0; j + 1 < coefficients.size(); ++j)
        coefficients[j] -= pairs[i] * pairs[i] * coefficients[j + 1];
    }
    return coefficients;
  }
  /// Every second element from the first, each with its coefficient; the last one is 1.
  llvm::Value *everySecond(int first, const std::vector<double> &coefficients, const Element &d) const {
    const int last = static_cast<int>(coefficients.size()) - 1;
    llvm::Value *value = d(first + 2 * last);
    for (int i = last - 1; i >= 0; --i)
      value = fma(coefficients[i], d(first + 2 * i), value);
    return value;
  }

  /// Bᵀ d in bands: the row of 0, those of each pair, that of ∞.
  int bands() const { return static_cast<int>(pairs.size()) + 2; }
  Values operandBand(int band, const Element &d) const {
    if (band == 0 || band + 1 == bands())
      return {everySecond(band != 0, product(pairs.size()), d)};
    const std::vector<double> others = product(band - 1);
    const double p = pairs[band - 1];
    llvm::Value *even = everySecond(2, others, d), *odd = everySecond(1, others, d);
    return {fma(p, odd, even), fma(-p, odd, even)};
  }
  Values operand(const Values &d) const {
    Values line;
    for (int band = 0; band < bands(); ++band)
      for (llvm::Value *value : operandBand(band, [&](int i) { return d[i]; }))
        line.push_back(value);
    return line;
  }

  /// g[first] + x·g[first + 2] + x²·g[first + 4] …
  llvm::Value *powers(size_t first, double x, const Values &g) const {
    return first + 2 < g.size() ? fma(x, powers(first + 2, x, g), g[first]) : g[first];
  }
  /// 1 / Π(p - q) over the other points.
  double scale(size_t pair) const {
    const double square = pairs[pair] * pairs[pair];
    double value = 2 * square;
    for (size_t i = 0; i < pairs.size(); ++i)
      if (i != pair)
        value *= square - pairs[i] * pairs[i];
    return 1 / value;
  }
  /// G g.
  Values weights(const Values &g) const {
    Values line{times(1 / product(pairs.size())[0], g[0])};
    for (size_t i = 0; i < pairs.size(); ++i) {
      const double p = pairs[i];
      llvm::Value *even = times(scale(i), powers(0, p * p, g)),
                  *odd = times(scale(i) * p, powers(1, p * p, g));
      line.push_back(plus(even, odd));
      line.push_back(minus(even, odd));
    }
    line.push_back(g.back());
    return line;
  }

  static double power(double x, int64_t exponent) { return exponent ? x * power(x, exponent - 1) : 1; }
  /// Aᵀ m, `size` elements of it.
  Values result(const Values &m, int64_t size) const {
    Values even, odd;
    for (size_t i = 1; i + 1 < m.size(); i += 2)
      even.push_back(plus(m[i], m[i + 1]));
    for (size_t i = 1; i + 1 < m.size(); i += 2)
      odd.push_back(minus(m[i], m[i + 1]));
    llvm::Value *first = even.back();
    for (size_t i = even.size() - 1; i-- > 0;)
      first = plus(even[i], first);
    Values line{plus(m[0], first)};
    for (int64_t row = 1; row + 1 < size; ++row) {
      const Values &terms = row % 2 ? odd : even;
      llvm::Value *value = times(power(pairs[0], row), terms[0]);
      for (size_t i = 1; i < terms.size(); ++i)
        value = fma(power(pairs[i], row), terms[i], value);
      line.push_back(value);
    }
    const Values &terms = size % 2 ? even : odd;
    llvm::Value *last = m.back();
    for (size_t i = terms.size(); i-- > 0;)
      last = fma(power(pairs[i], size - 1), terms[i], last);
    line.push_back(last);
    return line;
  }
};

using LineTransform = std::function<Values(const Values &)>;

/// Along each row of what the columns became; columns[j][i] is row first + i.
void alongRows(const std::vector<Values> &columns, int first, const LineTransform &line,
               const MatrixSink &sink) {
  for (size_t i = 0; i < columns[0].size(); ++i) {
    Values row;
    for (const Values &column : columns)
      row.push_back(column[i]);
    const Values result = line(row);
    for (size_t j = 0; j < result.size(); ++j)
      sink(first + static_cast<int>(i), static_cast<int>(j), result[j]);
  }
}

void transform(int64_t height, int64_t width, const MatrixElement &x, const LineTransform &column,
               const LineTransform &row, const MatrixSink &sink) {
  std::vector<Values> columns;
  for (int j = 0; j < width; ++j) {
    Values values;
    for (int i = 0; i < height; ++i)
      values.push_back(x(i, j));
    columns.push_back(column(values));
  }
  alongRows(columns, 0, row, sink);
}

} // namespace

void winogradOperand(Emit &e, Winograd algorithm, const MatrixElement &patch, const MatrixSink &sink) {
  CHECK(algorithm.isValid());
  const Line column(e, algorithm.patch()), row(e, algorithm.patchWidth());
  int first = 0;
  for (int band = 0; band < column.bands(); ++band) {
    std::vector<Values> columns;
    for (int j = 0; j < row.points(); ++j)
      columns.push_back(column.operandBand(band, [&](int i) { return patch(i, j); }));
    alongRows(
        columns, first, [&](const Values &values) { return row.operand(values); }, sink);
    first += static_cast<int>(columns[0].size());
  }
}

void winogradWeights(Emit &e, Winograd algorithm, const MatrixElement &kernel, const MatrixSink &sink) {
  CHECK(algorithm.isValid());
  const Line column(e, algorithm.patch()), row(e, algorithm.patchWidth());
  transform(
      algorithm.kernel, algorithm.kernel, kernel, [&](const Values &g) { return column.weights(g); },
      [&](const Values &g) { return row.weights(g); }, sink);
}

void winogradResult(Emit &e, Winograd algorithm, const MatrixElement &products, const MatrixSink &sink) {
  CHECK(algorithm.isValid());
  const Line column(e, algorithm.patch()), row(e, algorithm.patchWidth());
  transform(
      column.points(), row.points(), products,
      [&](const Values &m) { return column.result(m, algorithm.tile); },
      [&](const Values &m) { return row.result(m, algorithm.width); }, sink);
}

} // namespace gradc
