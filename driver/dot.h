// A function as a graph for Graphviz: `dot -Tsvg`.
#pragma once

#include <string>

#include "ir/ir.h"

namespace gradc {

/// One node per op of the function's body, boxes of kernels with what they compute; an edge per operand.
std::string toDot(const Module &module);

} // namespace gradc
