#include "codegen/cpu/winograd_transform.h"

namespace gradc {
namespace {

// The points 0, ±a, ±b, ∞. Row j of Bᵀ is Π(x - p) over the other points, by powers of x; row j of G is
// (1, p, p²) / Π(p - q); column j of Aᵀ is (1, p, p², p³). a, b and the products of them below are exact.
constexpr double a = 5.0 / 8, b = 3.0 / 2, a2 = a * a, b2 = b * b;
constexpr double product = a2 * b2, sum = a2 + b2;                             // x⁴ - sum·x² + product
constexpr double g0 = 1 / product;                                             // of point 0
constexpr double ga = 1 / (2 * a2 * (a2 - b2)), gb = 1 / (2 * b2 * (b2 - a2)); // of ±a, ±b

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
    auto pair = [&](double point, double other2) {
      llvm::Value *even = fma(-other2, d(2), d(4)), *odd = fma(-other2, d(1), d(3));
      return Values{fma(point, odd, even), fma(-point, odd, even)};
    };
    return band == 0 ? ends(0) : band == 1 ? pair(a, b2) : band == 2 ? pair(b, a2) : ends(1);
  }
  Values operand(const Values &d) const {
    Values line;
    for (int band = 0; band < kBands; ++band)
      for (llvm::Value *value : operandBand(band, [&](int i) { return d[i]; }))
        line.push_back(value);
    return line;
  }

  Values weights(const Values &g) const {
    llvm::Value *evenA = times(ga, fma(a2, g[2], g[0])), *oddA = times(ga * a, g[1]);
    llvm::Value *evenB = times(gb, fma(b2, g[2], g[0])), *oddB = times(gb * b, g[1]);
    return {times(g0, g[0]),   plus(evenA, oddA),  minus(evenA, oddA),
            plus(evenB, oddB), minus(evenB, oddB), g[2]};
  }

  Values result(const Values &m) const {
    llvm::Value *evenA = plus(m[1], m[2]), *oddA = minus(m[1], m[2]);
    llvm::Value *evenB = plus(m[3], m[4]), *oddB = minus(m[3], m[4]);
    return {plus(m[0], plus(evenA, evenB)), fma(b, oddB, times(a, oddA)), fma(b2, evenB, times(a2, evenA)),
            fma(a2 * a, oddA, fma(b2 * b, oddB, m[5]))};
  }
};

using LineTransform = Values (Line::*)(const Values &) const;

/// Along each row of what the columns became; columns[j][i] is row first + i.
void alongRows(Emit &e, const std::vector<Values> &columns, int first, LineTransform line,
               const MatrixSink &sink) {
  for (size_t i = 0; i < columns[0].size(); ++i) {
    Values row;
    for (const Values &column : columns)
      row.push_back(column[i]);
    const Values result = (Line{e}.*line)(row);
    for (size_t j = 0; j < result.size(); ++j)
      sink(first + static_cast<int>(i), static_cast<int>(j), result[j]);
  }
}

void transform(Emit &e, int size, const MatrixElement &x, LineTransform line, const MatrixSink &sink) {
  std::vector<Values> columns;
  for (int j = 0; j < size; ++j) {
    Values column;
    for (int i = 0; i < size; ++i)
      column.push_back(x(i, j));
    columns.push_back((Line{e}.*line)(column));
  }
  alongRows(e, columns, 0, line, sink);
}

} // namespace

void winogradOperand(Emit &e, const MatrixElement &patch, const MatrixSink &sink) {
  int first = 0;
  for (int band = 0; band < Line::kBands; ++band) {
    std::vector<Values> columns;
    for (int j = 0; j < 6; ++j)
      columns.push_back(Line{e}.operandBand(band, [&](int i) { return patch(i, j); }));
    alongRows(e, columns, first, &Line::operand, sink);
    first += static_cast<int>(columns[0].size());
  }
}

void winogradWeights(Emit &e, const MatrixElement &kernel, const MatrixSink &sink) {
  transform(e, 3, kernel, &Line::weights, sink);
}

void winogradResult(Emit &e, const MatrixElement &products, const MatrixSink &sink) {
  transform(e, 6, products, &Line::result, sink);
}

} // namespace gradc
