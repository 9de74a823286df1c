// The value of any op of a kernel's region at a logical index, as CUDA text for one thread. This is the one place that
// knows what ops mean in CUDA; map, rows and contract kernels are loops around it.
//
// - Elementwise ops follow their scalar program leaf by leaf; each leaf rounds once (compiled with --fmad=false).
// - Movement ops are maps of the index (codegen/cuda/index.h), region arguments loads.
// - Window ops, reductions and contractions that nobody bound are computed on the spot, by loops in the order of
//   ir/order.h: slow, but every legal graph compiles.
// - A thread may compute a group of neighbours, the lanes of the index: what they load together is one vector load.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cuda/index.h"
#include "codegen/cuda/text.h"
#include "ir/ir.h"
#include "ir/scalar.h"

namespace gradc {

class CudaElements {
public:
  CudaElements(CudaText &text, const Function &fn, RegionId region);

  /// The memory of a region argument, in the layout of its type: the name of a pointer.
  void bindBuffer(ValueId arg, std::string pointer);
  /// A function of the index in place of a value's computation: an accumulator. Forgets all that was computed.
  using ValueAt = std::function<std::string(const CudaIndices &)>;
  void bindValue(ValueId value, ValueAt at);
  void unbind(ValueId value);
  /// A value that is finished, the same at whatever index it is asked for. Nothing that depends on it may have been
  /// computed, so what has been stays known.
  void bindFinished(ValueId value, std::string expression);

  /// A name or a literal. What it needs is written into the text's block before.
  std::string emit(ValueId value, const CudaIndices &at);

  /// Assigns `value` to element `at` of a tensor.
  void store(const Type &type, std::string_view pointer, const CudaIndices &at, std::string_view value);
  /// Assigns one value per lane; together where the lanes are neighbours in memory.
  void storeLanes(const Type &type, std::string_view pointer, const CudaIndices &at,
                  std::span<const std::string> values);
  /// The number of an element in memory.
  CudaIndex address(const Type &type, const CudaIndices &at);

  /// What several elements share: computed once for an index, which may be of another shape.
  std::string once(OpId op, const CudaIndices &at, const std::function<std::string()> &compute);

  /// A block of text. What was computed inside is forgotten at its end.
  void block(std::string_view head, const std::function<void()> &body);
  /// for (int name = 0; name < count; ++name); a single iteration needs no loop. `unroll`: all of it.
  void loop(std::string_view name, int64_t count, const std::function<void(const CudaIndex &)> &body,
            bool unroll = false);
  /// `if (condition)`, or no more than the body where it is empty; nothing where it is "false".
  void when(std::string_view condition, const std::function<void()> &body);
  /// A variable of the element's type; gives its name.
  std::string variable(DType dtype, std::string_view base, std::string_view start);

  CudaText &text;
  CudaIndexMath math;
  const Function &fn;
  int lanes = 1; // neighbours that a thread computes: vector loads have so many elements

private:
  std::string compute(ValueId value, const CudaIndices &at);
  std::string elementwise(OpId op, const CudaIndices &at);
  std::string load(ValueId arg, const std::string &pointer, const CudaIndices &at);

  struct Key {
    uint32_t id; // of a value, or of an op
    bool shared; // an op's once()
    int lane;    // -1: the same for all
    CudaIndices at;
    auto operator<=>(const Key &) const = default;
  };
  std::string remembered(uint32_t id, bool shared, const CudaIndices &at,
                         const std::function<std::string()> &compute);
  std::map<ValueId, std::string> buffers_;
  std::map<ValueId, ValueAt> bound_;
  // What the block's text has computed.
  std::map<Key, std::string> values_;
  std::map<std::pair<std::string, CudaIndex>, std::string> vectors_; // loads of a group, by pointer
};

/// Conditions joined by &&; empty: always.
class CudaCondition {
public:
  void require(const std::string &condition);
  const std::string &text() const { return text_; }
  bool always() const { return text_.empty(); }
  bool never() const { return text_ == "false"; }

private:
  std::string text_;
};

/// How ops that are not elementwise become text, one row per op.
struct CudaElementRule {
  std::string_view op;
  std::string (*emit)(CudaElements &m, OpId op, const CudaIndices &at);
};
std::span<const CudaElementRule> cudaMovementRules();    // movement.cpp
std::span<const CudaElementRule> cudaGeneratorRules();   // generator.cpp: constant, iota, random_uniform
std::span<const CudaElementRule> cudaWindowRules();      // window.cpp
std::span<const CudaElementRule> cudaReductionRules();   // reduction.cpp: computed on the spot
std::span<const CudaElementRule> cudaContractionRules(); // contraction_here.cpp, likewise

/// One leaf of a scalar program on expressions of `dtype`; comparisons give bools.
std::string cudaLeaf(Leaf leaf, DType dtype, std::span<const std::string> args);
/// Conversion between element types as the op `cast` defines it.
std::string cudaCast(std::string_view value, DType from, DType to);

} // namespace gradc
