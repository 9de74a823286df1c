// Products by bf16 tiles against the chain that codegen/cpu/amx/tile_product.h defines: every bit must agree, with the tile
// unit and without, for every layout, partition of the grid and place of the rounding.
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "ir/text.h"
#include "tests/support/tile_reference.h"

namespace gradc {
namespace {

using namespace testing::tiles;

/// hi + mid + lo, each of the first 16 bits.
std::array<float, 3> split(float x) {
  auto head = [](float v) { return std::bit_cast<float>(std::bit_cast<uint32_t>(v) & 0xffff0000); };
  std::array<float, 3> pieces{};
  for (float &piece : pieces) {
    piece = head(x);
    x -= piece;
  }
  return pieces;
}

float productOf(const Floats &a, const Floats &b, bool splits) {
  constexpr int kSplits[][2] = {{0, 2}, {0, 1}, {1, 1}, {1, 0}, {2, 0}, {0, 0}};
  float sum = 0;
  for (size_t first = 0; first < a.size(); first += 32)
    for (int product = 0; product < (splits ? 6 : 1); ++product) {
      Floats x, y;
      for (size_t i = first; i < std::min(a.size(), first + 32); ++i) {
        x.push_back(splits ? split(a[i])[kSplits[product][0]] : rounded(a[i]));
        y.push_back(splits ? split(b[i])[kSplits[product][1]] : rounded(b[i]));
      }
      sum = tileStep(sum, x, y);
    }
  return sum;
}

/// The matmul of the function's text on both kinds of processor.
class TileMatmulTest : public ::testing::Test {
protected:
  static Tensor reference(const OpData &op, const Tensor &a, const Tensor &b, const Type &result,
                          bool splits) {
    const bool ta = op.attrs.flag("transpose_a"), tb = op.attrs.flag("transpose_b");
    const int rank = result.rank();
    const int64_t m = result.shape[rank - 2], n = result.shape[rank - 1];
    const int64_t k = a.type().shape[ta ? rank - 2 : rank - 1];
    Tensor y(Type{DType::F32, result.shape, {}});
    const bool shared = b.type().rank() < rank;
    for (int64_t i = 0; i < y.elements(); ++i) {
      const int64_t batch = i / (m * n), row = i / n % m, column = i % n;
      Floats x, z;
      for (int64_t p = 0; p < k; ++p) {
        x.push_back(static_cast<float>(a.get(batch * m * k + (ta ? p * m + row : row * k + p))));
        z.push_back(
            static_cast<float>(b.get((shared ? 0 : batch) * n * k + (tb ? column * k + p : p * n + column))));
      }
      y.set(i, productOf(x, z, splits));
    }
    return y;
  }

  static void check(std::string_view text, bool splits = false) {
    SCOPED_TRACE(std::string(text));
    Diagnostics diag;
    Result<Module> module = parseModule(text, "test.gir", diag);
    ASSERT_TRUE(module) << diag.render();
    const Function &fn = *module->functions[0];
    Module wrapped = testing::asKernel(*module, "contract");
    if (splits) {
      Function &kernel = *wrapped.functions[0];
      kernel[kernel.body().ops[0]].attrs.set("schedule", Dict{{"algorithm", Keyword{"amx6"}}});
    }
    std::vector<Tensor> arguments;
    for (ValueId arg : fn.body().args)
      arguments.push_back(randomTensor(fn.type(arg), static_cast<uint32_t>(arguments.size() + 1), true));
    OpId product = kNoOp;
    for (OpId op : fn.body().ops)
      if (fn[op].def->name == "matmul")
        product = op;
    const Tensor want =
        reference(fn[product], arguments[0], arguments[1], fn.type(fn[product].results[0]), splits);
    expectOnBothUnits(wrapped, arguments, want);
  }
};

TEST_F(TileMatmulTest, RowMajor) {
  check("func @f(%a: bf16[5,70], %b: bf16[70,33]) -> f32[5,33] {\n"
        "  %y = matmul(%a, %b) : f32[5,33]\n  return %y\n}");
  check("func @f(%a: bf16[70,37], %b: bf16[65,70]) -> f32[37,65] {\n"
        "  %y = matmul(%a, %b) {transpose_a = true, transpose_b = true} : f32[37,65]\n  return %y\n}");
  check("func @f(%a: bf16[3,2,20,31], %b: bf16[3,2,31,40]) -> f32[3,2,20,40] {\n"
        "  %y = matmul(%a, %b) : f32[3,2,20,40]\n  return %y\n}");
}

TEST_F(TileMatmulTest, OneMatrixForAllRows) {
  check("func @f(%x: bf16[3,11,40], %w: bf16[21,40]) -> f32[3,11,21] {\n"
        "  %y = matmul(%x, %w) {transpose_b = true} : f32[3,11,21]\n  return %y\n}");
  check("func @f(%x: f32[3,11,40], %w: f32[40,21]) -> f32[3,11,21] {\n"
        "  %y = matmul(%x, %w) : f32[3,11,21]\n  return %y\n}",
        true);
}

TEST_F(TileMatmulTest, BatchInTheLanes) {
  check("func @f(%x: bf16[48,100]<n16>, %w: bf16[45,100]) -> f32[48,45]<n16> {\n"
        "  %y = matmul(%x, %w) {transpose_b = true} : f32[48,45]<n16>\n  return %y\n}");
  check("func @f(%dy: bf16[48,45]<n16>, %w: bf16[45,100]) -> f32[48,100]<n16> {\n"
        "  %y = matmul(%dy, %w) : f32[48,100]<n16>\n  return %y\n}");
  check("func @f(%dy: bf16[48,45]<n16>, %x: bf16[48,100]<n16>) -> f32[45,100] {\n"
        "  %y = matmul(%dy, %x) {transpose_a = true} : f32[45,100]\n  return %y\n}");
  check("func @f(%dy: bf16[48,45]<n16>, %x: bf16[48,100]) -> f32[45,100] {\n"
        "  %y = matmul(%dy, %x) {transpose_a = true} : f32[45,100]\n  return %y\n}");
}

TEST_F(TileMatmulTest, LastBlockOfTheBatch) {
  check("func @f(%x: bf16[37,100]<n16>, %w: bf16[45,100]) -> f32[37,45]<n16> {\n"
        "  %y = matmul(%x, %w) {transpose_b = true} : f32[37,45]<n16>\n  return %y\n}");
  check("func @f(%dy: bf16[37,45]<n16>, %x: bf16[37,100]<n16>) -> f32[45,100] {\n"
        "  %y = matmul(%dy, %x) {transpose_a = true} : f32[45,100]\n  return %y\n}");
}

TEST_F(TileMatmulTest, RoundsWhilePacking) {
  check("func @f(%x: bf16[64,90]<n16>, %w: f32[70,90]) -> f32[64,70]<n16> {\n"
        "  %r = cast(%w) {dtype = bf16} : bf16[70,90]\n"
        "  %y = matmul(%x, %r) {transpose_b = true} : f32[64,70]<n16>\n  return %y\n}");
  check("func @f(%x: f32[64,90], %w: f32[90,70]) -> f32[64,70] {\n"
        "  %q = cast(%x) {dtype = bf16} : bf16[64,90]\n  %r = cast(%w) {dtype = bf16} : bf16[90,70]\n"
        "  %y = matmul(%q, %r) : f32[64,70]\n  return %y\n}");
}

TEST_F(TileMatmulTest, SplitNumbers) {
  check("func @f(%x: f32[32,70]<n16>, %w: f32[40,70]) -> f32[32,40]<n16> {\n"
        "  %y = matmul(%x, %w) {transpose_b = true} : f32[32,40]<n16>\n  return %y\n}",
        true);
  check("func @f(%dy: f32[48,45]<n16>, %x: f32[48,100]) -> f32[45,100] {\n"
        "  %y = matmul(%dy, %x) {transpose_a = true} : f32[45,100]\n  return %y\n}",
        true);
  check("func @f(%a: f32[2,33,40], %b: f32[2,17,40]) -> f32[2,33,17] {\n"
        "  %y = matmul(%a, %b) {transpose_b = true} : f32[2,33,17]\n  return %y\n}",
        true);
}

/// Gradients of few examples towards large weights, whose depth fills no tile.
TEST_F(TileMatmulTest, WeightsOfFewExamples) {
  check("func @f(%dy: bf16[16,523]<n16>, %x: bf16[16,600]<n16>) -> f32[523,600] {\n"
        "  %y = matmul(%dy, %x) {transpose_a = true} : f32[523,600]\n  return %y\n}");
  check("func @f(%dy: bf16[29,70], %x: bf16[29,3900]) -> f32[70,3900] {\n"
        "  %y = matmul(%dy, %x) {transpose_a = true} : f32[70,3900]\n  return %y\n}");
  check("func @f(%dy: f32[5,4100], %x: f32[5,67]) -> f32[4100,67] {\n"
        "  %r = cast(%dy) {dtype = bf16} : bf16[5,4100]\n  %q = cast(%x) {dtype = bf16} : bf16[5,67]\n"
        "  %y = matmul(%r, %q) {transpose_a = true} : f32[4100,67]\n  return %y\n}");
}

/// Gradients of few examples towards their input, by weights larger than the cache.
TEST_F(TileMatmulTest, InputsOfFewExamples) {
  check("func @f(%dy: bf16[16,530]<n16>, %w: f32[530,600]) -> f32[16,600]<n16> {\n"
        "  %r = cast(%w) {dtype = bf16} : bf16[530,600]\n"
        "  %y = matmul(%dy, %r) : f32[16,600]<n16>\n  return %y\n}");
  check("func @f(%dy: bf16[35,100]<n16>, %w: bf16[100,5300]) -> f32[35,5300]<n16> {\n"
        "  %y = matmul(%dy, %w) : f32[35,5300]<n16>\n  return %y\n}");
}

/// Few examples by weights larger than the cache, with a depth of no whole blocks, of nothing but a piece, and of blocks.
TEST_F(TileMatmulTest, ProductsOfFewExamples) {
  check("func @f(%x: bf16[16,600]<n16>, %w: f32[901,600]) -> f32[16,901]<n16> {\n"
        "  %r = cast(%w) {dtype = bf16} : bf16[901,600]\n"
        "  %y = matmul(%x, %r) {transpose_b = true} : f32[16,901]<n16>\n  return %y\n}");
  check("func @f(%x: bf16[35,70]<n16>, %w: bf16[15300,70]) -> f32[35,15300]<n16> {\n"
        "  %y = matmul(%x, %w) {transpose_b = true} : f32[35,15300]<n16>\n  return %y\n}");
  check("func @f(%x: bf16[20,256]<n16>, %w: f32[2070,256]) -> f32[20,2070]<n16> {\n"
        "  %r = cast(%w) {dtype = bf16} : bf16[2070,256]\n"
        "  %y = matmul(%x, %r) {transpose_b = true} : f32[20,2070]<n16>\n  return %y\n}");
  for (const char *attrs : {"", " {transpose_b = true}"}) // weights that lie in n16 themselves
    check(fmt::format("func @f(%x: bf16[16,1040]<n16>, %w: bf16[1040,1040]<n16>) -> f32[16,1040]<n16> {{\n"
                      "  %y = matmul(%x, %w){} : f32[16,1040]<n16>\n  return %y\n}}",
                      attrs));
}

/// So deep that sums wait in scratch memory, in either order of memory, with ends that fill no tile.
TEST_F(TileMatmulTest, DeepProducts) {
  check("func @f(%a: bf16[5003,40], %b: bf16[5003,100]) -> f32[40,100] {\n"
        "  %y = matmul(%a, %b) {transpose_a = true} : f32[40,100]\n  return %y\n}");
  check("func @f(%a: bf16[40,5003], %b: bf16[100,5003]) -> f32[40,100] {\n"
        "  %y = matmul(%a, %b) {transpose_b = true} : f32[40,100]\n  return %y\n}");
  check("func @f(%a: bf16[2,1700,40], %b: bf16[2,1700,300]) -> f32[2,40,300] {\n"
        "  %y = matmul(%a, %b) {transpose_a = true} : f32[2,40,300]\n  return %y\n}");
  check("func @f(%a: f32[1700,40], %b: f32[1700,100]) -> f32[40,100] {\n"
        "  %y = matmul(%a, %b) {transpose_a = true} : f32[40,100]\n  return %y\n}",
        true);
}

/// Six products are more exact than one chain of fused multiply-adds: the errors, relative to Σ|a·b|, of random sums.
TEST_F(TileMatmulTest, SplitNumbersAreMoreExactThanOneChain) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int depth : {64, 256, 784}) {
    double chainError = 0, splitError = 0;
    for (int trial = 0; trial < 400; ++trial) {
      Floats a(depth), b(depth);
      double exact = 0, scale = 0;
      float chain = 0;
      for (int i = 0; i < depth; ++i) {
        a[i] = normal(random);
        b[i] = normal(random);
        exact += static_cast<double>(a[i]) * b[i];
        scale += std::fabs(static_cast<double>(a[i]) * b[i]);
        chain = std::fmaf(a[i], b[i], chain);
      }
      chainError += std::pow((chain - exact) / scale, 2);
      splitError += std::pow((productOf(a, b, true) - exact) / scale, 2);
    }
    EXPECT_LT(splitError, chainError) << "depth " << depth;
    RecordProperty(
        "depth" + std::to_string(depth),
        fmt::format("chain {:.2e} split {:.2e}", std::sqrt(chainError / 400), std::sqrt(splitError / 400)));
  }
}

/// Infinity leaves NaN when its first bits are taken away.
TEST_F(TileMatmulTest, SplitsWhatIsNoNumber) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_TRUE(std::isnan(productOf({infinity}, {2}, true)));
  EXPECT_TRUE(std::isnan(productOf({std::numeric_limits<float>::quiet_NaN()}, {2}, true)));
}

} // namespace
} // namespace gradc
