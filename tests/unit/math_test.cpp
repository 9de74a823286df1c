// The elementary functions of generated code against the C library in double: at most 2 ULP over all of f32, and
// right at the edges.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>

#include "codegen/elementary.h"
#include "ir/text.h"
#include "tests/support/kernel_runner.h"

namespace gradc {
namespace {

constexpr int64_t kBatch = 1 << 16;

class Function1 {
public:
  explicit Function1(const std::string &op, int operands = 1) {
    std::string args = operands == 2 ? "%x: f32[65536], %z: f32[65536]" : "%x: f32[65536]";
    Diagnostics diag;
    Result<Module> module =
        parseModule(fmt::format("func @f({}) -> f32[65536] {{\n %y = {}({}) : f32[65536]\n return %y\n}}",
                                args, op, operands == 2 ? "%x, %z" : "%x"),
                    "math.gir", diag);
    EXPECT_TRUE(module) << diag.render();
    kernel_ = testing::asKernel(*module, "map");
  }
  Tensor operator()(const std::vector<Tensor> &x, const CpuTarget &target = hostCpuTarget()) const {
    return testing::runKernel(kernel_, target, x)[0];
  }

private:
  Module kernel_;
};

Tensor tensorOf(const std::vector<float> &values) {
  Tensor tensor(Type{DType::F32, Shape{kBatch}, {}});
  std::ranges::copy(values, tensor.as<float>().begin());
  return tensor;
}

/// The distance in units of the last place of the wanted value; 0 where both are NaN or equal.
double ulps(float got, double want) {
  if (std::isnan(want))
    return std::isnan(got) ? 0 : 1e9;
  auto rounded = static_cast<float>(want);
  if (got == rounded)
    return 0;
  if (std::isinf(rounded) || std::isinf(got) || std::isnan(got))
    return 1e9;
  int exponent = std::max(std::ilogb(rounded == 0 ? 0x1p-149 : want), -126);
  return std::fabs(got - want) / std::ldexp(1.0, exponent - 23);
}

/// Every `stride`-th f32, in batches.
template <class Reference> void scan(const std::string &op, Reference reference, uint32_t stride) {
  Function1 function(op);
  double worst = 0;
  float worstAt = 0;
  std::vector<float> x(kBatch);
  uint64_t bits = 0;
  while (bits <= UINT32_MAX) {
    for (float &value : x) {
      value = std::bit_cast<float>(static_cast<uint32_t>(std::min<uint64_t>(bits, UINT32_MAX)));
      bits += stride;
    }
    Tensor y = function({tensorOf(x)});
    for (int64_t i = 0; i < kBatch; ++i)
      if (double error = ulps(y.as<float>()[i], reference(static_cast<double>(x[i]))); error > worst) {
        worst = error;
        worstAt = x[i];
      }
  }
  EXPECT_LE(worst, 2.0) << op << " of " << worstAt;
}

constexpr uint32_t kStride = 4099; // about a million values of each function

TEST(Math, Exp) {
  scan(
      "exp", [](double x) { return std::exp(x); }, kStride);
}
TEST(Math, Log) {
  scan(
      "log", [](double x) { return std::log(x); }, kStride);
}
TEST(Math, Tanh) {
  scan(
      "tanh", [](double x) { return std::tanh(x); }, kStride);
}
TEST(Math, Erf) {
  scan(
      "erf", [](double x) { return std::erf(x); }, kStride);
}

TEST(Math, Edges) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<float> x(kBatch, 0),
      edges = {0.0f, -0.0f, kInf, -kInf, NAN, 1.0f, 0x1p-149f, -0x1p-149f, 88.8f, -104.0f};
  std::ranges::copy(edges, x.begin());
  auto check = [&](const char *op, double (*reference)(double)) {
    Tensor y = Function1(op)({tensorOf(x)});
    for (size_t i = 0; i < edges.size(); ++i)
      EXPECT_LE(ulps(y.as<float>()[i], reference(edges[i])), 2)
          << op << "(" << edges[i] << ") = " << y.as<float>()[i];
  };
  check("exp", std::exp);
  check("log", std::log);
  check("tanh", std::tanh);
  check("erf", std::erf);
}

/// Processors with 512-bit vectors scale by powers of two with an instruction of their own.
TEST(Math, SameBitsOfNarrowerVectors) {
  StatusOr<CpuTarget> narrow = parseCpuTarget("haswell");
  ASSERT_TRUE(narrow);
  std::vector<float> x(kBatch);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] =
        std::bit_cast<float>(static_cast<uint32_t>(i << 16)); // bf16's numbers, denormals and NaN among them
  for (const char *op : {"exp", "log", "tanh", "erf"}) {
    const Function1 function(op);
    const Tensor wide = function({tensorOf(x)}), split = function({tensorOf(x)}, *narrow);
    for (int64_t i = 0; i < kBatch; ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(wide.as<float>()[i]), std::bit_cast<uint32_t>(split.as<float>()[i]))
          << op << " of " << x[static_cast<size_t>(i)];
  }
}

/// The 2048 numbers on both sides of each border between segments and of the clamp.
template <size_t kSegments> std::vector<float> aroundBorders(const elementary::Piecewise<kSegments> &f) {
  constexpr uint32_t kAround = 2048;
  std::vector<float> x;
  for (size_t i = 0; i < kSegments; ++i) {
    const double left = static_cast<double>(kSegments) - 1.5 - static_cast<double>(i);
    const double border = i + 1 < kSegments ? (f.offset - std::sqrt(left)) / f.slope : f.highest;
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(border));
    for (uint32_t at = bits - kAround; at < bits + kAround; ++at)
      x.push_back(std::bit_cast<float>(at));
  }
  x.resize(kBatch, 20);
  return x;
}

template <size_t kSegments>
void expectAccurateAtBorders(const char *op, const elementary::Piecewise<kSegments> &f,
                             double (*reference)(double)) {
  const std::vector<float> x = aroundBorders(f);
  const Function1 function(op);
  for (const char *processor : {"native", "haswell", "x86-64"}) { // by three ways of reading tables
    StatusOr<CpuTarget> target = parseCpuTarget(processor);
    ASSERT_TRUE(target);
    const Tensor y = function({tensorOf(x)}, *target);
    for (size_t i = 0; i < x.size(); ++i) {
      const float got = y.as<float>()[static_cast<int64_t>(i)];
      ASSERT_LE(ulps(got, reference(x[i])), 2) << processor << ": " << op << " of " << x[i];
      ASSERT_LE(got, 1.0F) << processor << ": " << op << " of " << x[i];
      ASSERT_TRUE(got == 1.0F || x[i] < static_cast<float>(f.highest))
          << processor << ": " << op << " of " << x[i];
    }
  }
}

TEST(Math, BordersOfSegments) {
  expectAccurateAtBorders("tanh", elementary::kTanh, std::tanh);
  expectAccurateAtBorders("erf", elementary::kErf, std::erf);
}

TEST(Math, PowOfRandomAndSpecialPairs) {
  Function1 function("pow", 2);
  std::mt19937 random(1);
  std::uniform_real_distribution<float> base(0.01f, 20), exponent(-12, 12);
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<float> special = {0.0f,  -0.0f, 1.0f,  -1.0f, 2.0f,      -2.0f, 3.0f,   -3.0f, 0.5f,
                                -0.5f, kInf,  -kInf, NAN,   0x1p-149f, 1e30f, -1e30f, 2.5f,  1e-30f};
  std::vector<float> x, y;
  for (float a : special)
    for (float b : special) {
      x.push_back(a);
      y.push_back(b);
    }
  while (static_cast<int64_t>(x.size()) < kBatch) {
    x.push_back(base(random));
    y.push_back(exponent(random));
  }
  Tensor z = function({tensorOf(x), tensorOf(y)});
  for (int64_t i = 0; i < kBatch; ++i) {
    double want = std::pow(static_cast<double>(x[i]), static_cast<double>(y[i])),
           error = ulps(z.as<float>()[i], want);
    ASSERT_LE(error, 2) << "pow(" << x[i] << ", " << y[i] << ") = " << z.as<float>()[i] << ", want " << want;
  }
}

} // namespace
} // namespace gradc
