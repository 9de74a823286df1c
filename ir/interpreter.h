// The reference interpreter: it defines what a function means. Plain loops, double accumulation, one tensor per
// value, every op through its row's eval (or its scalar program, or its expansion).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "ir/ir.h"

namespace gradc {

/// Runs `fn` on `arguments` (in order; types must match, CHECK) and returns its results.
/// `observe`, where given, sees every value of the function's body as soon as it is computed.
using Observer = std::function<void(ValueId, const Tensor &)>;
std::vector<Tensor> interpret(const Module &module, const Function &fn, std::span<const Tensor> arguments,
                              const Observer &observe = {});

/// Runs a planned function at the addresses that plan-memory chose: values live in one arena of bytes, donated
/// arguments are overwritten in place, and bytes are poisoned once their value is dead. Equal results to
/// interpret() mean that no live value was overwritten on this input.
Result<std::vector<Tensor>> interpretInMemory(const Module &module, const Function &fn,
                                              std::span<const Tensor> arguments, Diagnostics &diag);

/// Runs a region on the values of its arguments and returns what it yields.
std::vector<Tensor> interpretRegion(const Module &module, const Function &fn, RegionId region,
                                    std::span<const Tensor> arguments);

/// Runs one op on tensors.
std::vector<Tensor> evalOp(const Function &fn, OpId op, std::span<const Tensor *const> operands);

/// The same function with f32 (and bf16, f16) replaced by f64 everywhere: what gradcheck runs.
Module retypeToF64(const Module &module);

} // namespace gradc
