#include "driver/stream_races.h"

#include <algorithm>

#include <fmt/format.h>

namespace cudasim {
namespace {

/// Whether a launch with these tags was the last to touch one of the cells.
bool tagged(const uint32_t *tags, size_t first, size_t last, uint32_t firstTag, uint32_t endTag) {
  return tags &&
         std::any_of(tags + first, tags + last + 1, [=](uint32_t t) { return t >= firstTag && t < endTag; });
}

} // namespace

bool StreamRaces::conflict(const Memory &memory, const Range &range, uint32_t firstTag, uint32_t endTag) {
  const Allocation *allocation = memory.find(range.begin, range.end);
  if (!allocation)
    return false; // freed since, or memory of the host
  for (auto [owners, cell] : {std::pair{&allocation->words, 4}, {&allocation->singles, 1}}) {
    size_t first = (range.begin - allocation->begin) / size_t(cell),
           last = (range.end - 1 - allocation->begin) / size_t(cell);
    if (tagged(owners->writer.get(), first, last, firstTag, endTag) ||
        (range.write && tagged(owners->reader.get(), first, last, firstTag, endTag)))
      return true;
  }
  return false;
}

std::optional<std::string> StreamRaces::against(const Touch &other) const {
  return fmt::format("race between streams: nothing orders {} and {}", other.what, now_.what);
}

void StreamRaces::begin(std::string what, const Clock &clock) {
  if (now_.endTag != 0 || !now_.ranges.empty())
    past_.push_back(std::move(now_));
  now_ = {std::move(what), clock};
}

std::optional<std::string> StreamRaces::range(const Memory &memory, uintptr_t address, size_t bytes,
                                              bool write) {
  if (bytes == 0)
    return std::nullopt;
  Range mine{address, address + bytes, write};
  for (const Touch &other : past_) {
    if (now_.clock.covers(other.clock))
      continue;
    bool overlaps = std::ranges::any_of(other.ranges, [&](const Range &theirs) {
      return (theirs.write || write) && theirs.begin < mine.end && mine.begin < theirs.end;
    });
    if (overlaps || (other.endTag != 0 && conflict(memory, mine, other.firstTag, other.endTag)))
      return against(other);
  }
  now_.ranges.push_back(mine);
  return std::nullopt;
}

std::optional<std::string> StreamRaces::launch(const Memory &memory, uint32_t firstTag, uint32_t endTag) {
  now_.firstTag = firstTag;
  now_.endTag = endTag;
  for (const Touch &other : past_)
    if (!other.ranges.empty() && !now_.clock.covers(other.clock))
      for (const Range &range : other.ranges)
        if (conflict(memory, range, firstTag, endTag))
          return against(other);
  return std::nullopt;
}

void StreamRaces::forget(const Clock &seen) {
  std::erase_if(past_, [&](const Touch &touch) { return seen.covers(touch.clock); });
}

} // namespace cudasim
