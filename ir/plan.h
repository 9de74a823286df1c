// Where the values of a planned function lie: the form of what plan-memory writes, read by the interpreter's
// memory mode, the plan verifier, code generation and `gradc explain --memory`.
//
//   func @f(%w: f32[4] {var = @w}, %x: f32[4] {input}) -> (f32[4] {var = @w}, f32[]) attributes {arena = 64}
//   {
//     %t, %s = kernel(%w, %x) {kind = map, place = [{arena = 0}, {result = 1}]} …
//     %u = kernel(%t, %w) {kind = map, place = [{var = @w}]} …
//
// One entry per result of the kernel: {arena = OFFSET} bytes into the arena, a multiple of 64; {var = @NAME}
// the memory of a variable; {result = N} the function's N-th result. {arg = N} is where the N-th argument
// lies, and stands on views only. Arguments lie at {var = @NAME} where they are a variable's, else at {arg =
// N}.
//
// Kernels of one launch run at once, in any order: none may touch what another one writes.
//
// A result may take the place of an operand that dies in its kernel, if the kernel reads the operand only at
// the element that it then writes (elementwiseSafe). Code generation keeps its side of that: it computes all
// results of an element before it stores the first, and keeps intermediate sums out of result memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ir/ir.h"
#include "support/diagnostics.h"

namespace gradc {

struct Place {
  enum class Space : uint8_t { Arena, Var, Arg, Result };
  Space space = Space::Arena;
  int64_t number = 0; // Arena: offset in bytes; Arg, Result: index
  std::string var;    // Var: name, without '@'

  bool operator==(const Place &) const = default;
};

inline constexpr int64_t kPlaceAlignment = 64;
inline constexpr std::string_view kPlaceAttr = "place"; // of a kernel: a list, one entry per result
inline constexpr std::string_view kLaunchAttr =
    "launch";                                           // of a kernel: neighbours with one number run at once
inline constexpr std::string_view kArenaAttr = "arena"; // of a function: bytes of its arena

std::string toString(const Place &place); // "arena:128", "var:@w", "arg:0", "result:2"
Attr toAttr(const Place &place);
std::optional<Place> parsePlace(const Attr &attr);

/// True when plan-memory has run on the function.
bool isPlanned(const Function &fn);
/// The number of the launch that the kernel shares with its neighbours; -1: it runs alone.
int64_t launchOf(const Function &fn, OpId kernel);
/// By position in the body, the moment at which an op runs: kernels of one launch have the same.
std::vector<int64_t> momentsOf(const Function &fn);
/// Where an argument of the function lies, and where a result must.
Place argumentPlace(const Function &fn, int argument);
Place resultPlace(const Function &fn, size_t result);
/// By value id: the places of arguments and of the results of kernels whose `place` is well formed.
std::vector<std::optional<Place>> placesOfValues(const Function &fn);

/// A kernel that only gives memory another shape: its region is empty or a chain of reshapes that keep the
/// storage, and every result is yielded from an argument. Where its places are its operands' places, it takes
/// no step.
bool isView(const Function &fn, OpId kernel);
/// The value that is shown, through views of one operand.
ValueId rootOfViews(const Function &fn, ValueId v);
/// A view whose results lie where their operands lie: code generation emits nothing.
bool takesNoStep(const Function &fn, OpId kernel);

/// True when every element of the kernel's operand is read only where the element at the same address of any
/// result is computed, so that a result of the same storage may be written over it.
bool elementwiseSafe(const Function &fn, OpId kernel, int operand, int result);

/// Checks a planned function: places well formed, no value overwritten while it is still read (live ranges in
/// the arena, donated variables), in-place results legal, results where they are returned. verify() calls it.
Result<void> verifyPlan(const Function &fn, Diagnostics &diag);

} // namespace gradc
