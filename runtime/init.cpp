#include "runtime/init.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <numbers>
#include <numeric>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/data/dataset.h"
#include "support/npy.h"
#include "support/philox.h"

namespace gradc {
namespace {

using Kind = InitSpec::Kind;

constexpr double kSecondsPerElement = 3e-8;

/// Random numbers of one variable, by element.
class Random {
public:
  Random(uint64_t seed, const std::string &name) : seed_(seed), stream_(streamHash("init." + name)) {}

  /// In [0, 1), 53 bits.
  double uniform(int64_t element, uint64_t draw = 0) const {
    const PhiloxCounter bits = randomBits(seed_, stream_, draw, static_cast<uint64_t>(element));
    return toUnit(bits[0], bits[1]);
  }
  /// Standard normal (Box and Muller 1958).
  double normal(int64_t element, uint64_t draw = 0) const {
    const PhiloxCounter bits = randomBits(seed_, stream_, draw, static_cast<uint64_t>(element));
    const double radius = std::sqrt(-2 * std::log(1 - toUnit(bits[0], bits[1])));
    return radius * std::cos(2 * std::numbers::pi * toUnit(bits[2], bits[3]));
  }

private:
  static double toUnit(uint32_t high, uint32_t low) {
    return static_cast<double>((uint64_t{high} << 32 | low) >> 11) * 0x1p-53;
  }
  uint64_t seed_, stream_;
};

void fill(ThreadPool &pool, std::span<float> out, const std::function<double(int64_t)> &value) {
  const int64_t unit = 1024, count = static_cast<int64_t>(out.size());
  pool.parallelFor((count + unit - 1) / unit, static_cast<double>(count) * kSecondsPerElement,
                   [&](int64_t begin, int64_t end, int) {
                     for (int64_t i = begin * unit; i < std::min(end * unit, count); ++i)
                       out[i] = static_cast<float>(value(i));
                   });
}

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
void fillOrthogonal(const VariableSpec &variable, const Random &random, std::span<float> out) {
  const int64_t rows = variable.shape.empty() ? 1 : variable.shape[0];
  const int64_t columns = static_cast<int64_t>(out.size()) / rows;
  const int64_t count = std::min(rows, columns), length = std::max(rows, columns);
  std::vector<double> vectors(count * length);
  for (int64_t i = 0; i < count * length; ++i)
    vectors[i] = random.normal(i);
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

Status initialise(const VariableSpec &variable, uint64_t seed, const std::string &folder, ThreadPool &pool,
                  std::span<float> out) {
  const InitSpec &spec = variable.init;
  const Random random(seed, variable.name);
  const Fans fans = fansOf(variable);
  const auto uniform = [&](double low, double high) {
    fill(pool, out, [&](int64_t i) { return low + (high - low) * random.uniform(i); });
  };
  const auto normal = [&](double mean, double deviation) {
    fill(pool, out, [&](int64_t i) { return mean + deviation * random.normal(i); });
  };
  const auto symmetric = [&](double bound) { uniform(-bound, bound); };

  switch (spec.kind) {
  case Kind::Zeros: std::ranges::fill(out, 0.0f); break;
  case Kind::Ones: std::ranges::fill(out, 1.0f); break;
  case Kind::Constant: std::ranges::fill(out, static_cast<float>(spec.a)); break;
  case Kind::Normal: normal(spec.a, spec.b); break;
  case Kind::Uniform: uniform(spec.a, spec.b); break;
  case Kind::GlorotUniform: symmetric(std::sqrt(6 / (fans.in + fans.out))); break;
  case Kind::GlorotNormal: normal(0, std::sqrt(2 / (fans.in + fans.out))); break;
  case Kind::HeUniform: symmetric(std::sqrt(6 / fans.in)); break;
  case Kind::HeNormal: normal(0, std::sqrt(2 / fans.in)); break;
  case Kind::LecunNormal: normal(0, std::sqrt(1 / fans.in)); break;
  case Kind::FanInUniform: symmetric(1 / std::sqrt(fans.in)); break;
  case Kind::Orthogonal: fillOrthogonal(variable, random, out); break;
  case Kind::SparseNormal:
    fill(pool, out,
         [&](int64_t i) { return random.uniform(i, 1) < spec.a ? spec.b * random.normal(i) : 0.0; });
    break;
  case Kind::Values:
    if (spec.values.size() != out.size())
      return {ExitCode::InvalidInput, fmt::format("'{}' has {} elements, but its initialiser has {} values",
                                                  variable.name, out.size(), spec.values.size())};
    for (size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<float>(spec.values[i]);
    break;
  case Kind::Npy: return fillFromFile(variable, folder, out);
  }
  return okStatus();
}

} // namespace gradc
