// What a stand-alone executable knows of its model beside its programs, as JSON in its data: gradc writes it when it
// compiles, the executable reads it when it starts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/model_facts.h"
#include "support/result.h"

namespace gradc {

struct ModelImage {
  ModelFacts facts;
  std::vector<VariableSpec> slots; // that the optimizer adds
  std::string identity;            // Host::identity
  std::string summary;             // Host::summary
  std::string weightsFile;         // name of the weights beside the executable; empty: none
};

std::string toJson(const ModelImage &image);
/// Fails on what toJson did not write.
StatusOr<ModelImage> parseModelImage(std::string_view text);

} // namespace gradc
