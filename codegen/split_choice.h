// Which kernels of a program are long enough to be shared among threads, but better left to one.
#pragma once

#include <span>
#include <vector>

#include "ir/ir.h"

namespace gradc {

struct KernelTime {
  OpId kernel;
  double seconds; // of one thread; that of the longest step, where there are several
};

/// By position in the program's order. What a shared kernel writes lies in the caches of several threads, and a kernel
/// behind it that is not shared fetches it from there, which takes longer than from its own. Where that costs more
/// than the sharing saves, the kernel stays with one thread, too: of a logistic regression all of them, of larger
/// networks a transposition before a small product.
std::vector<bool> keptByOneThread(const Function &fn, std::span<const KernelTime> kernels);

} // namespace gradc
