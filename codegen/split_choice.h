// Which kernels of a program are shared among threads.
#pragma once

#include <span>
#include <vector>

#include "ir/ir.h"

namespace gradc {

struct KernelTime {
  OpId kernel;
  double seconds;        // of one thread; that of the longest step, where there are several
  bool divisible = true; // into items
};

/// By position in the program's order. A shared kernel takes half of its time and a fork. What it writes lies in the
/// caches of several threads, and a kernel that one thread computes fetches half of it from there; likewise the other
/// way round, which takes longer than from a thread's own cache. So a long kernel whose result one thread reads stays
/// with that one, as all of a logistic regression do, and a short one behind one that is shared is shared, too. Products
/// of matrices are shared where they are long. Of all choices one that no change of a single kernel makes better.
std::vector<bool> sharedKernels(const Function &fn, std::span<const KernelTime> kernels);

} // namespace gradc
