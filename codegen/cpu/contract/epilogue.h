// What a contract kernel does with the elements of its contraction: the other ops of its region, and the stores.
#pragma once

#include <memory>

#include "codegen/cpu/contract/tile_kernel.h"
#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/kernel.h"

namespace gradc {

/// Evaluates the region's yields with the contraction's result bound to the accumulators, and stores them, but for those
/// that are made of another contraction.
class EpilogueStore : public TileStore {
public:
  EpilogueStore(KernelContext &k, ValueId sum) : k_(k), sum_(sum) {}

  void begin(llvm::Value *buffers) override;
  /// Something is worth to be fetched early.
  bool prefetches() const;
  void prefetch(std::span<const TileVector> tile) override;
  void prefetchResult(const LaneIndex &at) override;
  void prefetchPlace(const LaneIndex &at) override;
  void store(std::span<const TileVector> tile) override;
  bool isLong() const override;

private:
  void maskExamples(LaneIndex &at);
  void storeVector(const LaneIndex &at);
  void prefetchElement(const Type &type, llvm::Value *memory, const LaneIndex &at);
  llvm::Value *pointer(llvm::Value *buffers, int number);
  bool isFar(ValueId arg) const;
  bool isLarge(ValueId arg) const;
  bool feedsEpilogue(ValueId arg) const;
  bool isOfAnother(ValueId value) const;

  KernelContext &k_;
  ValueId sum_;
  std::unique_ptr<ElementEmitter> emitter_;
  /// A result: the last value at the contraction's index, and the reshapes and transposes that it is stored through.
  struct Result {
    int number; // of the kernel's results
    ValueId value;
    std::vector<OpId> moves;
    llvm::Value *pointer;
  };
  Result resultOf(int number, llvm::Value *buffers);
  const Type &typeOf(const Result &result) const { return k_.fn.type(k_.body().yields[result.number]); }
  LaneIndex placeOf(const Result &result, LaneIndex at);
  Values pointers_;
  std::vector<Result> results_;
};

} // namespace gradc
