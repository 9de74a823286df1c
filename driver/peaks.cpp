#include "driver/peaks.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "codegen/cpu/peaks.h"
#include "runtime/buffer.h"
#include "support/clock.h"

namespace gradc {
namespace {

constexpr double kWarmSeconds = 10e-3, kRoundSeconds = 2e-3;
constexpr int kRounds = 12;
constexpr int64_t kThirdLevel = int64_t{64} << 20; // what of a server's last cache one small machine gets

/// Seconds of one repetition, the best of several rounds. Each worker repeats its own share.
template <class F> double bestRound(ThreadPool &pool, F &&share) {
  const auto round = [&](int64_t repetitions) {
    const Clock::time_point start = Clock::now();
    pool.parallelFor(pool.threads(), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i)
        for (int64_t r = 0; r < repetitions; ++r)
          share(i);
    });
    return secondsSince(start) / static_cast<double>(repetitions);
  };
  for (const Clock::time_point start = Clock::now(); secondsSince(start) < kWarmSeconds;)
    round(1); // until every thread is awake and the clock is up
  const auto repetitions = std::max<int64_t>(1, static_cast<int64_t>(kRoundSeconds / round(1)));
  double best = round(repetitions);
  for (int i = 1; i < kRounds && (i < 3 || best * static_cast<double>(repetitions) < 0.1); ++i)
    best = std::min(best, round(repetitions));
  return best;
}

double multiplyAddRate(const PeakKernels &kernels, ThreadPool &pool) {
  constexpr int64_t kSteps = 10000;
  const double best = bestRound(pool, [&](int64_t) {
    alignas(64) float memory[16] = {};
    void *buffers[] = {memory};
    kernels.multiplyAdds(nullptr, buffers, 0, kSteps);
  });
  return kernels.operations * kSteps * pool.threads() / best * 1e-9;
}

StatusOr<Bandwidth> bandwidthOf(const PeakKernels &kernels, ThreadPool &pool, int64_t bytes) {
  const int64_t blocks = bytes / PeakKernels::kBlockBytes / pool.threads() / 2 * 2; // of one thread
  Bandwidth result{.bytes = blocks * pool.threads() * PeakKernels::kBlockBytes};
  StatusOr<Buffer> memory = Buffer::allocate(result.bytes, &pool);
  if (!memory)
    return std::unexpected(memory.error());
  const auto rate = [&](double passes, auto &&share) {
    return passes * static_cast<double>(result.bytes) / bestRound(pool, share) * 1e-9;
  };
  const auto first = [&](int64_t worker) {
    return memory->data() + worker * blocks * PeakKernels::kBlockBytes;
  };
  const auto halves = [&](gradc_kernel kernel) {
    return [&, kernel](int64_t worker) {
      void *buffers[] = {first(worker), first(worker) + blocks / 2 * PeakKernels::kBlockBytes};
      kernel(nullptr, buffers, 0, blocks / 2);
    };
  };
  result.read = rate(1, [&](int64_t worker) {
    alignas(64) float sum[16];
    void *buffers[] = {sum, first(worker)};
    kernels.read(nullptr, buffers, 0, blocks);
  });
  result.copy = rate(1, halves(kernels.copy));
  result.update = rate(2, halves(kernels.update));
  return result;
}

double forkJoin(ThreadPool &pool) {
  std::vector<double> times;
  for (int i = 0; i < 1000; ++i) {
    const Clock::time_point start = Clock::now();
    pool.parallelFor(pool.threads(), 1, [](int64_t, int64_t, int) {});
    times.push_back(secondsSince(start));
  }
  std::nth_element(times.begin(), times.begin() + 500, times.end());
  return times[500] * 1e6;
}

const Bandwidth &ofSet(const Peaks &peaks, double set) {
  for (const Bandwidth &bandwidth : peaks.bandwidths)
    if (static_cast<double>(bandwidth.bytes) >= set)
      return bandwidth;
  return peaks.bandwidths.back();
}

double rounded(double value) { return std::round(value * 100) / 100; }

} // namespace

double Peaks::milliseconds(double bytes, double set) const { return bytes / ofSet(*this, set).copy * 1e-6; }

std::string Peaks::json() const {
  nlohmann::ordered_json sets = nlohmann::ordered_json::array();
  for (const Bandwidth &b : bandwidths)
    sets.push_back({{"bytes", b.bytes},
                    {"read_gbs", rounded(b.read)},
                    {"copy_gbs", rounded(b.copy)},
                    {"update_gbs", rounded(b.update)}});
  return nlohmann::ordered_json{{"threads", threads},
                                {"f32_gflops", rounded(gflops)},
                                {"fork_join_us", rounded(forkJoinUs)},
                                {"bandwidths", std::move(sets)}}
      .dump();
}

StatusOr<Peaks> measurePeaks(const CpuTarget &target, ThreadPool &pool, int64_t largest) {
  StatusOr<PeakKernels> kernels = PeakKernels::make(target);
  if (!kernels)
    return std::unexpected(kernels.error());
  Peaks peaks;
  peaks.threads = pool.threads();
  peaks.gflops = multiplyAddRate(*kernels, pool);
  peaks.forkJoinUs = forkJoin(pool);
  const int64_t second = target.l2Bytes * pool.threads();
  for (const int64_t bytes : {second * 3 / 4, second * 8, kThirdLevel, int64_t{512} << 20}) {
    if (!peaks.bandwidths.empty() && bytes > 2 * largest)
      continue;
    StatusOr<Bandwidth> measured = bandwidthOf(*kernels, pool, bytes);
    if (!measured)
      return std::unexpected(measured.error());
    peaks.bandwidths.push_back(*measured);
  }
  return peaks;
}

Bound boundOf(const Peaks &peaks, const CpuTarget &target, double flops, double bytes, double set) {
  const double compute = flops / peaks.gflops * 1e-6, memory = peaks.milliseconds(bytes, set);
  const double least = std::max(compute, memory);
  if (least < peaks.forkJoinUs * 1e-3)
    return {"overhead", least};
  if (compute >= memory)
    return {"compute", least};
  if (set <= static_cast<double>(target.l2Bytes * peaks.threads))
    return {"L2", least};
  return {set <= static_cast<double>(kThirdLevel) ? "L3" : "memory", least};
}

} // namespace gradc
