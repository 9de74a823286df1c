// Which step of the depth a thread copies, as the place in the loops that the depth is made of: kernel height, kernel
// width, channel. They run on by one slab like an odometer, so that no slab costs divisions.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <vector>

#include "codegen/cuda/text.h"

namespace gradc {

/// Of non-negative numbers, so that a division by a constant costs no more than it must.
std::string cudaQuotient(std::string_view value, int64_t divisor);
std::string cudaRemainder(std::string_view value, int64_t divisor);

/// Whether the place of any step of a slab is the place of the slab's first step plus the place of its number in the slab,
/// loop by loop: then what steps contribute to an address is one number of the block and one of the thread.
bool cudaStepsAlign(std::span<const int64_t> loops);
/// The place of a slab's step, given as a text, where steps align; "0" for the loops further out.
std::vector<std::string> cudaPlaceInSlab(std::string_view step, std::span<const int64_t> loops);

class CudaTileSteps {
public:
  /// Declares the place of step `first`.
  CudaTileSteps(CudaText &text, std::string_view first, std::vector<int64_t> loops);

  /// Numbers of the place, outermost first; "0" where a loop has one turn.
  std::span<const std::string> place() const { return place_; }
  /// A condition: the step is not beyond the last. Empty: always.
  std::string exists() const;
  /// Writes the way to the same step of the next slab.
  void advance() const;

private:
  CudaText &t_;
  std::vector<int64_t> loops_;
  std::vector<std::string> place_;
  bool ends_ = false; // within a slab
};

/// The steps of a block's threads; factors that are copied alike share them.
class CudaTileStepTable {
public:
  explicit CudaTileStepTable(CudaText &text) : t_(text) {}
  const CudaTileSteps &of(const std::string &first, const std::vector<int64_t> &loops);
  void advance() const;
  /// Forgets all; the first slab begins at step `start` of the depth, a number of the text. Empty: at 0.
  void begin(std::string start) {
    entries_.clear();
    start_ = std::move(start);
  }

private:
  struct Entry {
    std::string first;
    std::vector<int64_t> loops;
    CudaTileSteps steps;
  };
  CudaText &t_;
  std::deque<Entry> entries_; // stay where they are
  std::string start_ = {};
};

} // namespace gradc
