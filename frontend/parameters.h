// Settings of parameters: how they start, and what the optimiser does with each. They travel as attributes of
// the declarations, {init = he_normal, weight_decay = 0.0}; initSpec reads them back for the runtime.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "frontend/json.h"
#include "frontend/layer.h"
#include "ir/ir.h"
#include "support/config.h"

namespace gradc {

/// Which parameters a training changes, whatever the file says: names of nodes or of parameters, or patterns of such.
struct TrainedParameters {
  std::vector<std::string> only; // empty: as the file says
  std::vector<std::string> frozen;
};
/// An error for each name that no parameter has, and where no parameter is left.
void checkTrained(const TrainedParameters &trained, const Module &module, Diagnostics &diag);

/// "groups" of "train", and what the command line says.
struct ParameterRules {
  struct Group {
    std::string match;
    const Json *json = nullptr;
  };
  std::vector<Group> groups;
  TrainedParameters trained;
};
ParameterRules readParameterRules(const JsonDocument &document, TrainedParameters trained);

/// "normalize" of "data": (x - mean) / std of one input.
struct Normalization {
  size_t input = 0;
  std::vector<float> mean, std; // one, or one per channel
};

/// The attributes of a declaration. `json` is the parameter's own object or null. `init` is the initialiser, with its
/// defaults, where the object names none; empty: uniform within 1/sqrt(fan_in). An error's text where the values of
/// an initialiser do not fit the shape.
Rule<Dict> parameterAttrs(const std::string &name, const Shape &shape, Fans fans, const Json *json,
                          const ParameterRules &rules, std::string_view init = {});

/// What the runtime has to know of a declaration. Declarations that carry no init start at U(±1/√fan_in).
VariableSpec variableSpec(const Variable &variable);

} // namespace gradc
