#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "blas/product.h"

namespace cudasim {
namespace {

enum class Access : uint8_t { Read, Write };

/// Calls `visit(address, bytes)` for each contiguous piece of the matrix.
template <typename Visit> void pieces(const Matrix &matrix, int64_t batches, Visit visit) {
  int64_t length = matrix.rowMajor ? matrix.columns : matrix.rows,
          count = matrix.rowMajor ? matrix.rows : matrix.columns;
  if (length == matrix.leading)
    length *= std::exchange(count, 1);
  for (int64_t batch = 0; batch < batches; ++batch)
    for (int64_t line = 0; line < count; ++line)
      visit(matrix.rowMajor ? matrix.at(batch, line, 0) : matrix.at(batch, 0, line),
            size_t(length) * bytesOf(matrix.type));
}

struct Checker {
  const DriverLink &driver;
  const Product &product;
  std::optional<std::string> wrong;

  void range(std::string_view name, const void *address, size_t bytes, Access access) {
    if (wrong || bytes == 0)
      return;
    if (const char *why = driver.checkRange(address, bytes, access == Access::Read, access == Access::Write))
      wrong = fmt::format("{}: {} bytes at {}: {}", name, bytes, address, why);
  }
  void matrix(std::string_view name, const Matrix &matrix, int64_t batches, Access access) {
    if (wrong)
      return;
    pieces(matrix, batches, [&](const void *address, size_t bytes) { range(name, address, bytes, access); });
    if (wrong)
      *wrong += fmt::format(" ({} x {}, leading dimension {}, batch {}, stride {})", matrix.rows,
                            matrix.columns, matrix.leading, batches, matrix.batchStride);
  }
  void scale(std::string_view name, const Scale &scale) {
    if (scale.device)
      range(name, scale.device, sizeof(float), Access::Read);
  }
  void epilogue();
  void overlap(std::string_view name, const Matrix &input);
};

void Checker::epilogue() {
  const Epilogue &epilogue = product.epilogue;
  if (epilogue.kind & kEpilogueBias)
    matrix("the bias", epilogue.bias, product.batch, Access::Read);
  if (epilogue.kind & (kEpilogueBiasGradient | kEpilogueBiasGradientA | kEpilogueBiasGradientB))
    matrix("the bias gradient", epilogue.bias, product.batch, Access::Write);
  if (!(epilogue.kind & kEpilogueAux))
    return;
  bool gradient = epilogue.kind & (kEpilogueReluGradient | kEpilogueGeluGradient);
  Access access = gradient ? Access::Read : Access::Write;
  if (epilogue.kind & (kEpilogueGelu | kEpilogueGeluGradient))
    return matrix("the auxiliary matrix", epilogue.aux, product.batch, access);
  for (int64_t batch = 0; batch < product.batch; ++batch) // a mask of bits
    range("the auxiliary mask",
          static_cast<uint8_t *>(epilogue.aux.data) + batch * epilogue.aux.batchStride / 8,
          size_t(((epilogue.aux.columns - 1) * epilogue.aux.leading + epilogue.aux.rows + 7) / 8), access);
}

/// The result must not lie over what the product still reads.
void Checker::overlap(std::string_view name, const Matrix &input) {
  auto extent = [&](const Matrix &matrix) {
    auto begin = reinterpret_cast<uintptr_t>(matrix.data);
    auto end = reinterpret_cast<uintptr_t>(matrix.at(product.batch - 1, matrix.rows - 1, matrix.columns - 1));
    return std::pair{begin, end + bytesOf(matrix.type)};
  };
  auto [inputBegin, inputEnd] = extent(input);
  auto [begin, end] = extent(product.d);
  if (!wrong && inputBegin < end && begin < inputEnd)
    wrong = fmt::format("the result lies over {}", name);
}

} // namespace

std::optional<std::string> checkMemory(const DriverLink &driver, const Product &product) {
  Checker check{driver, product, {}};
  check.scale("alpha", product.alpha);
  check.scale("beta", product.beta);
  bool reads = product.k > 0;
  if (reads) {
    check.matrix("A", product.a, product.batch, Access::Read);
    check.matrix("B", product.b, product.batch, Access::Read);
    check.overlap("A", product.a);
    check.overlap("B", product.b);
  }
  if (!check.wrong && (product.beta.device ? *product.beta.device : product.beta.value) != 0)
    check.matrix("C", product.c, product.batch, Access::Read);
  check.matrix("D", product.d, product.batch, Access::Write);
  check.epilogue();
  check.range("the workspace", product.workspace, product.workspaceBytes, Access::Write);
  return check.wrong;
}

} // namespace cudasim
