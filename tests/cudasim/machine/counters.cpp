#include "machine/machine.h"
#include "machine/random.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>

namespace cudasim {
namespace {

constexpr std::string_view kClasses[] = {"integer", "float",  "fma",     "double",  "half",  "special",
                                         "convert", "move",   "compare", "load",    "store", "atomic",
                                         "shuffle", "matrix", "async",   "barrier", "branch"};
static_assert(std::size(kClasses) == static_cast<size_t>(OpClass::Count));

bool flag(const char *name, bool otherwise) {
  const char *text = std::getenv(name);
  return text && *text ? std::string_view(text) != "0" : otherwise;
}

} // namespace

std::string_view nameOf(OpClass c) { return kClasses[static_cast<size_t>(c)]; }

Options Options::fromEnvironment() {
  Options options;
  options.races = flag("CUDASIM_RACES", options.races);
  options.uninitialised = flag("CUDASIM_UNINITIALISED", options.uninitialised);
  options.approximate = flag("CUDASIM_APPROX", options.approximate);
  if (const char *seed = std::getenv("CUDASIM_SEED"))
    options.seed = std::strtoull(seed, nullptr, 10);
  if (const char *budget = std::getenv("CUDASIM_BUDGET"))
    options.budget = std::strtoll(budget, nullptr, 10);
  return options;
}

uint64_t Counters::of(std::string_view opcode) const {
  auto found = std::lower_bound(opcodes.begin(), opcodes.end(), opcode,
                                [](const auto &a, std::string_view b) { return a.first < b; });
  return found != opcodes.end() && found->first == opcode ? found->second : 0;
}

std::string Counters::json(const Launch &launch) const {
  std::string text =
      fmt::format(R"({{"kernel":"{}","grid":[{},{},{}],"block":[{},{},{}],"shared":{})", launch.kernel->name,
                  launch.grid[0], launch.grid[1], launch.grid[2], launch.block[0], launch.block[1],
                  launch.block[2], launch.kernel->staticShared + launch.sharedBytes);
  auto add = [&](std::string_view name, uint64_t value) { text += fmt::format(R"(,"{}":{})", name, value); };
  add("warp_instructions", warpInstructions);
  add("lane_instructions", laneInstructions);
  add("global_load_requests", globalLoadRequests);
  add("global_load_sectors", globalLoadSectors);
  add("global_load_bytes", globalLoadBytes);
  add("global_store_requests", globalStoreRequests);
  add("global_store_sectors", globalStoreSectors);
  add("global_store_bytes", globalStoreBytes);
  add("global_load_distinct", globalLoadDistinct);
  add("global_store_distinct", globalStoreDistinct);
  add("atomic_requests", atomicRequests);
  add("shared_load_requests", sharedLoadRequests);
  add("shared_store_requests", sharedStoreRequests);
  add("shared_waves", sharedWaves);
  add("shared_replays", sharedReplays);
  add("local_requests", localRequests);
  add("divergent_branches", divergentBranches);
  add("barriers", barriers);
  for (size_t c = 0; c < classes.size(); ++c)
    add(kClasses[c], classes[c]);
  text += R"(,"opcodes":{)";
  for (size_t k = 0; k < opcodes.size(); ++k)
    text += fmt::format(R"({}"{}":{})", k ? "," : "", opcodes[k].first, opcodes[k].second);
  return text + "}}";
}

} // namespace cudasim
