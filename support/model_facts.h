// A model as the runtime sees it.
#pragma once

#include <string>
#include <vector>

#include "support/config.h"

namespace gradc {

/// What the runtime has to know of a model besides its programs.
struct ModelFacts {
  std::string name;
  bool hasLoss = false;
  TrainConfig train;
  DataConfig data;
  std::vector<VariableSpec> variables; // parameters and buffers, in the order of the module's declarations
};

} // namespace gradc
