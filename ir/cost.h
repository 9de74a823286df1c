// How much an op computes and moves, for reports: what is counted follows from the shapes, not from the code.
#pragma once

#include "ir/ir.h"

namespace gradc {

struct Cost {
  double flops = 0; // a multiplication and its addition count as two
  double bytes = 0; // of operands and results, each once
};

/// Of a primitive, and of a kernel as a whole: the flops of its region, the bytes that cross its border.
Cost costOf(const Function &fn, OpId op);

} // namespace gradc
