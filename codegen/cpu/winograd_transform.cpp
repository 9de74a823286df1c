#include "codegen/cpu/winograd_transform.h"

#include <array>

#include "support/check.h"

namespace gradc {
namespace {

// The points 0, ±a, ±b, ∞. Row j of Bᵀ is Π(x - p) over the other points, by powers of x; row j of G is
// (1, p, p², …) / Π(p - q); column j of Aᵀ is (1, p, p², …). a, b, their powers and the products below are exact.
constexpr double a = 5.0 / 8, b = 3.0 / 2, a2 = a * a, b2 = b * b;
constexpr double product = a2 * b2, sum = a2 + b2; // x⁴ - sum·x² + product
constexpr double scale0 = 1 / product;             // of point 0 in G

/// Points ±p. What their rows and columns share is a sum of the even powers and one of the odd powers.
struct PointPair {
  double point, square, otherSquare;

  constexpr double scale() const { return 1 / (2 * square * (square - otherSquare)); } // in G
  constexpr double power(size_t exponent) const { return exponent ? point * power(exponent - 1) : 1; }
};
constexpr std::array<PointPair, 2> kPairs = {{{a, a2, b2}, {b, b2, a2}}};

using Element = std::function<llvm::Value *(int)>;

/// The transforms of one line.
struct Line {
  Emit &e;

  llvm::Value *constant(double value) const { return e.constant(DType::F32, value); }
  llvm::Value *times(double c, llvm::Value *x) const { return e.b.CreateFMul(constant(c), x); }
  llvm::Value *fma(double c, llvm::Value *x, llvm::Value *y) const { return e.fma(constant(c), x, y); }
  llvm::Value *plus(llvm::Value *x, llvm::Value *y) const { return e.b.CreateFAdd(x, y); }
  llvm::Value *minus(llvm::Value *x, llvm::Value *y) const { return e.b.CreateFSub(x, y); }

  /// Rows 0; 1, 2; 3, 4; 5 of Bᵀ d.
  static constexpr int kBands = 4;
  Values operandBand(int band, const Element &d) const {
    auto ends = [&](int i) { return Values{fma(product, d(i), fma(-sum, d(i + 2), d(i + 4)))}; };
    auto pair = [&](const PointPair &p) {
      llvm::Value *even = fma(-p.otherSquare, d(2), d(4)), *odd = fma(-p.otherSquare, d(1), d(3));
      return Values{fma(p.point, odd, even), fma(-p.point, odd, even)};
    };
    return band == 0 ? ends(0) : band == 3 ? ends(1) : pair(kPairs[band - 1]);
  }
  Values operand(const Values &d) const {
    Values line;
    for (int band = 0; band < kBands; ++band)
      for (llvm::Value *value : operandBand(band, [&](int i) { return d[i]; }))
        line.push_back(value);
    return line;
  }

  /// g[first] + x·g[first + 2] + x²·g[first + 4] …
  llvm::Value *everySecond(size_t first, double x, const Values &g) const {
    return first + 2 < g.size() ? fma(x, everySecond(first + 2, x, g), g[first]) : g[first];
  }
  /// G g, of 2 to 5 elements.
  Values weights(const Values &g) const {
    Values line{times(scale0, g[0])};
    for (const PointPair &p : kPairs) {
      llvm::Value *even = times(p.scale(), everySecond(0, p.square, g));
      llvm::Value *odd = times(p.scale() * p.point, everySecond(1, p.square, g));
      line.push_back(plus(even, odd));
      line.push_back(minus(even, odd));
    }
    line.push_back(g.back());
    return line;
  }

  /// Aᵀ m, `size` elements of it.
  Values result(const Values &m, size_t size) const {
    const Values even{plus(m[1], m[2]), plus(m[3], m[4])}, odd{minus(m[1], m[2]), minus(m[3], m[4])};
    Values line{plus(m[0], plus(even[0], even[1]))};
    for (size_t i = 1; i < size; ++i) {
      const Values &pairs = i % 2 ? odd : even;
      const double pa = kPairs[0].power(i), pb = kPairs[1].power(i);
      line.push_back(i + 1 < size ? fma(pb, pairs[1], times(pa, pairs[0]))
                                  : fma(pa, pairs[0], fma(pb, pairs[1], m[5])));
    }
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

void transform(int64_t size, const MatrixElement &x, const LineTransform &line, const MatrixSink &sink) {
  std::vector<Values> columns;
  for (int j = 0; j < size; ++j) {
    Values column;
    for (int i = 0; i < size; ++i)
      column.push_back(x(i, j));
    columns.push_back(line(column));
  }
  alongRows(columns, 0, line, sink);
}

} // namespace

void winogradOperand(Emit &e, const MatrixElement &patch, const MatrixSink &sink) {
  const Line line{e};
  int first = 0;
  for (int band = 0; band < Line::kBands; ++band) {
    std::vector<Values> columns;
    for (int j = 0; j < kWinogradPatch; ++j)
      columns.push_back(line.operandBand(band, [&](int i) { return patch(i, j); }));
    alongRows(
        columns, first, [&](const Values &row) { return line.operand(row); }, sink);
    first += static_cast<int>(columns[0].size());
  }
}

void winogradWeights(Emit &e, Winograd algorithm, const MatrixElement &kernel, const MatrixSink &sink) {
  CHECK(algorithm.isValid());
  transform(
      algorithm.kernel, kernel, [&](const Values &g) { return Line{e}.weights(g); }, sink);
}

void winogradResult(Emit &e, Winograd algorithm, const MatrixElement &products, const MatrixSink &sink) {
  CHECK(algorithm.isValid());
  transform(
      kWinogradPatch, products, [&](const Values &m) { return Line{e}.result(m, algorithm.tile); }, sink);
}

} // namespace gradc
