#include "codegen/split_choice.h"

#include <algorithm>
#include <map>

#include "ir/layout.h"
#include "ir/plan.h"
#include "runtime/abi.h"

namespace gradc {
namespace {

constexpr double kCacheToCache = 14e9;         // bytes a second that another core's cache has written
constexpr int64_t kInCache = int64_t{1} << 20; // more than that has left the other's cache

} // namespace

std::vector<bool> keptByOneThread(const Function &fn, std::span<const KernelTime> kernels) {
  std::vector<bool> kept(kernels.size());
  std::map<ValueId, double> readByOne; // bytes, as often as one thread reads them
  for (size_t i = kernels.size(); i-- > 0;) {
    const OpData &op = fn[kernels[i].kernel];
    double bytes = 0;
    for (ValueId v : op.results)
      bytes += readByOne[v];
    const double saved = kernels[i].seconds / 2, lost = bytes / 2 / kCacheToCache;
    const bool isShort = kernels[i].seconds < GRADC_SPLIT_SECONDS;
    kept[i] = !isShort && lost > saved;
    if (isShort || kept[i])
      for (ValueId operand : op.operands)
        readByOne[rootOfViews(fn, operand)] +=
            static_cast<double>(std::min(storageBytes(fn.type(operand)), kInCache));
  }
  return kept;
}

} // namespace gradc
