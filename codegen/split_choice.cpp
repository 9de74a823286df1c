#include "codegen/split_choice.h"

#include <algorithm>
#include <map>

#include "ir/contraction.h"
#include "ir/layout.h"
#include "ir/plan.h"
#include "runtime/abi.h"

namespace gradc {
namespace {

constexpr double kCacheToCache = 14e9;         // bytes a second that another core's cache has written
constexpr int64_t kInCache = int64_t{1} << 20; // more than that has left the other's cache
constexpr double kFork = GRADC_SPLIT_SECONDS / 2;

/// The kernels, and what one computes and another reads.
class Choice {
public:
  Choice(const Function &fn, std::span<const KernelTime> kernels) : kernels_(kernels), near_(kernels.size()) {
    std::map<ValueId, size_t> writers;
    for (size_t i = 0; i < kernels.size(); ++i) {
      const OpData &op = fn[kernels[i].kernel];
      products_.push_back(isContractionKernel(op) && fn.type(op.results[0]).rank() == 2);
      for (ValueId operand : op.operands)
        if (const auto writer = writers.find(rootOfViews(fn, operand)); writer != writers.end())
          connect(writer->second, i, std::min(storageBytes(fn.type(operand)), kInCache));
      for (ValueId result : op.results)
        writers[result] = i;
    }
  }

  /// The long ones are shared.
  std::vector<bool> ofLength() const {
    std::vector<bool> shared;
    for (size_t i = 0; i < kernels_.size(); ++i)
      shared.push_back(isLong(i));
    return shared;
  }

  /// Changes single kernels as long as that makes the program faster.
  std::vector<bool> improved(std::vector<bool> shared) const {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t i = shared.size(); i-- > 0;) {
        const bool better =
            products_[i] ? isLong(i)
                         : kernels_[i].divisible && secondsOf(i, true, shared) < secondsOf(i, false, shared);
        changed |= better != shared[i];
        shared[i] = better;
      }
    }
    return shared;
  }

  double seconds(const std::vector<bool> &shared) const {
    double sum = 0;
    for (size_t i = 0; i < shared.size(); ++i)
      sum += ownSeconds(i, shared[i]) + fetching(i, shared[i], shared) / 2; // both ends count it
    return sum;
  }

private:
  struct Neighbour {
    size_t kernel;
    double seconds; // that it takes to fetch what one of them has written
  };

  bool isLong(size_t i) const { return kernels_[i].divisible && kernels_[i].seconds >= GRADC_SPLIT_SECONDS; }

  /// Threads that share a product of matrices compute columns of all examples and read all of an operand, so half of it
  /// is fetched whatever the kernel at the other end does.
  void connect(size_t writer, size_t reader, int64_t bytes) {
    if ((products_[writer] && isLong(writer)) || (products_[reader] && isLong(reader)))
      return;
    const double seconds = static_cast<double>(bytes) / 2 / kCacheToCache;
    near_[writer].push_back({reader, seconds});
    near_[reader].push_back({writer, seconds});
  }

  double ownSeconds(size_t i, bool isShared) const {
    return isShared ? kernels_[i].seconds / 2 + kFork : kernels_[i].seconds;
  }
  double fetching(size_t i, bool isShared, const std::vector<bool> &shared) const {
    double sum = 0;
    for (const Neighbour &neighbour : near_[i])
      sum += shared[neighbour.kernel] != isShared ? neighbour.seconds : 0;
    return sum;
  }
  double secondsOf(size_t i, bool isShared, const std::vector<bool> &shared) const {
    return ownSeconds(i, isShared) + fetching(i, isShared, shared);
  }

  std::span<const KernelTime> kernels_;
  std::vector<std::vector<Neighbour>> near_;
  std::vector<bool> products_; // whether it is one of matrices
};

} // namespace

std::vector<bool> sharedKernels(const Function &fn, std::span<const KernelTime> kernels) {
  const Choice choice(fn, kernels);
  const std::vector<bool> fromOne = choice.improved(std::vector<bool>(kernels.size())),
                          fromLong = choice.improved(choice.ofLength());
  return choice.seconds(fromOne) <= choice.seconds(fromLong) ? fromOne : fromLong;
}

} // namespace gradc
