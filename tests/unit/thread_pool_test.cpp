#include "runtime/thread_pool.h"

#include <atomic>
#include <chrono>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

using namespace gradc;

namespace {

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(ThreadPool, CoversEveryItemOnce) {
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (int64_t items : {0, 1, 2, 15, 16, 17, 1000, 100'000}) {
      std::vector<int> hits(items, 0); // each written by one thread only: TSan sees a double claim
      pool.parallelFor(items, 0, [&](int64_t begin, int64_t end, int) {
        for (int64_t i = begin; i < end; ++i)
          ++hits[i];
      });
      EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), int64_t{0}), items);
      EXPECT_TRUE(std::all_of(hits.begin(), hits.end(), [](int n) { return n == 1; }));
    }
  }
}

/// Where the chunks of a job begin, whoever claims them.
std::vector<int64_t> chunkStarts(int threads, int64_t items, double work) {
  ThreadPool pool(threads);
  std::vector<int> starts(items, 0);
  pool.parallelFor(items, work, [&](int64_t begin, int64_t, int) { ++starts[begin]; });
  std::vector<int64_t> result;
  for (int64_t i = 0; i < items; ++i)
    if (starts[i] != 0)
      result.push_back(i);
  return result;
}

TEST(ThreadPool, ClaimsLongRunsFirst) {
  using Starts = std::vector<int64_t>;
  EXPECT_EQ(chunkStarts(2, 160, 1), (Starts{0, 40, 60, 70, 80, 90, 100, 120}));
  EXPECT_EQ(chunkStarts(3, 24, 1), (Starts{0, 4, 6, 7, 8, 9, 10, 11, 12, 14, 16, 20}));
  EXPECT_EQ(chunkStarts(2, 15, 1), (Starts{0, 1, 3, 5, 7, 9, 11, 13})); // few items
  EXPECT_EQ(chunkStarts(2, 160, 9e-6), (Starts{0, 40, 80, 120}));       // little work
}

TEST(ThreadPool, WorkerIdsDoNotOverlap) {
  ThreadPool pool(5);
  std::vector<std::atomic<int>> inside(5);
  std::atomic<bool> overlap = false;
  for (int round = 0; round < 200; ++round)
    pool.parallelFor(64, 0, [&](int64_t, int64_t, int worker) {
      if (inside[worker].fetch_add(1) != 0)
        overlap = true;
      inside[worker].fetch_sub(1);
    });
  EXPECT_FALSE(overlap);
}

TEST(ThreadPool, JobsBackToBackSeeEachOthersWrites) {
  ThreadPool pool(4);
  std::vector<int64_t> data(4096, 0);
  for (int round = 0; round < 2000; ++round)
    pool.parallelFor(64, 0, [&](int64_t begin, int64_t end, int) {
      // Reads what other threads wrote in the job before.
      for (int64_t i = begin; i < end; ++i)
        for (int64_t k = 0; k < 64; ++k)
          data[((i + round) % 64) * 64 + k] += 1;
    });
  for (int64_t value : data)
    ASSERT_EQ(value, 2000);
}

TEST(ThreadPool, ShortWorkStaysOnTheCaller) {
  ThreadPool pool(4);
  int calls = 0; // not atomic on purpose
  pool.parallelFor(1000, 1e-6, [&](int64_t begin, int64_t end, int worker) {
    ++calls;
    EXPECT_EQ(begin, 0);
    EXPECT_EQ(end, 1000);
    EXPECT_EQ(worker, 0);
  });
  EXPECT_EQ(calls, 1);
}

TEST(ThreadPool, WakesAfterSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5)); // workers are asleep now
    std::atomic<int64_t> sum = 0;
    pool.parallelFor(100, 0, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
    EXPECT_EQ(sum, 100);
  }
}

TEST(ThreadPool, StartsAndStopsQuickly) {
  for (int round = 0; round < 50; ++round) {
    ThreadPool pool(4);
    std::atomic<int64_t> sum = 0;
    pool.parallelFor(10, 0, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
    EXPECT_EQ(sum, 10);
  }
}

// A design that waits for a particular worker to start loses a scheduler slice (milliseconds) per job here.
TEST(ThreadPool, LoadedMachineCostsNoSlices) {
  std::atomic<bool> stop = false;
  std::vector<std::thread> load;
  for (int i = 0; i < 2 * availableCores(); ++i)
    load.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  ThreadPool pool(availableCores());
  std::vector<double> seconds;
  std::atomic<int64_t> sink = 0;
  for (int round = 0; round < 300; ++round) {
    const auto start = std::chrono::steady_clock::now();
    pool.parallelFor(32, 0, [&](int64_t begin, int64_t end, int) {
      volatile int64_t local = 0;
      for (int64_t i = 0; i < (end - begin) * 500; ++i)
        local = local + 1;
      sink += local;
    });
    seconds.push_back(secondsSince(start));
  }
  stop = true;
  for (std::thread &thread : load)
    thread.join();
  std::nth_element(seconds.begin(), seconds.begin() + 150, seconds.end());
  EXPECT_EQ(sink, 300 * 32 * 500);
  EXPECT_LT(seconds[150], 1.5e-3); // the median; a slice is 3 ms and more
}

TEST(ThreadPool, AvailableCoresIsPositive) { EXPECT_GE(availableCores(), 1); }

} // namespace
