// Compiled code against the interpreter, op by op: samples of the gradient checks, forward and gradient, in f32 or
// f64 on the processor against f64 in the interpreter. Whole pipeline, so fusion, layouts and plans take part.
#include <cmath>
#include <cstdlib>

#include <gtest/gtest.h>

#include "driver/backend.h"
#include "ir/interpreter.h"
#include "tests/gradcheck/check.h"

namespace gradc::test {
namespace {

constexpr size_t kSamplesPerOp = 10;
/// Of 1 + |value|.
double toleranceOf(DType dtype) { return dtype == DType::F32 ? 2e-5 : 1e-12; }

Tensor converted(const Tensor &tensor, DType dtype) {
  if (!isFloat(tensor.type().dtype))
    return tensor;
  Tensor result(Type{dtype, tensor.type().shape, {}});
  for (int64_t i = 0; i < tensor.elements(); ++i)
    result.set(i, static_cast<float>(tensor.get(i)));
  return result;
}

/// The sample with values that f32 has, in f32 or f64.
Sample converted(const Sample &sample, DType dtype) {
  Sample result = sample;
  for (Tensor &operand : result.operands)
    operand = converted(operand, dtype);
  if (result.attrs.has("dtype"))
    result.attrs.set("dtype", dtype);
  return result;
}

/// GRADC_TEST_BACKEND=cuda runs the same samples on a device.
const Backend &testedBackend() {
  const char *name = std::getenv("GRADC_TEST_BACKEND");
  return *findBackend(name ? name : "cpu");
}

std::vector<std::string> sampledOps() {
  std::vector<std::string> names;
  for (const OpDef *def : allOps())
    if (!gradientSamples(def->name).empty())
      names.emplace_back(def->name);
  return names;
}

class BackendOps : public testing::TestWithParam<std::string> {
protected:
  static void SetUpTestSuite() { setenv("GRADC_CACHE_DIR", GRADC_TEST_CACHE, 1); }

  void check(const Sample &given, DType dtype) {
    Sample narrow = converted(given, dtype), wide = converted(given, DType::F64);
    auto compiled = makeGradient(GetParam(), narrow), reference = makeGradient(GetParam(), wide);
    ASSERT_TRUE(compiled) << compiled.error();
    ASSERT_TRUE(reference) << reference.error();
    std::vector<Tensor> want =
        interpret(reference->module, *reference->module.function("f.grad"), wide.operands);
    Diagnostics diag;
    const Function &fn = *compiled->module.function("f.grad");
    auto got = testedBackend().run({compiled->module, fn, narrow.operands}, diag);
    ASSERT_TRUE(got) << describe(GetParam(), narrow) << ": " << diag.render();
    for (size_t r = 0; r < want.size(); ++r)
      for (int64_t i = 0; i < want[r].elements(); ++i) {
        double a = (*got)[r].get(i), b = want[r].get(i);
        ASSERT_LE(std::fabs(a - b), toleranceOf(dtype) * (1 + std::fabs(b)))
            << describe(GetParam(), narrow) << ": element " << i << " of result " << r << " is " << a
            << " but the interpreter has " << b;
      }
  }
};

TEST_P(BackendOps, AgreeWithTheInterpreter) {
  std::vector<Sample> samples = gradientSamples(GetParam());
  for (size_t i = 0; i < kSamplesPerOp; ++i)
    check(samples[i * (samples.size() - 1) / (kSamplesPerOp - 1)], i % 3 == 2 ? DType::F64 : DType::F32);
}

INSTANTIATE_TEST_SUITE_P(OpTable, BackendOps, testing::ValuesIn(sampledOps()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace gradc::test
