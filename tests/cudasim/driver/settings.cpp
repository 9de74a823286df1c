#include "driver/settings.h"

#include <charconv>
#include <cstdlib>

#include <fmt/format.h>

namespace cudasim {
namespace {

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// A positive number, with K, M or G behind it where `units`.
std::optional<uint64_t> parseNumber(std::string_view text, bool units = false) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view rest = text.substr(size_t(end - text.data()));
  if (error != std::errc() || value == 0)
    return std::nullopt;
  if (rest.empty())
    return value;
  if (units && rest.size() == 1)
    for (auto [unit, shift] : {std::pair{'K', 10}, {'M', 20}, {'G', 30}})
      if (rest[0] == unit)
        return value << shift;
  return std::nullopt;
}

bool setFault(Faults &faults, std::string_view name, std::string_view argument) {
  for (auto [flag, field] : {std::pair{"nodevice", &Faults::noDevice},
                             {"olddriver", &Faults::oldDriver},
                             {"stub", &Faults::stub},
                             {"lt", &Faults::noMatmulAlgorithm}})
    if (name == flag)
      return argument.empty() && (faults.*field = true);
  for (auto [counter, field] :
       {std::pair{"alloc", &Faults::failingAllocation}, {"launch", &Faults::failingLaunch}})
    if (name == counter) {
      faults.*field = parseNumber(argument).value_or(0);
      return faults.*field != 0;
    }
  if (name == "memory")
    faults.totalMemory = parseNumber(argument, true);
  return name == "memory" && faults.totalMemory;
}

} // namespace

std::expected<Faults, std::string> parseFaults(std::string_view text) {
  Faults faults;
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), item.size() + 1));
    size_t colon = item.find(':');
    std::string_view argument = colon == item.npos ? "" : item.substr(colon + 1);
    if (!setFault(faults, item.substr(0, colon), argument))
      return std::unexpected(fmt::format("CUDASIM_FAIL: '{}' is none of alloc:N, launch:N, memory:SIZE, "
                                         "nodevice, olddriver, stub, lt",
                                         item));
  }
  return faults;
}

std::expected<Settings, std::string> readSettings() {
  Settings settings;
  if (std::string profile = environment("CUDASIM_PROFILE"); !profile.empty())
    settings.profile = profile;
  if (std::string seed = environment("CUDASIM_SEED"); !seed.empty() && seed != "0") {
    auto value = parseNumber(seed);
    if (!value)
      return std::unexpected(fmt::format("CUDASIM_SEED: '{}' is no number", seed));
    settings.seed = *value;
  }
  settings.ptxFolder = environment("CUDASIM_PTX_DIR");
  settings.logFile = environment("CUDASIM_LOG");
  auto faults = parseFaults(environment("CUDASIM_FAIL"));
  if (!faults)
    return std::unexpected(faults.error());
  settings.faults = *faults;
  return settings;
}

} // namespace cudasim
