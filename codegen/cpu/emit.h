// What all kernel generators share: one LLVM function under construction, its types, constants and loops.
// Code is made in SSA form, register values in loop phis and not on the stack, so that no LLVM IR pass has to run.
//
// A vector always has 16 lanes, whatever the processor's width: LLVM splits it for narrower ones, so every
// instruction set computes the same bits.
#pragma once

#include <concepts>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Module.h"

#include "codegen/cpu/target.h"
#include "ir/type.h"
#include "support/diagnostics.h"

namespace gradc {

class DebugPlaces;

inline constexpr int kVectorLanes = 16;
using Values = std::vector<llvm::Value *>;

class Emit {
public:
  Emit(llvm::Module &module, const CpuTarget &target)
      : b(module.getContext()), module(module), target(target) {}

  llvm::IRBuilder<> b;
  llvm::Module &module;
  const CpuTarget &target;
  DebugPlaces *debug = nullptr; // null: without debug information

  /// While it lives, instructions are told to come from a place of the model file.
  class At {
  public:
    At(Emit &e, const Location &place);
    ~At() { e_.b.SetCurrentDebugLocation(before_); }
    At(const At &) = delete;
    At &operator=(const At &) = delete;

  private:
    Emit &e_;
    llvm::DebugLoc before_;
  };

  /// Starts `void name(ctx, buffers, begin, end)` (runtime/abi.h) and returns it with the insertion point inside.
  llvm::Function *beginKernel(const std::string &name);
  /// A helper that is never inlined, so that register allocation sees small functions.
  llvm::Function *beginHelper(const std::string &name, std::span<llvm::Type *const> args);
  void endFunction() { b.CreateRetVoid(); }

  llvm::Function *function() { return b.GetInsertBlock()->getParent(); }
  llvm::Value *argument(unsigned i) { return function()->getArg(i); }
  llvm::Value *itemBegin() { return argument(2); }
  llvm::Value *itemEnd() { return argument(3); }
  /// Pointer `number` of the kernel's buffer list; call it in the entry block.
  llvm::Value *buffer(int number);
  /// The worker's scratch memory.
  llvm::Value *scratch();

  /// Memory of this call of the function, for what has an address: tiles of sums that leave the registers.
  llvm::Value *stack(int64_t bytes, uint64_t alignment);

  /// The type of one element in a register (bool: i1) and in memory (bool: i8), and of 16 in registers.
  llvm::Type *scalarType(DType dtype);
  llvm::Type *memoryType(DType dtype);
  llvm::FixedVectorType *vectorType(DType dtype);
  llvm::FixedVectorType *maskType();

  llvm::ConstantInt *i64(int64_t value) { return b.getInt64(static_cast<uint64_t>(value)); }
  llvm::Value *splat(llvm::Value *scalar) { return b.CreateVectorSplat(kVectorLanes, scalar); }
  /// A constant of one dtype in all lanes, rounded to it.
  llvm::Constant *constant(DType dtype, double value);
  llvm::Value *fma(llvm::Value *x, llvm::Value *y, llvm::Value *z);
  /// The first `count` lanes.
  llvm::Constant *laneMask(int count);
  /// Address arithmetic in bytes; folds constants.
  llvm::Value *offset(llvm::Value *pointer, llvm::Value *bytes);
  llvm::Value *offset(llvm::Value *pointer, int64_t bytes);
  // Index arithmetic that folds zeros and ones, so that code stays small without a simplifier.
  llvm::Value *add(llvm::Value *a, llvm::Value *c);
  llvm::Value *mul(llvm::Value *a, int64_t factor);
  llvm::Value *div(llvm::Value *a, int64_t divisor); // of non-negative values
  llvm::Value *mod(llvm::Value *a, int64_t divisor);
  // Signed.
  llvm::Value *atMost(llvm::Value *value, llvm::Value *high);
  llvm::Value *atMost(llvm::Value *value, std::integral auto high) { return atMost(value, i64(high)); }
  llvm::Value *atLeast(llvm::Value *value, llvm::Value *low);
  llvm::Value *atLeast(llvm::Value *value, std::integral auto low) { return atLeast(value, i64(low)); }

  /// Stores zeros over so many vectors of f32.
  void clear(llvm::Value *pointer, llvm::Value *vectors, uint64_t alignment);
  void clear(llvm::Value *pointer, int64_t vectors, uint64_t alignment) {
    clear(pointer, i64(vectors), alignment);
  }

  /// for (i = low; i < high; i += step) with loop-carried values; returns their final values. The body gets i and
  /// the carried values and returns the next ones. `mayBeEmpty` guards the first iteration.
  using Body = std::function<Values(llvm::Value *, const Values &)>;
  Values loop(llvm::Value *low, llvm::Value *high, int64_t step, const Values &carried, const Body &body,
              bool mayBeEmpty = true);
  void loop(llvm::Value *low, llvm::Value *high, int64_t step, const std::function<void(llvm::Value *)> &body,
            bool mayBeEmpty = true);
  /// A loop of `count` iterations, which vanishes for 1.
  void count(int64_t count, const std::function<void(llvm::Value *)> &body);
  Values count(int64_t count, const Values &carried, const Body &body);
};

/// One branch or the other, and what it gives. A rare one is laid out of the way, and registers are kept for the other.
Values emitChoice(Emit &e, llvm::Value *condition, const std::function<Values()> &then,
                  const std::function<Values()> &otherwise, bool thenIsRare = false);
/// Both fall through.
void emitIf(Emit &e, llvm::Value *condition, const std::function<void()> &then,
            const std::function<void()> &otherwise);

/// Fetches the cache line at the address into L1 or, where it is needed later, only into L2.
enum class Cache : uint8_t { L1, L2 };
void emitPrefetch(Emit &e, llvm::Value *address, Cache cache, bool forWriting = false);
inline constexpr int64_t kCacheLine = 64; // bytes

} // namespace gradc
