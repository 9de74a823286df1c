// The arguments of a function, from the command line: values, files, weights, fills.
#pragma once

#include <string>
#include <vector>

#include "driver/command_line.h"
#include "ir/ir.h"
#include "support/result.h"

namespace gradc {

struct ArgumentFlags {
  std::vector<std::string> inputs; // name=[[1,2],[3,4]], name=x.npy, values.npz
  std::string weights;             // .safetensors: the variables
  std::string fill;                // zeros, ones, random: what has no value yet; empty: an error
  uint64_t seed = 0;               // of random
};

/// --input, --weights and --fill. `flags` must outlive the parse.
Options argumentOptions(ArgumentFlags &flags);

/// One tensor per argument of the function.
StatusOr<std::vector<Tensor>> makeArguments(const Function &fn, const ArgumentFlags &flags);

/// The size of dimension 0 of what --input gives to an {input} of the function; 1 where it gives none.
int64_t batchOfInputs(const Function &fn, const ArgumentFlags &flags);

} // namespace gradc
