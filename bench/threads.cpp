// What a fork and join of the thread pool costs: two-way jobs of a given work, back to back and after a pause.
//   gradc_bench_threads [THREADS]
// Overhead is the median time of a job less its work divided by the threads; on a loaded machine the mean and the 99th
// percentile are what matters.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "runtime/thread_pool.h"

namespace gradc::bench {
namespace {

using Clock = std::chrono::steady_clock;

double microsecondsSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

void busy(double microseconds) {
  for (const Clock::time_point start = Clock::now(); microsecondsSince(start) < microseconds;) {
  }
}

/// A chain of multiplications that takes a known time, whoever runs it.
class Work {
public:
  Work() {
    const Clock::time_point start = Clock::now();
    spin(kCalibration);
    perStep_ = microsecondsSince(start) / kCalibration;
  }
  int64_t steps(double microseconds) const { return static_cast<int64_t>(microseconds / perStep_); }
  static void spin(int64_t steps) {
    volatile float value = 1;
    for (int64_t i = 0; i < steps; ++i)
      value = value * 1.0000001f;
  }

private:
  static constexpr int64_t kCalibration = 2'000'000;
  double perStep_ = 0;
};

void measure(ThreadPool &pool, const Work &work, double microseconds, double pause) {
  constexpr int kItems = 64, kJobs = 2000;
  const int64_t perItem = work.steps(microseconds / kItems);
  std::vector<double> times;
  for (int job = 0; job < (pause > 0 ? kJobs / 10 : kJobs); ++job) {
    busy(pause);
    const Clock::time_point start = Clock::now();
    pool.parallelFor(kItems, std::max(microseconds * 1e-6, 1e-5), // always cut
                     [&](int64_t begin, int64_t end, int) { Work::spin((end - begin) * perItem); });
    times.push_back(microsecondsSince(start));
  }
  std::ranges::sort(times);
  double sum = 0;
  for (double time : times)
    sum += time;
  const double median = times[times.size() / 2];
  std::printf("work %5.1f us, pause %6.0f us: median %7.2f us, overhead %6.2f, mean %7.2f, 99 %% %8.2f\n",
              microseconds, pause, median, median - microseconds / pool.threads(),
              sum / static_cast<double>(times.size()), times[times.size() * 99 / 100]);
}

int run(int threads) {
  ThreadPool pool(threads);
  const Work work;
  std::printf("%d threads\n", pool.threads());
  for (double pause : {0.0, 50.0, 500.0, 5000.0})
    for (double microseconds : {0.0, 5.0, 20.0})
      measure(pool, work, microseconds, pause);
  return 0;
}

} // namespace
} // namespace gradc::bench

int main(int argc, char **argv) { return gradc::bench::run(argc > 1 ? std::atoi(argv[1]) : 0); }
