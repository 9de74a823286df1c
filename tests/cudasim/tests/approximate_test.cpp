// The errors of .approx instructions: within the documented bound, there at all, the same for the same operand.
#include "machine/machine.h"
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>

namespace cudasim::test {
namespace {

std::vector<float> evaluate(const std::string &instruction, const std::vector<float> &x, uint64_t seed,
                            bool approximate) {
  Memory memory;
  auto module = Module::load(
      ".version 8.3\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 in, .param .u64 out) {\n"
      ".reg .f32 a, d; .reg .b32 t, n, b; .reg .b64 p, q, o;\nld.param.u64 p, [in]; ld.param.u64 q, [out];\n"
      "mov.u32 t, %tid.x; mov.u32 b, %ctaid.x; mov.u32 n, %ntid.x; mad.lo.u32 t, b, n, t; mul.wide.u32 o, t, "
      "4;\n"
      "add.s64 p, p, o; add.s64 q, q, o; ld.global.f32 a, [p];\n" +
          instruction + "\nst.global.f32 [q], d; ret; }\n",
      memory);
  EXPECT_TRUE(module) << (module ? "" : module.error().text);
  auto bytes = static_cast<int64_t>(x.size() * sizeof(float));
  void *in = memory.allocate(bytes), *out = memory.allocate(bytes), *parameters[] = {in, out};
  std::memcpy(in, x.data(), static_cast<size_t>(bytes));
  memory.markWritten(in, bytes);
  Launch launch{.kernel = (*module)->kernel("k"),
                .grid = {static_cast<uint32_t>(x.size() / 128), 1, 1},
                .block = {128, 1, 1}};
  launch.parameters.resize(sizeof(parameters));
  std::memcpy(launch.parameters.data(), parameters, sizeof(parameters));
  Options options;
  options.seed = seed;
  options.approximate = approximate;
  auto counters = run(launch, memory, *findProfile("sm_80"), options);
  EXPECT_TRUE(counters) << (counters ? "" : counters.error().text);
  const auto *begin = static_cast<const float *>(out);
  return {begin, begin + x.size()};
}

struct Case {
  const char *instruction;
  std::function<double(double)> exact;
  double relative;
};

class Approximate : public testing::TestWithParam<Case> {};

TEST_P(Approximate, ErrsWithinItsBound) {
  const Case &c = GetParam();
  std::vector<float> x;
  for (int k = 0; k < 4096; ++k)
    x.push_back(0.6F + static_cast<float>(k) * 1e-4F);
  std::vector<float> y = evaluate(c.instruction, x, 1, true), again = evaluate(c.instruction, x, 1, true),
                     other = evaluate(c.instruction, x, 2, true),
                     exact = evaluate(c.instruction, x, 1, false);
  double most = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    double reference = c.exact(x[k]);
    most = std::max(most, std::fabs(y[k] - reference) / std::fabs(reference));
    EXPECT_EQ(exact[k], static_cast<float>(reference));
  }
  EXPECT_EQ(y, again);
  EXPECT_NE(y, other);
  EXPECT_LE(most, c.relative + 0x1p-24);
  EXPECT_GE(most, c.relative / 4);
}

INSTANTIATE_TEST_SUITE_P(
    All, Approximate,
    testing::Values(Case{"ex2.approx.f32 d, a;", [](double x) { return std::exp2(x); }, 0x1p-22},
                    Case{"tanh.approx.f32 d, a;", [](double x) { return std::tanh(x); }, 0x1p-11},
                    Case{"rcp.approx.f32 d, a;", [](double x) { return 1 / x; }, 0x1p-23},
                    Case{"rsqrt.approx.f32 d, a;", [](double x) { return 1 / std::sqrt(x); }, 0x1p-22},
                    Case{"sqrt.approx.f32 d, a;", [](double x) { return std::sqrt(x); }, 0x1p-23},
                    Case{"div.approx.f32 d, 0f3F800000, a;", [](double x) { return 1 / x; }, 0x1p-22}));

} // namespace
} // namespace cudasim::test
