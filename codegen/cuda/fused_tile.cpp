// Tiles by fused multiply-adds: each thread has threadRows × threadColumns sums, each of them one chain.
#include <algorithm>

#include "codegen/cuda/tile_arithmetic.h"
#include "codegen/cuda/tile_copies.h"

namespace gradc {

namespace {

constexpr int kVector = 4;
constexpr int kThreadsDown = 16; // threads of a block along the rows

class FusedTile : public CudaTileArithmetic {
public:
  FusedTile(CudaText &text, const CudaTileNames &names, const CudaTile &tile)
      : t_(text), names_(names), tile_(tile), width_(std::min(tile.threadColumns, kVector)),
        height_(std::min(tile.threadRows, kVector)) {}

  bool keepsHoles() const override { return true; }

  void begin() override {
    // Lanes of a warp: eight columns by four rows; warps: two by four.
    t_.line(
        "const int {2} = ((lane & 7) + (warp & 1) * 8) * {0}, {3} = ((lane >> 3) + (warp >> 1) * 4) * {1};",
        width_, height_, names_.column, names_.row);
    t_.line("float {}[{}][{}] = {{}};", names_.sums, tile_.threadRows, tile_.threadColumns);
  }

  std::vector<std::string> columns() const override {
    std::vector<std::string> columns;
    for (int j = 0; j < tile_.threadColumns; ++j)
      columns.push_back(fmt::format("{} + {}", names_.column, j % width_ + j / width_ * tile_.columns / 2));
    return columns;
  }

  void multiply(CudaAbsent absent) override {
    t_.line("#pragma unroll");
    t_.open("for (int step = 0; step < {}; ++step)", kCudaTileDepth);
    load("a", names_.x, names_.column, tile_.columns, tile_.threadColumns);
    load("b", names_.y, names_.row, tile_.rows, tile_.threadRows);
    if (absent != CudaAbsent::None) {
      multiplyPresent(absent == CudaAbsent::Columns ? "where" : "present");
    } else {
      t_.line("#pragma unroll");
      t_.line("for (int i = 0; i < {}; ++i)", tile_.threadRows);
      t_.line("#pragma unroll");
      t_.line("  for (int j = 0; j < {}; ++j)", tile_.threadColumns);
      t_.line("    {0}[i][j] = fmaf(b[i], a[j], {0}[i][j]);", names_.sums);
    }
    t_.close();
  }

  int parts() const override { return tile_.threadRows / height_; }
  int heldRows() const override { return kThreadsDown * height_; }

  void put(int part) override {
    const std::string column =
        isTurned() ? fmt::format("({}{})", names_.column, turn(names_.row)) : names_.column;
    for (int i = 0; i < height_; ++i)
      for (int j = 0; j < tile_.threadColumns / width_; ++j)
        t_.line("*(float{0} *)({1} + ({2} + {3}) * {4} + {5} + {6}) = *(const float{0} *)&{7}[{8}][{9}];",
                width_, names_.tile, names_.row, i, tile_.columns, column, j * tile_.columns / 2, names_.sums,
                part * height_ + i, j * width_);
  }

  std::string rowOf(const std::string &line, int part) const override {
    return part == 0 ? line : fmt::format("{} + {}", line, part * heldRows());
  }
  /// Half a warp writes pairs of two rows.
  std::string turn(const std::string &line) const override {
    return isTurned() ? fmt::format(" ^ ({} >> 1 & 1) << 4", line) : "";
  }

private:
  bool isTurned() const { return width_ == 2; }

  /// One question a column, for as many rows as a thread has side by side.
  void multiplyPresent(std::string_view condition) {
    t_.line("#pragma unroll");
    t_.line("for (int j = 0; j < {}; ++j)", tile_.threadColumns);
    t_.line("#pragma unroll");
    t_.line("  for (int i = 0; i < {}; i += {})", tile_.threadRows, height_);
    std::string sums, factors;
    for (int i = 0; i < height_; ++i) {
      factors += fmt::format("b[i + {}], ", i);
      sums += fmt::format(", {}[i + {}][j]", names_.sums, i);
    }
    t_.line("    fma_{}{}({}{}a[j]{});", condition, height_,
            condition == "where" ? names_.present + "[j], " : "", factors, sums);
  }

  void load(const char *name, const std::string &from, const std::string &place, int size, int perThread) {
    const int width = std::min(perThread, kVector);
    t_.line("float {}[{}];", name, perThread);
    for (int part = 0; part < perThread / width; ++part)
      t_.line("*(float{0} *)({1} + {2}) = *(const float{0} *)({3} + step * {4} + {5} + {6});", width, name,
              part * width, from, cudaTilePitch(size), place, part * size / 2);
  }

  CudaText &t_;
  const CudaTileNames &names_;
  CudaTile tile_;
  int width_, height_; // columns and rows of a thread that lie side by side
};

} // namespace

std::unique_ptr<CudaTileArithmetic> cudaFusedTile(CudaText &text, const CudaTileNames &names,
                                                  const CudaTile &tile) {
  return std::make_unique<FusedTile>(text, names, tile);
}

} // namespace gradc
