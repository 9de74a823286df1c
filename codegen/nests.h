// What a map kernel's results have in common.
#pragma once

#include <vector>

#include "ir/ir.h"

namespace gradc {

/// Results that are computed together: of one shape in one layout.
struct Nest {
  Type type;
  std::vector<int> results; // numbers
};

/// The results of a kernel's region, in order of the first of each nest.
std::vector<Nest> nestsOf(const Function &fn, RegionId region);

} // namespace gradc
