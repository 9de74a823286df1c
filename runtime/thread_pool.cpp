#include "runtime/thread_pool.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>

#include <sched.h>

#include "runtime/abi.h"
#include "support/amx.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr double kChunkSeconds = 2e-6;  // smaller chunks are all claiming
constexpr int64_t kChunksPerThread = 4; // enough to balance, few enough to stay cheap
constexpr int64_t kUnitsPerThread = 8;  // of these sizes, the first to be claimed first:
constexpr std::array<int64_t, kChunksPerThread> kChunkUnits = {4, 2, 1, 1};
constexpr int64_t kMaxChunks = 4096;     // < 2^16
constexpr int64_t kSpinBusy = 1'500'000; // ns; a training step's serial gaps are far below this
constexpr int64_t kSpinOversubscribed = 20'000;
constexpr int kPausesBeforeYield = 2000;

void cpuRelax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

uint32_t generationOf(uint64_t state) { return static_cast<uint32_t>(state >> 32); }
uint32_t highOf(uint64_t state) { return static_cast<uint32_t>(state >> 16) & 0xffff; }
uint32_t lowOf(uint64_t state) { return static_cast<uint32_t>(state) & 0xffff; }
constexpr uint64_t kHighOne = uint64_t{1} << 16;

int64_t nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Cores of the cgroup's quota ("max 100000" or "150000 100000" in cgroup v2; two files in v1), or 0.
double cgroupCores() {
  double quota = 0, period = 0;
  if (FILE *f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    const int n = std::fscanf(f, "%lf %lf", &quota, &period);
    std::fclose(f);
    return n == 2 && period > 0 ? quota / period : 0;
  }
  FILE *q = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r");
  FILE *p = std::fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r");
  const bool read = q && p && std::fscanf(q, "%lf", &quota) == 1 && std::fscanf(p, "%lf", &period) == 1;
  if (q)
    std::fclose(q);
  if (p)
    std::fclose(p);
  return read && quota > 0 && period > 0 ? quota / period : 0;
}

int64_t chunkCount(int64_t items, double work, int threads) {
  int64_t chunks = std::min(items, threads * kChunksPerThread);
  if (work > 0)
    chunks = std::min(chunks, std::max<int64_t>(threads, static_cast<int64_t>(work / kChunkSeconds)));
  if (chunks > threads)
    chunks -= chunks % threads; // the same number for each
  return std::min(chunks, kMaxChunks);
}

/// Units in the first `count` chunks that `threads` threads claim in turn from one end.
int64_t unitsOf(int64_t count, int64_t threads) {
  int64_t units = 0;
  for (const int64_t size : kChunkUnits) {
    units += std::min(count, threads) * size;
    count -= std::min(count, threads);
  }
  return units;
}

/// The first item of a chunk. Chunks become smaller towards where the caller, from below, and the workers, from above,
/// meet: a kernel fetches ahead what its next item reads, so that long runs pay, and short ones are left to wait for.
int64_t firstItem(int64_t chunk, int64_t chunks, int64_t items, int64_t threads) {
  const int64_t units = threads * kUnitsPerThread;
  if (chunks != threads * kChunksPerThread || items < units)
    return items * chunk / chunks; // few items, or little work: equal chunks
  const int64_t before =
      chunk <= kChunksPerThread ? unitsOf(chunk, 1) : units - unitsOf(chunks - chunk, threads - 1);
  return items * before / units;
}

} // namespace

int availableCores() {
  cpu_set_t set;
  int cores = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    cores = CPU_COUNT(&set);
  else
    cores = static_cast<int>(std::thread::hardware_concurrency());
  if (const double quota = cgroupCores(); quota > 0)
    cores = std::min(cores, static_cast<int>(std::ceil(quota)));
  return std::max(cores, 1);
}

ThreadPool::ThreadPool(int threads) {
  (void)whyNoAmx(); // threads inherit the permission to use tiles
  const int cores = availableCores();
  threads_ = std::clamp(threads > 0 ? threads : cores, 1, 1024);
  spinNanoseconds_ = threads_ > cores ? kSpinOversubscribed : kSpinBusy;
  for (int worker = 1; worker < threads_; ++worker)
    workers_.emplace_back([this, worker] { workerLoop(worker); });
}

ThreadPool::~ThreadPool() {
  stop_.store(true);
  wake_.fetch_add(1);
  wake_.notify_all();
  for (std::thread &worker : workers_)
    worker.join();
}

void ThreadPool::publish(int64_t items, int64_t chunks, Function function, void *arg) {
  function_.store(function, std::memory_order_relaxed);
  arg_.store(arg, std::memory_order_relaxed);
  items_.store(items, std::memory_order_relaxed);
  chunks_.store(chunks, std::memory_order_relaxed);
  unfinished_.store(chunks, std::memory_order_relaxed);
  const uint32_t generation = generationOf(state_.load(std::memory_order_relaxed)) + 1;
  // seq_cst against sleepers_: either the worker that goes to sleep sees the job, or we see the sleeper.
  state_.store(uint64_t{generation} << 32 | static_cast<uint64_t>(chunks) << 16);
  if (sleepers_.load() > 0) {
    wake_.fetch_add(1);
    wake_.notify_all();
  }
}

bool ThreadPool::claimLow(int64_t &chunk) {
  uint64_t state = state_.load(std::memory_order_relaxed);
  while (lowOf(state) < highOf(state)) {
    if (state_.compare_exchange_weak(state, state + 1, std::memory_order_relaxed)) {
      chunk = lowOf(state);
      return true;
    }
  }
  return false;
}

bool ThreadPool::claimHigh(int64_t &chunk, Function &function, void *&arg, int64_t &items, int64_t &chunks) {
  uint64_t state = state_.load(std::memory_order_acquire);
  while (lowOf(state) < highOf(state)) {
    function = function_.load(std::memory_order_relaxed);
    arg = arg_.load(std::memory_order_relaxed);
    items = items_.load(std::memory_order_relaxed);
    chunks = chunks_.load(std::memory_order_relaxed);
    // Success proves that this generation was still claimable, so what was just read belongs to it.
    if (state_.compare_exchange_weak(state, state - kHighOne, std::memory_order_acq_rel,
                                     std::memory_order_acquire)) {
      chunk = highOf(state) - 1;
      return true;
    }
  }
  return false;
}

bool ThreadPool::isShared(int64_t items, double work) {
  return items > 1 && (work <= 0 || work >= GRADC_SPLIT_SECONDS);
}

void ThreadPool::parallelFor(int64_t items, double work, Function function, void *arg) {
  if (items <= 0)
    return;
  if (threads_ == 1 || !isShared(items, work))
    return function(arg, 0, items, 0);

  const int64_t chunks = chunkCount(items, work, threads_);
  publish(items, chunks, function, arg);
  int64_t chunk = 0, done = 0;
  for (; claimLow(chunk); ++done)
    function(arg, firstItem(chunk, chunks, items, threads_), firstItem(chunk + 1, chunks, items, threads_),
             0);
  unfinished_.fetch_sub(done, std::memory_order_relaxed);
  for (int spins = 0; unfinished_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < kPausesBeforeYield)
      cpuRelax();
    else
      sched_yield();
  }
}

/// Returns when a job newer than `seen` is there; false when the pool stops.
bool ThreadPool::waitForWork(uint32_t seen) {
  const auto newJob = [&] { return generationOf(state_.load(std::memory_order_acquire)) != seen; };
  const int64_t deadline = nanoseconds() + spinNanoseconds_;
  do {
    for (int i = 0; i < 64; ++i) {
      if (newJob())
        return true;
      cpuRelax();
    }
    if (stop_.load(std::memory_order_relaxed))
      return false;
  } while (nanoseconds() < deadline);

  while (true) {
    const uint32_t ticket = wake_.load();
    sleepers_.fetch_add(1);
    if (generationOf(state_.load()) == seen && !stop_.load())
      wake_.wait(ticket);
    sleepers_.fetch_sub(1);
    if (stop_.load())
      return false;
    if (newJob())
      return true;
  }
}

void ThreadPool::workerLoop(int worker) {
  Function function = nullptr;
  void *arg = nullptr;
  int64_t chunk = 0, items = 0, chunks = 0;
  uint32_t seen = 0;
  while (waitForWork(seen)) {
    seen = generationOf(state_.load(std::memory_order_acquire));
    int64_t done = 0;
    // A claim may already be of a newer generation than `seen`: that job cannot begin before this thread has
    // reported the chunks of the former one, so all of `done` is of one generation.
    for (; claimHigh(chunk, function, arg, items, chunks); ++done)
      function(arg, firstItem(chunk, chunks, items, threads_), firstItem(chunk + 1, chunks, items, threads_),
               worker);
    if (done != 0)
      unfinished_.fetch_sub(done, std::memory_order_release);
  }
}

} // namespace gradc
