#include "runtime/init.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/data/dataset.h"
#include "support/npy.h"
#include "support/philox.h"

#if defined(__x86_64__) && !defined(GRADC_STANDALONE)
#include <immintrin.h>
#define GRADC_AVX512 __attribute__((target("avx512f,avx512dq")))
#endif

namespace gradc {
namespace {

using Kind = InitSpec::Kind;

constexpr double kSecondsPerElement = 3e-8;

/// gradc_init_value of elements begin .. end-1.
using Fill = void(const gradc_init_rule &rule, uint64_t seed, int64_t begin, int64_t end, float *out);

void fillUniform(const gradc_init_rule &rule, uint64_t seed, int64_t begin, int64_t end, float *out) {
  for (int64_t i = begin; i < end; ++i)
    out[i] = gradc_init_uniform(&rule, seed, static_cast<uint64_t>(i));
}

#ifdef GRADC_AVX512
/// The same of eight elements at once, five cycles each. A word of Philox is the low half of a lane of 64 bits, where
/// vpmuludq wants it, and products stay there whole: the high half is ignored by the next.
GRADC_AVX512 void fillUniformByEight(const gradc_init_rule &rule, uint64_t seed, int64_t begin, int64_t end,
                                     float *out) {
  constexpr int64_t kAtOnce = 8;
  constexpr int kXor = 0x96; // of three operands
  const __m512i multiplier0 = _mm512_set1_epi64(kPhiloxMultiplier0);
  const __m512i multiplier1 = _mm512_set1_epi64(kPhiloxMultiplier1);
  const __m512d least = _mm512_set1_pd(rule.a), range = _mm512_set1_pd(rule.b - rule.a);
  const uint64_t key = seed ^ rule.stream;
  __m512i element = _mm512_add_epi64(_mm512_set1_epi64(begin), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
  int64_t i = begin;
  for (; i + kAtOnce <= end; i += kAtOnce) {
    __m512i c0 = element, c1 = _mm512_srli_epi64(element, 32), c2 = _mm512_setzero_si512(), c3 = c2;
    auto k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
      const __m512i p0 = _mm512_mul_epu32(c0, multiplier0), p1 = _mm512_mul_epu32(c2, multiplier1);
      c0 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c1, _mm512_set1_epi64(k0), kXor);
      c2 = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c3, _mm512_set1_epi64(k1), kXor);
      c1 = p1;
      c3 = p0;
      k0 += kPhiloxWeyl0;
      k1 += kPhiloxWeyl1;
    }
    const __m512i low = _mm512_and_epi64(c1, _mm512_set1_epi64(0xFFFFFFFF));
    const __m512i bits = _mm512_srli_epi64(_mm512_or_epi64(_mm512_slli_epi64(c0, 32), low), 11);
    const __m512d unit = _mm512_mul_pd(_mm512_cvtepu64_pd(bits), _mm512_set1_pd(0x1p-53));
    _mm256_storeu_ps(out + i, _mm512_cvtpd_ps(_mm512_add_pd(least, _mm512_mul_pd(range, unit))));
    element = _mm512_add_epi64(element, _mm512_set1_epi64(kAtOnce));
  }
  fillUniform(rule, seed, i, end, out);
}
#endif

void fillAny(const gradc_init_rule &rule, uint64_t seed, int64_t begin, int64_t end, float *out) {
  for (int64_t i = begin; i < end; ++i)
    out[i] = gradc_init_value(&rule, seed, static_cast<uint64_t>(i));
}

Fill *fillOf(const gradc_init_rule &rule) {
  if (rule.kind != GRADC_INIT_UNIFORM)
    return fillAny;
#ifdef GRADC_AVX512
  if (__builtin_cpu_supports("avx512dq"))
    return fillUniformByEight;
#endif
  return fillUniform;
}

void fill(ThreadPool &pool, std::span<float> out, const gradc_init_rule &rule, uint64_t seed) {
  const int64_t unit = 1024, count = static_cast<int64_t>(out.size());
  Fill *part = fillOf(rule);
  pool.parallelFor((count + unit - 1) / unit, static_cast<double>(count) * kSecondsPerElement,
                   [&](int64_t begin, int64_t end, int) {
                     part(rule, seed, begin * unit, std::min(end * unit, count), out.data());
                   });
}

uint64_t initStream(const VariableSpec &variable) { return streamHash("init." + variable.name); }

struct Fans {
  double in = 1, out = 1;
};

/// As PyTorch's _calculate_fan_in_and_fan_out, for any rank.
Fans fansOf(const VariableSpec &variable) {
  const double size = static_cast<double>(elementCount(variable));
  const double first = variable.shape.empty() ? 1 : static_cast<double>(variable.shape[0]);
  const double second = variable.shape.size() < 2 ? 1 : static_cast<double>(variable.shape[1]);
  Fans fans{size / first, size / second};
  if (variable.init.fanIn > 0)
    fans.in = static_cast<double>(variable.init.fanIn);
  if (variable.init.fanOut > 0)
    fans.out = static_cast<double>(variable.init.fanOut);
  return fans;
}

/// Orthonormal rows or columns, whichever are fewer, of the [shape[0], rest] matrix: Gram-Schmidt, twice
/// ("twice is enough", Giraud et al. 2005), on normal vectors.
void fillOrthogonal(const VariableSpec &variable, uint64_t seed, std::span<float> out) {
  const uint64_t stream = initStream(variable);
  const int64_t rows = variable.shape.empty() ? 1 : variable.shape[0];
  const int64_t columns = static_cast<int64_t>(out.size()) / rows;
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  std::vector<double> vectors(count * length);
  for (int64_t i = 0; i < count * length; ++i)
    vectors[i] = gradc_random_normal(seed, stream, static_cast<uint64_t>(i));
  for (int64_t i = 0; i < count; ++i) {
    double *v = &vectors[i * length];
    for (int round = 0; round < 2; ++round)
      for (int64_t j = 0; j < i; ++j) {
        const double *u = &vectors[j * length];
        const double dot = std::inner_product(v, v + length, u, 0.0);
        for (int64_t k = 0; k < length; ++k)
          v[k] -= dot * u[k];
      }
    const double norm = std::sqrt(std::inner_product(v, v + length, v, 0.0));
    for (int64_t k = 0; k < length; ++k)
      v[k] /= norm;
  }
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      out[r * columns + c] =
          static_cast<float>(rows <= columns ? vectors[r * length + c] : vectors[c * length + r]);
}

Status fillFromFile(const VariableSpec &variable, const std::string &folder, std::span<float> out) {
  const std::string path = resolvePath(folder, variable.init.file);
  StatusOr<NpyArray> array = readNpy(path);
  if (!array)
    return array.error();
  if (array->shape != variable.shape)
    return ioError(fmt::format("{}: shape [{}], but '{}' has [{}]", path, fmt::join(array->shape, ","),
                               variable.name, fmt::join(variable.shape, ",")));
  if (array->dtype == DType::F32) {
    std::memcpy(out.data(), array->bytes.data(), array->bytes.size());
  } else if (array->dtype == DType::F64) {
    const double *values = reinterpret_cast<const double *>(array->bytes.data());
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<float>(values[i]);
  } else {
    return ioError(
        fmt::format("{}: element type {}, but '{}' has f32", path, dtypeName(array->dtype), variable.name));
  }
  return okStatus();
}

} // namespace

int64_t elementCount(const VariableSpec &variable) {
  return std::accumulate(variable.shape.begin(), variable.shape.end(), int64_t{1}, std::multiplies<>());
}

std::optional<gradc_init_rule> initRule(const VariableSpec &variable) {
  const InitSpec &spec = variable.init;
  const Fans fans = fansOf(variable);
  const auto rule = [&](gradc_init_kind kind, double a, double b) {
    return gradc_init_rule{kind, a, b, initStream(variable), nullptr};
  };
  const auto constant = [&](double value) { return rule(GRADC_INIT_CONSTANT, value, 0); };
  const auto normal = [&](double mean, double deviation) { return rule(GRADC_INIT_NORMAL, mean, deviation); };
  const auto symmetric = [&](double bound) { return rule(GRADC_INIT_UNIFORM, -bound, bound); };
  switch (spec.kind) {
  case Kind::Zeros: return constant(0);
  case Kind::Ones: return constant(1);
  case Kind::Constant: return constant(spec.a);
  case Kind::Normal: return normal(spec.a, spec.b);
  case Kind::Uniform: return rule(GRADC_INIT_UNIFORM, spec.a, spec.b);
  case Kind::GlorotUniform: return symmetric(std::sqrt(6 / (fans.in + fans.out)));
  case Kind::GlorotNormal: return normal(0, std::sqrt(2 / (fans.in + fans.out)));
  case Kind::HeUniform: return symmetric(std::sqrt(6 / fans.in));
  case Kind::HeNormal: return normal(0, std::sqrt(2 / fans.in));
  case Kind::LecunNormal: return normal(0, std::sqrt(1 / fans.in));
  case Kind::FanInUniform: return symmetric(1 / std::sqrt(fans.in));
  case Kind::SparseNormal: return rule(GRADC_INIT_SPARSE_NORMAL, spec.a, spec.b);
  case Kind::Orthogonal:
  case Kind::Values:
  case Kind::Npy: return std::nullopt;
  }
  return std::nullopt;
}

Status initialise(const VariableSpec &variable, uint64_t seed, const std::string &folder, ThreadPool &pool,
                  std::span<float> out) {
  const InitSpec &spec = variable.init;
  if (const std::optional<gradc_init_rule> rule = initRule(variable)) {
    fill(pool, out, *rule, seed);
    return okStatus();
  }
  if (spec.kind == Kind::Npy)
    return fillFromFile(variable, folder, out);
  if (spec.kind == Kind::Orthogonal) {
    fillOrthogonal(variable, seed, out);
    return okStatus();
  }
  if (spec.values.size() != out.size())
    return {ExitCode::InvalidInput, fmt::format("'{}' has {} elements, but its initialiser has {} values",
                                                variable.name, out.size(), spec.values.size())};
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(spec.values[i]);
  return okStatus();
}

} // namespace gradc
