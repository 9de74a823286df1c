// How one factor's part of a slab gets from memory into shared memory, where it lies as [step][index] with a pitch of
// four more than there are indices: so that a warp meets no bank twice, be it that it copies 32 indices of a step, or
// eight steps of four indices, or that tensor cores read eight indices of every second step.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "codegen/cuda/tile_operand.h"
#include "codegen/cuda/tile_steps.h"
#include "support/cuda_tiling.h"

namespace gradc {

constexpr int cudaTilePitch(int indices) { return indices + 4; }

/// What stands for a tap that is absent.
struct CudaAbsence {
  std::string hole = "0"; // where nothing is multiplied; beyond the last step, too
  std::string flag = {};  // a number of the text that a hole makes 0; empty: nobody asks
};

/// Whether indices lack taps and all steps of a slab are of one: then a mask of taps says of an index which slabs it takes
/// part in.
bool cudaHasTapMasks(const TileOperand &operand);

class CudaTileCopies {
public:
  /// Of `size` indices from number `first` on. Asynchronous copies go to shared memory by themselves, others by registers.
  CudaTileCopies(CudaText &text, CudaTileStepTable &table, TileOperand operand, int size, std::string first,
                 CudaAbsence absence, bool async);

  /// What does not change from slab to slab, the first of which lies at the pointer `shared`.
  void prepare(const std::string &shared);
  /// Starts the copies of a slab that lies so many bytes behind the first.
  void copyAsync(const std::string &slab);
  /// Into registers, and from there to the pointer `to`.
  void fetch();
  void put(const std::string &to) const;

  bool mayBeAbsent() const { return operand_.present != nullptr; }
  bool hasTapMasks() const { return cudaHasTapMasks(operand_); }
  /// Of the taps that indices of the tile have, into an array of the text that holds several masks in a word.
  void writeTapMasks(const std::vector<std::string> &indices, const std::string &masks) const;
  /// Not 0 where mask `number` has the tap, which is given as bit 1 << tap.
  std::string inMask(const std::string &masks, int number, const std::string &tap) const;
  /// Slabs of one tap.
  int64_t slabsOfTap() const { return operand_.loops.back() / kCudaTileDepth; }

private:
  bool copiesFour() const { return operand_.vectors; }
  int indicesAtOnce() const { return copiesFour() ? size_ : std::min(size_, kWarp); }
  int stepsAtOnce() const;
  int threads() const;
  std::string thread(std::string_view sign, int by) const;
  std::string firstStep(int row) const;
  std::string indexOf(std::string_view inTile) const;
  void prepareSteps();

  /// A copy of the thread, by its place among those of a slab.
  struct Copy {
    int row, part, number;
    TilePart k;         // of its step
    std::string source; // a pointer
  };
  void forEachCopy(const std::function<void(const Copy &)> &write, bool readsMemory,
                   const std::function<void()> &after = {}) const;
  /// The condition on which the element is there, and what stands for it where it is not: a hole, on a condition.
  struct Presence {
    std::string condition, otherwise, isHole;
  };
  int64_t taps() const { return operand_.loops[0] * operand_.loops[1]; }
  int masksInWord() const { return static_cast<int>(32 / taps()); }
  int firstBit(int number) const { return static_cast<int>(number % masksInWord() * taps()); }
  TilePart stepOf(size_t row) const;
  std::string tapBit() const;
  Presence presenceOf(const Copy &copy) const;
  std::string there(const Presence &presence);
  std::string destination(const Copy &copy, const std::string &slab) const;

  static constexpr int kWarp = 32, kStepsSideBySide = 8;
  CudaText &t_;
  CudaTileStepTable &table_;
  TileOperand operand_;
  int size_;
  std::string first_;
  CudaAbsence absence_;
  bool async_;
  bool aligned_; // steps are one number of the block and one of the thread (cudaStepsAlign)
  std::vector<TilePart> parts_ = {};   // of the thread's indices
  std::vector<std::string> from_ = {}; // pointers to them
  std::string place_ = {};             // in a slab, of the thread's first copy
  std::vector<const CudaTileSteps *> steps_ = {};
  std::vector<std::string> rows_ = {};   // where steps align, from the thread's first step to its others
  std::vector<std::string> inSlab_ = {}; // the place of the first
  std::string masks_ = {};
  std::string next_ = {}; // registers
};

} // namespace gradc
