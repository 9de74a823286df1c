#include "codegen/nests.h"

#include <algorithm>

namespace gradc {

std::vector<Nest> nestsOf(const Function &fn, RegionId region) {
  std::vector<Nest> nests;
  const std::vector<ValueId> &yields = fn[region].yields;
  for (size_t i = 0; i < yields.size(); ++i) {
    const Type &type = fn.type(yields[i]);
    auto same = [&](const Nest &nest) {
      return nest.type.shape == type.shape && nest.type.layout == type.layout;
    };
    auto found = std::ranges::find_if(nests, same);
    if (found == nests.end())
      found = nests.insert(nests.end(), {type, {}});
    found->results.push_back(static_cast<int>(i));
  }
  return nests;
}

} // namespace gradc
