#include "codegen/cuda/window_cells.h"

#include "codegen/cuda/window.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kMaxPixels = 16; // of a cell: all are written one by one

/// Of the same size, side by side, from the first pixel on.
bool isCell(const Window &win, int dim) { return win.padLow[dim] == 0 && win.stride[dim] == win.kernel[dim]; }

class CellWriter {
public:
  CellWriter(CudaStepWriter &w, const CudaKernelContext &k, const CudaWindowCells &cells, CudaIndices cell)
      : w_(w), m_(w.m), k_(k), cells_(cells), data_(k.fn[cells.op]),
        dtype_(k.fn.type(data_.results[0]).dtype), window_(std::move(cell)) {}

  void write(const std::vector<int> &results) {
    const Window &win = cells_.window;
    const bool vectors = cells_.type.layout.empty() && (win.kernel[1] == 2 || win.kernel[1] == 4) &&
                         win.input[1] % win.kernel[1] == 0;
    m_.lanes = vectors ? static_cast<int>(win.kernel[1]) : 1;
    lane_ = m_.math.lanes(m_.lanes);
    findLargest();
    m_.bindValue(data_.results[0], [this](const CudaIndices &) { return gradient(); });
    forRows([&](int64_t kh, int64_t kw) {
      tap_ = kh * win.kernel[1] + kw;
      CudaCondition inside;
      const CudaIndices at = pixel(kh, kw, inside);
      m_.when(inside.text(), [&] { w_.storeAll(results, at); });
    });
    m_.unbind(data_.results[0]);
    m_.math.endLanes();
    m_.lanes = 1;
  }

  void writeZeros(const std::vector<int> &results) {
    forRows([&](int64_t kh, int64_t kw) {
      CudaCondition inside;
      const CudaIndices at = pixel(kh, kw, inside);
      m_.when(inside.text(), [&] {
        for (int result : results) {
          const Type &type = k_.fn.type(k_.body().yields[static_cast<size_t>(result)]);
          m_.store(type, w_.results[static_cast<size_t>(result)], at, cudaLiteral(type.dtype, 0));
        }
      });
    });
  }

private:
  /// body(kh, kw) for every group of pixels that are read and written together.
  void forRows(const std::function<void(int64_t, int64_t)> &body) {
    for (int64_t kh = 0; kh < cells_.window.kernel[0]; ++kh)
      for (int64_t kw = 0; kw < cells_.window.kernel[1]; kw += m_.lanes)
        body(kh, kw);
  }

  CudaIndices pixel(int64_t kh, int64_t kw, CudaCondition &inside) {
    const Window &win = cells_.window;
    CudaIndices at = window_;
    at[2] = m_.math.add(m_.math.mul(window_[2], win.kernel[0]), kh);
    at[3] = m_.math.add(m_.math.add(m_.math.mul(window_[3], win.kernel[1]), kw), lane_);
    for (size_t dim : {0, 1})
      inside.require(m_.math.below(at[2 + dim], win.input[dim]));
    return at;
  }

  void findLargest() {
    CudaCondition exists;
    for (size_t dim : {0, 1})
      exists.require(m_.math.below(window_[2 + dim], cells_.window.output[dim]));
    winner_ = m_.variable(DType::I32, "winner", exists.always() ? "0" : "-1"); // -1: the cell has no window
    share_ = m_.variable(dtype_, "share", cudaLiteral(dtype_, 0));
    auto find = [&] {
      const std::string best =
          m_.variable(dtype_, "best", cudaLiteral(dtype_, -std::numeric_limits<double>::infinity()));
      m_.text.line("{} = 2147483647;", winner_);
      forRows([&](int64_t kh, int64_t kw) {
        for (m_.math.lane = 0; m_.math.lane < m_.lanes; ++m_.math.lane) {
          CudaCondition inside; // holds for all pixels of a window
          const std::string x = m_.emit(data_.operands[0], pixel(kh, kw, inside));
          m_.text.line("argmax_take({}, {}, {}, {});", x, kh * cells_.window.kernel[1] + kw + m_.math.lane,
                       best, winner_);
        }
        m_.math.lane = 0;
      });
      m_.text.line("{} = {} + {};", share_, share_, m_.emit(data_.operands[1], window_));
    };
    m_.when(exists.text(), find);
  }

  std::string gradient() {
    return m_.text.define(
        cudaType(dtype_), k_.fn[data_.results[0]].name,
        fmt::format("{} == {} ? {} : {}", winner_, tap_ + m_.math.lane, share_, cudaLiteral(dtype_, 0)));
  }

  CudaStepWriter &w_;
  CudaElements &m_;
  const CudaKernelContext &k_;
  const CudaWindowCells &cells_;
  const OpData &data_;
  DType dtype_;
  CudaIndices window_;
  CudaIndex lane_;
  std::string winner_, share_;
  int64_t tap_ = 0; // of the first lane
};

} // namespace

std::optional<CudaWindowCells> cudaWindowCells(const CudaKernelContext &k, const Type &result) {
  std::optional<CudaWindowCells> cells;
  for (OpId id : k.body().ops) {
    const OpData &op = k.fn[id];
    if (!op.def->is(kWindow))
      continue;
    if (cells || op.def->name != "window_max_grad" || !(k.fn.type(op.results[0]).shape == result.shape))
      return std::nullopt;
    const Window win = cudaWindowOf(k.fn, id);
    if (!isCell(win, 0) || !isCell(win, 1) || win.kernel[0] * win.kernel[1] > kMaxPixels)
      return std::nullopt;
    cells = {id, win, result};
    for (int dim : {0, 1})
      cells->type.shape[2 + dim] =
          ceilDiv(win.input[static_cast<size_t>(dim)], win.kernel[static_cast<size_t>(dim)]);
  }
  return cells;
}

void writeCudaWindowCell(CudaStepWriter &w, const CudaKernelContext &k, const CudaWindowCells &cells,
                         const std::vector<int> &results, const CudaIndices &cell) {
  CellWriter(w, k, cells, cell).write(results);
}

void writeCudaPaddedCell(CudaStepWriter &w, const CudaKernelContext &k, const CudaWindowCells &cells,
                         const std::vector<int> &results, const CudaIndices &cell) {
  CellWriter(w, k, cells, cell).writeZeros(results);
}

} // namespace gradc
