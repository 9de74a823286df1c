// Fork-join parallelism for compiled programs.
//
// Claim-based: a job is cut into chunks, and the caller and the workers take chunks from one atomic word. Nobody
// ever waits for a particular thread to start, only for chunks that are already running; so a machine that is busy
// with something else costs its share of the time and no scheduler slices. The caller takes chunks from the low
// end and the workers from the high end, large chunks first: with two threads each sees the same half job after job.
//
// Workers spin for a moment after a job, because a training step is a row of short jobs, and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace gradc {

/// Cores that this process may use: the affinity mask, capped by the cgroup's CPU quota (rounded up). At least 1.
int availableCores();

class ThreadPool {
public:
  /// Runs items begin .. end-1; `worker` is 0 .. threads()-1, and no two calls with the same worker overlap.
  using Function = void (*)(void *arg, int64_t begin, int64_t end, int worker);

  /// 0 threads means availableCores(). More threads than cores are allowed: they then sleep sooner.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const { return threads_; }
  /// Whether a pool of several threads cuts such a job.
  static bool isShared(int64_t items, double work);

  /// Runs all of 0 .. items-1 and returns when they are done. One job at a time, from one thread.
  /// `work` is the estimated time of the whole job on one thread, in seconds (0: unknown); short jobs are not cut.
  void parallelFor(int64_t items, double work, Function function, void *arg);

  template <class F> void parallelFor(int64_t items, double work, F &&body) {
    parallelFor(
        items, work,
        [](void *arg, int64_t begin, int64_t end, int worker) {
          (*static_cast<std::remove_reference_t<F> *>(arg))(begin, end, worker);
        },
        &body);
  }

private:
  struct Claim {
    int64_t chunk = -1;
    uint32_t generation = 0;
  };

  void publish(int64_t items, int64_t chunks, Function function, void *arg);
  bool claimLow(int64_t &chunk);
  bool claimHigh(int64_t &chunk, Function &function, void *&arg, int64_t &items, int64_t &chunks);
  void workerLoop(int worker);
  bool waitForWork(uint32_t seen);

  // {generation: 32, high: 16, low: 16}. Chunks low .. high-1 of this generation are unclaimed. That the word
  // alone says whether anything is left means a late worker cannot claim from a job that is being set up.
  alignas(64) std::atomic<uint64_t> state_{0};
  // The running job. Written only while nothing is claimable or running; read before a claim and valid if it succeeds.
  std::atomic<Function> function_{nullptr};
  std::atomic<void *> arg_{nullptr};
  std::atomic<int64_t> items_{0}, chunks_{0};
  alignas(64) std::atomic<int64_t> unfinished_{0}; // chunks
  alignas(64) std::atomic<uint32_t> wake_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};

  int threads_ = 1;
  int64_t spinNanoseconds_ = 0;
  std::vector<std::thread> workers_;
};

} // namespace gradc
