// The way of a module through the compiler.
#pragma once

#include "passes/pass.h"

namespace gradc {

/// How products of f32 are computed.
enum class Precision : uint8_t {
  F32,    // fused multiply-adds of f32
  Bf16,   // factors rounded to bf16, sums in f32
  F16,    // factors rounded to f16, sums in f32
  Tf32,   // factors rounded to 10 bits of mantissa, sums in f32
  F32Amx, // each factor as a sum of three bf16, where that pays: more exact than F32
};

/// As --precision and checkpoints name it: "f32", "bf16", "f16", "tf32", "f32-amx".
std::string_view precisionName(Precision precision);

struct PipelineOptions {
  bool train = false; // make @train_step of @loss
  Precision precision = Precision::F32;
  bool cuda = false; // kernels for a CUDA device: row-major throughout
  bool pack = false; // on CPUs: variables may lie in the layout of their kernels (pass `layout`)
  Dict schedule; // options of the pass `schedule`, or `schedule-cuda`: what the target has
};

/// From the frontend's functions to planned kernels.
Pipeline buildPipeline(const PipelineOptions &options);

/// The part of a pipeline up to the last use of the pass of that name; empty where it is not used.
Pipeline upTo(const Pipeline &pipeline, std::string_view pass);

} // namespace gradc
