// What this machine reaches at most, measured: the units that `gradc bench` gives shares of.
#pragma once

#include <string>
#include <vector>

#include "codegen/cpu/target.h"
#include "runtime/thread_pool.h"

namespace gradc {

/// Rates at which all threads together pass over a set of bytes again and again, in GB/s.
struct Bandwidth {
  int64_t bytes = 0; // of the set
  double read = 0;
  double copy = 0;   // half of the set to the other half, counted once read and once written
  double update = 0; // two halves read and written in place
};

struct Peaks {
  int threads = 1;
  double gflops = 0;                 // multiply-adds of f32
  double forkJoinUs = 0;             // of a step that does nothing
  std::vector<Bandwidth> bandwidths; // by size: one in a core's second cache, others outside of it

  /// What passing once over `bytes` of a set of `set` bytes takes at least, in milliseconds.
  double milliseconds(double bytes, double set) const;
  std::string json() const; // one object
};

/// Takes about a second. `largest` bounds the sets, so that a command that measures a small model needs no memory
/// that the model does not need.
StatusOr<Peaks> measurePeaks(const CpuTarget &target, ThreadPool &pool, int64_t largest);

/// What keeps a kernel from being faster.
struct Bound {
  const char *by = "";     // "compute", "L2", "L3", "memory", "overhead" or "packing"
  double milliseconds = 0; // that the machine needs at least
};
Bound boundOf(const Peaks &peaks, const CpuTarget &target, double flops, double bytes, double set);

} // namespace gradc
