#include "codegen/cuda/tile_steps.h"

#include <functional>
#include <numeric>

#include "support/cuda_tiling.h"

namespace gradc {

std::string cudaQuotient(std::string_view value, int64_t divisor) {
  return divisor == 1 ? std::string(value) : fmt::format("int(unsigned({}) / {})", value, divisor);
}
std::string cudaRemainder(std::string_view value, int64_t divisor) {
  return divisor == 1 ? "0" : fmt::format("int(unsigned({}) % {})", value, divisor);
}

bool cudaStepsAlign(std::span<const int64_t> loops) {
  int64_t within = 1;
  for (size_t i = loops.size(); i-- > 0; within *= loops[i])
    if (kCudaTileDepth % within == 0 && within * loops[i] % kCudaTileDepth == 0)
      return i > 0 || loops.size() == 1;
  return false;
}

std::vector<std::string> cudaPlaceInSlab(std::string_view step, std::span<const int64_t> loops) {
  std::vector<std::string> place(loops.size(), "0");
  int64_t within = 1;
  for (size_t i = loops.size(); i-- > 0 && within < kCudaTileDepth; within *= loops[i]) {
    const std::string turns = cudaQuotient(step, within);
    place[i] = within * loops[i] >= kCudaTileDepth ? turns : cudaRemainder(turns, loops[i]);
  }
  return place;
}

CudaTileSteps::CudaTileSteps(CudaText &text, std::string_view first, std::vector<int64_t> loops)
    : t_(text), loops_(std::move(loops)) {
  int64_t within = std::accumulate(loops_.begin(), loops_.end(), int64_t{1}, std::multiplies<>());
  ends_ = within % kCudaTileDepth != 0; // the outermost runs beyond its end
  for (size_t i = 0; i < loops_.size(); ++i) {
    within /= loops_[i];
    const std::string turns = cudaQuotient(first, within);
    if (loops_[i] == 1 && (i > 0 || !ends_)) {
      place_.emplace_back("0");
      continue;
    }
    place_.push_back(t_.name("at_step"));
    t_.line("int {} = {};", place_.back(), i == 0 ? turns : cudaRemainder(turns, loops_[i]));
  }
}

std::string CudaTileSteps::exists() const {
  return ends_ ? fmt::format("{} < {}", place_[0], loops_[0]) : "";
}

void CudaTileSteps::advance() const {
  int64_t left = kCudaTileDepth;
  std::string carry;
  for (size_t i = loops_.size(); i-- > 0;) {
    if (place_[i] == "0") // goes round with each step: what comes from within goes on outwards
      continue;
    const int64_t add = i == 0 ? left : left % loops_[i];
    left /= loops_[i];
    if (add == 0 && carry.empty())
      continue;
    t_.line("{} += {}{}{};", place_[i], add == 0 ? "" : std::to_string(add),
            add == 0 || carry.empty() ? "" : " + ", carry);
    if (i == 0)
      return;
    carry = t_.define("int", "carry", fmt::format("{} >= {}", place_[i], loops_[i]));
    t_.line("{0} -= {1} ? {2} : 0;", place_[i], carry, loops_[i]);
  }
}

const CudaTileSteps &CudaTileStepTable::of(const std::string &first, const std::vector<int64_t> &loops) {
  for (const Entry &entry : entries_)
    if (entry.first == first && entry.loops == loops)
      return entry.steps;
  const std::string step = start_.empty() ? first : start_ + " + " + first;
  return entries_.emplace_back(first, loops, CudaTileSteps(t_, step, loops)).steps;
}

void CudaTileStepTable::advance() const {
  for (const Entry &entry : entries_)
    entry.steps.advance();
}

} // namespace gradc
