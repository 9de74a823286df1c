// The arithmetic of bf16 tiles (codegen/cpu/amx/tile_product.h) in plain loops, for unit tests of kernels that use them.
#pragma once

#include <cmath>
#include <limits>
#include <random>

#include "codegen/cpu/tile_unit.h"
#include "ir/tensor.h"
#include "support/amx.h"
#include "tests/support/kernel_runner.h"

namespace gradc::testing::tiles {

using Floats = std::vector<float>;

inline float flushed(float x) {
  return std::fabs(x) < std::numeric_limits<float>::min() ? std::copysign(0.0f, x) : x;
}
inline float fmaFlushed(float a, float b, float c) {
  return flushed(std::fmaf(flushed(a), flushed(b), flushed(c)));
}
inline float rounded(float x) { return floatFromBf16(bf16FromFloat(x)); }

/// C + (E + O) over at most 32 terms.
inline float tileStep(float sum, const Floats &a, const Floats &b) {
  float chain[2] = {0, 0};
  for (size_t i = 0; i < a.size(); ++i)
    chain[i % 2] = fmaFlushed(a[i], b[i], chain[i % 2]);
  return flushed(flushed(sum) + flushed(chain[0] + chain[1]));
}

/// Random numbers of the type's shape; `tiny`: among them such as have products below the smallest normal one.
inline Tensor randomTensor(const Type &type, uint32_t seed, bool tiny) {
  Tensor tensor(Type{type.dtype, type.shape, {}});
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, tiny && random() % 8 == 0 ? std::ldexp(normal(random), -70) : normal(random));
  return tensor;
}

/// The kernel's first result must be `want` to the bit, with the tile unit and with vector code in its place, for all
/// items at once and one by one.
inline void expectOnBothUnits(const Module &kernel, const std::vector<Tensor> &arguments,
                              const Tensor &want) {
  const CpuTarget emulated = *parseCpuTarget("skylake-avx512"), narrow = *parseCpuTarget("haswell"),
                  native = hostCpuTarget();
  if (!hasTileUnit(native))
    GTEST_LOG_(INFO) << "skipped on the tile unit: " << whyNoAmx();
  for (const CpuTarget &target : {emulated, narrow, native})
    for (int64_t pieces : {int64_t{0}, int64_t{1}}) {
      SCOPED_TRACE(target.name + (hasTileUnit(target) ? ", tile unit" : ""));
      if (!emulatesTiles(target))
        continue;
      const Tensor got = runKernel(kernel, target, arguments, pieces)[0];
      int wrong = 0;
      for (int64_t i = 0; i < want.elements() && wrong < 3; ++i)
        EXPECT_EQ(static_cast<float>(got.get(i)), static_cast<float>(want.get(i)))
            << "element " << i << (++wrong, "");
    }
}

} // namespace gradc::testing::tiles
