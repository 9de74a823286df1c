// The way of a module through the compiler.
#pragma once

#include "passes/pass.h"

namespace gradc {

struct PipelineOptions {
  bool train = false; // make @train_step of @loss
  Dict schedule;      // options of the pass `schedule`: what the target has
};

/// From the frontend's functions to planned kernels.
Pipeline buildPipeline(const PipelineOptions &options);

/// The part of a pipeline up to the last use of the pass of that name; empty where it is not used.
Pipeline upTo(const Pipeline &pipeline, std::string_view pass);

} // namespace gradc
