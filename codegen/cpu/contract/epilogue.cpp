#include "codegen/cpu/contract/epilogue.h"

#include <algorithm>

#include "codegen/cpu/interleave.h"
#include "ir/contraction.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Operands of the epilogue that are larger than this are prefetched while the tile is computed, if they are parameters
/// and momenta: those will be written too, and another thread may have read them.
constexpr int64_t kPrefetchBytes = 32 << 10;

} // namespace

void EpilogueStore::begin(llvm::Value *buffers) {
  emitter_ = std::make_unique<ElementEmitter>(k_.e, k_.fn, k_.region());
  pointers_.clear();
  for (size_t i = 0; i < k_.body().args.size(); ++i) {
    pointers_.push_back(pointer(buffers, k_.operandBuffer(static_cast<int>(i))));
    emitter_->bindBuffer(k_.body().args[i], pointers_.back());
  }
  results_.clear();
  for (size_t i = 0; i < k_.body().yields.size(); ++i)
    if (!isOfAnother(k_.body().yields[i]))
      results_.push_back(resultOf(static_cast<int>(i), buffers));
}

bool EpilogueStore::isOfAnother(ValueId value) const {
  return std::ranges::any_of(k_.body().ops, [&](OpId op) {
    return k_.fn[op].def->is(kContraction) && op != k_.fn[sum_].def &&
           descendants(k_.fn, k_.region(), op)[index(value)];
  });
}

EpilogueStore::Result EpilogueStore::resultOf(int number, llvm::Value *buffers) {
  Result result{number, k_.body().yields[number], {}, pointer(buffers, k_.resultBuffer(number))};
  while (k_.fn[result.value].def != kNoOp && k_.fn[k_.fn[result.value].def].def->is(kMovement) &&
         k_.fn[k_.fn[result.value].def].def->name != "broadcast") {
    result.moves.insert(result.moves.begin(), k_.fn[result.value].def);
    result.value = k_.fn[k_.fn[result.value].def].operands[0];
  }
  return result;
}

bool EpilogueStore::prefetches() const {
  return std::ranges::any_of(k_.body().args, [&](ValueId arg) { return isFar(arg); });
}

bool EpilogueStore::isFar(ValueId arg) const {
  const OpData &contraction = k_.fn[k_.fn[sum_].def];
  const bool ofWeights = contraction.def->name == "matmul" && contraction.attrs.flag("transpose_a");
  return (k_.fn.type(sum_).layout.empty() || ofWeights) && isLarge(arg);
}

/// The epilogue reads the operand at the result's index, and it is too large to be near.
bool EpilogueStore::isLarge(ValueId arg) const {
  const Type &type = k_.fn.type(sum_);
  return k_.fn.type(arg) == type && storageBytes(type) > kPrefetchBytes && feedsEpilogue(arg);
}

void EpilogueStore::prefetch(std::span<const TileVector> tile) {
  const Type &type = k_.fn.type(sum_);
  for (size_t i = 0; i < pointers_.size(); ++i)
    if (isFar(k_.body().args[i]))
      for (const TileVector &vector : tile)
        prefetchElement(type, pointers_[i], vector.at);
}

void EpilogueStore::prefetchResult(const LaneIndex &at) {
  for (const Result &result : results_)
    prefetchElement(typeOf(result), result.pointer, placeOf(result, at));
}

void EpilogueStore::prefetchPlace(const LaneIndex &at) {
  for (size_t i = 0; i < pointers_.size(); ++i)
    if (isLarge(k_.body().args[i]))
      prefetchElement(k_.fn.type(sum_), pointers_[i], at);
  prefetchResult(at);
}

void EpilogueStore::prefetchElement(const Type &type, llvm::Value *memory, const LaneIndex &at) {
  emitPrefetch(k_.e, emitter_->pointerTo(type, memory, emitter_->address(type, at)), Cache::L1, true);
}

void EpilogueStore::store(std::span<const TileVector> finished) {
  std::vector<TileVector> tile(finished.begin(), finished.end());
  for (TileVector &vector : tile)
    maskExamples(vector.at);
  emitter_->bindValue(sum_, [&](const LaneIndex &at) {
    for (const TileVector &vector : tile)
      if (vector.at == at)
        return vector.lanes;
    CHECK(false, "the epilogue reads another element than it computes");
  });
  constexpr int64_t kTogether = 4;
  const int64_t together = isLong() ? kTogether : 1, count = std::ssize(tile);
  for (int64_t first = 0; first < count; first += together)
    emitInterleaved(k_.e, std::min(together, count - first),
                    [&](int64_t i) { storeVector(tile[first + i].at); });
  emitter_->unbind(sum_);
}

/// Elementary functions are some dozens of instructions.
bool EpilogueStore::isLong() const {
  constexpr Leaf kLong[] = {Leaf::Exp, Leaf::Log, Leaf::Tanh, Leaf::Erf, Leaf::Pow};
  return std::ranges::any_of(k_.fn[k_.region()].ops, [&](OpId id) {
    const OpData &op = k_.fn[id];
    if (!op.def->scalar)
      return false;
    const ScalarProgram program = scalarProgram(*op.def, withDefaults(*op.def, op.attrs));
    return std::ranges::any_of(program.nodes, [&](const ScalarNode &node) {
      return std::ranges::find(kLong, node.leaf) != std::end(kLong);
    });
  });
}

/// In the last block of n16 the epilogue must not read other operands beyond the batch.
void EpilogueStore::maskExamples(LaneIndex &at) {
  const Type &type = k_.fn.type(sum_);
  if (hasPadding(type) && !at.mask)
    at.mask = emitter_->math.lessThan(at.groups[0].at, type.shape[0]);
}

/// All yields before the first store: a result may lie where an operand lies.
void EpilogueStore::storeVector(const LaneIndex &at) {
  Values values;
  for (const Result &result : results_)
    values.push_back(emitter_->emit(result.value, at));
  for (size_t i = 0; i < values.size(); ++i)
    emitter_->store(typeOf(results_[i]), results_[i].pointer, placeOf(results_[i], at), values[i]);
}

LaneIndex EpilogueStore::placeOf(const Result &result, LaneIndex at) {
  for (OpId move : result.moves)
    at = movedTo(*emitter_, move, at);
  return at;
}

llvm::Value *EpilogueStore::pointer(llvm::Value *buffers, int number) {
  return k_.e.b.CreateAlignedLoad(k_.e.b.getPtrTy(), k_.e.offset(buffers, 8 * int64_t{number}),
                                  llvm::Align(8));
}

bool EpilogueStore::feedsEpilogue(ValueId arg) const {
  const OpId contraction = k_.fn[sum_].def;
  return std::ranges::any_of(k_.fn[k_.region()].ops, [&](OpId op) {
    return op != contraction && std::ranges::count(k_.fn[op].operands, arg) != 0;
  });
}

} // namespace gradc
