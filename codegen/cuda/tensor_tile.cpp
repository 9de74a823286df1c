// Tiles by tensor cores: mma.sync on fragments that are rounded while they leave shared memory. A warp computes fragments
// of 16 rows by 8 columns; which lane holds what is drawn in the PTX manual (g = lane / 4, t = lane % 4):
//
//   rows     register r of a lane: row g + 8 (r % 2), steps t·w + 4w (r / 2) …, w of them in a register
//   columns  register r: column g, steps t·w + 4w r …
// (of tf32, where w = 1, steps 2t + r / 2 and 2t + r: the same for both factors, and other banks)
//   sums     register r: row g + 8 (r / 2), column 2t + r % 2
#include "codegen/cuda/tile_arithmetic.h"
#include "codegen/cuda/tile_copies.h"

namespace gradc {
namespace {

constexpr int kFragmentRows = 16, kFragmentColumns = 8;

class TensorTile : public CudaTileArithmetic {
public:
  TensorTile(CudaText &text, const CudaTileNames &names, const CudaTile &tile, CudaTensorFormat format,
             int architecture)
      : t_(text), names_(names), tile_(tile), format_(format),
        perRegister_(format == CudaTensorFormat::Tf32 ? 1 : 2),
        steps_(format == CudaTensorFormat::Tf32 || architecture < 80 ? 8 : 16),
        warpsDown_(tile.rows >= 64 ? 4 : 2) {}

  bool keepsHoles() const override { return false; }

  void begin() override {
    t_.line("const int {} = warp / {} * {} + (lane >> 2), {} = warp % {} * {} + (lane >> 2);", names_.row,
            warpsAcross(), warpRows(), names_.column, warpsAcross(), warpColumns());
    t_.line("float {}[{}][{}][4] = {{}};", names_.sums, fragmentsDown(), fragmentsAcross());
  }

  void multiply(CudaAbsent) override {
    t_.line("#pragma unroll");
    t_.open("for (int step = 0; step < {}; step += {})", kCudaTileDepth, steps_);
    fragment("a", names_.y, tile_.rows, fragmentsDown(), 2 * columnRegisters(),
             fmt::format("{} + {} * i + 8 * (r & 1)", names_.row, kFragmentRows), "r >> 1");
    fragment("b", names_.x, tile_.columns, fragmentsAcross(), columnRegisters(),
             fmt::format("{} + {} * i", names_.column, kFragmentColumns), "r");
    t_.line("#pragma unroll");
    t_.line("for (int i = 0; i < {}; ++i)", fragmentsDown());
    t_.line("#pragma unroll");
    t_.line("  for (int j = 0; j < {}; ++j)", fragmentsAcross());
    t_.line("    {}({}[i][j], a[i], b[j]);", function(), names_.sums);
    t_.close();
  }

  int parts() const override { return fragmentsDown(); }
  int heldRows() const override { return warpsDown_ * kFragmentRows; }

  void put(int part) override {
    // The lane's column within a fragment is another one than while it multiplied.
    t_.line("#pragma unroll");
    t_.open("for (int half = 0; half < 2; ++half)");
    t_.line("const int line = warp / {} * {} + (lane >> 2) + 8 * half;", warpsAcross(), kFragmentRows);
    t_.line("#pragma unroll");
    t_.open("for (int j = 0; j < {}; ++j)", fragmentsAcross());
    t_.line("const int column = warp % {} * {} + j * {} + (lane & 3) * 2;", warpsAcross(), warpColumns(),
            kFragmentColumns);
    t_.line("*(float2 *)({} + line * {} + (column{})) = make_float2({}, {});", names_.tile, tile_.columns,
            turn("line"), half(part, 0), half(part, 1));
    t_.close();
    t_.close();
  }

  std::string rowOf(const std::string &line, int part) const override {
    if (fragmentsDown() == 1)
      return line;
    return fmt::format("{0} / {1} * {2} + {0} % {1} + {3}", line, kFragmentRows, warpRows(),
                       part * kFragmentRows);
  }
  /// Half a warp writes pairs of four rows.
  std::string turn(const std::string &line) const override { return fmt::format(" ^ ({} & 3) << 3", line); }

private:
  int warpsAcross() const { return 8 / warpsDown_; }
  int warpRows() const { return tile_.rows / warpsDown_; }
  int warpColumns() const { return tile_.columns / warpsAcross(); }
  int fragmentsDown() const { return warpRows() / kFragmentRows; }
  int fragmentsAcross() const { return warpColumns() / kFragmentColumns; }
  int columnRegisters() const { return steps_ / 4 / perRegister_; }

  std::string half(int part, int of) const {
    return fmt::format("half == 1 ? {0}[{1}][j][{2}] : {0}[{1}][j][{3}]", names_.sums, part, 2 + of, of);
  }

  std::string_view function() const {
    switch (format_) {
    case CudaTensorFormat::Tf32: return "mma_tf32";
    case CudaTensorFormat::Bf16: return "mma_bf16";
    case CudaTensorFormat::F16: return steps_ == 8 ? "mma_f16_short" : "mma_f16";
    }
    return "";
  }

  /// unsigned name[count][registers], rounded from a slab.
  void fragment(const char *name, const std::string &from, int size, int count, int registers,
                const std::string &index, std::string_view block) {
    t_.line("unsigned {}[{}][{}];", name, count, registers);
    t_.line("#pragma unroll");
    t_.line("for (int i = 0; i < {}; ++i)", count);
    t_.line("#pragma unroll");
    t_.open("  for (int r = 0; r < {}; ++r)", registers);
    t_.line("const int index = {}, k = step + (lane & 3) * 2 + ({}) * {};", index, block,
            perRegister_ == 1 ? 1 : 8);
    const int pitch = cudaTilePitch(size);
    const std::string first = fmt::format("{}[k * {} + index]", from, pitch);
    if (perRegister_ == 1)
      t_.line("{}[i][r] = tf32({});", name, first);
    else
      t_.line("{}[i][r] = {}({}, {}[(k + 1) * {} + index]);", name,
              format_ == CudaTensorFormat::Bf16 ? "bf16_pair" : "f16_pair", first, from, pitch);
    t_.close();
  }

  CudaText &t_;
  const CudaTileNames &names_;
  CudaTile tile_;
  CudaTensorFormat format_;
  int perRegister_; // factors
  int steps_;       // of the depth in one instruction
  int warpsDown_;
};

} // namespace

std::unique_ptr<CudaTileArithmetic> cudaTensorTile(CudaText &text, const CudaTileNames &names,
                                                   const CudaTile &tile, CudaTensorFormat format,
                                                   int architecture) {
  return std::make_unique<TensorTile>(text, names, tile, format, architecture);
}

} // namespace gradc
