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

private:
  bool copiesFour() const { return operand_.vectors; }
  int indicesAtOnce() const { return copiesFour() ? size_ : std::min(size_, kWarp); }
  int stepsAtOnce() const;
  int threads() const;
  std::string thread(std::string_view sign, int by) const;
  std::string firstStep(int row) const;

  /// A copy of the thread, by its place among those of a slab.
  struct Copy {
    int row, part, number;
  };
  void forEachCopy(const std::function<void(const Copy &, const TilePart &k)> &write, bool readsMemory) const;
  /// The condition on which the element is there, and what stands for it where it is not: a hole, on a condition.
  struct Presence {
    std::string condition, otherwise, isHole;
  };
  Presence presenceOf(const Copy &copy, const TilePart &k) const;
  std::string there(const Presence &presence);
  std::string source(const Copy &copy, const TilePart &k) const;
  std::string destination(const Copy &copy, const std::string &slab) const;

  static constexpr int kWarp = 32, kStepsSideBySide = 8;
  CudaText &t_;
  CudaTileStepTable &table_;
  TileOperand operand_;
  int size_;
  std::string first_;
  CudaAbsence absence_;
  bool async_;
  std::vector<TilePart> parts_ = {};   // of the thread's indices
  std::vector<std::string> from_ = {}; // pointers to them
  std::string place_ = {};             // in a slab, of the thread's first copy
  std::vector<const CudaTileSteps *> steps_ = {};
  std::string next_ = {}; // registers
};

} // namespace gradc
