#include "machine/memory.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <iterator>

namespace cudasim {
namespace {

constexpr int64_t kAlign = 512, kRedZone = 512;
constexpr int64_t kQuarantine = 64 << 20; // bytes of freed allocations that keep their place
constexpr unsigned char kPoison = 0xFF;   // NaN as float, -1 as int

} // namespace

std::string Allocation::describe(uint64_t address) const {
  std::string what = name.empty() ? fmt::format("allocation {} of {} bytes", number, bytes)
                                  : fmt::format("variable '{}' of {} bytes", name, bytes);
  if (address >= end())
    return fmt::format("{} bytes past the end of {}", address - end(), what);
  if (address < begin)
    return fmt::format("{} bytes before {}", begin - address, what);
  return fmt::format("byte {} of {}", address - begin, what);
}

void *Memory::allocate(int64_t bytes, std::string name) {
  if (bytes < 0 || bytes > available())
    return nullptr;
  Allocation made;
  made.storage.reset(static_cast<unsigned char *>(std::aligned_alloc(
      kAlign, static_cast<size_t>((bytes + 2 * kRedZone + kAlign - 1) / kAlign * kAlign))));
  if (!made.storage)
    return nullptr;
  std::memset(made.storage.get(), kPoison, static_cast<size_t>(bytes + 2 * kRedZone));
  made.begin = reinterpret_cast<uint64_t>(made.storage.get()) + kRedZone;
  made.bytes = bytes;
  made.number = ++nextNumber;
  made.name = std::move(name);
  made.initialised = zeroed<unsigned char>(bytes);
  inUse += bytes;
  ++liveCount;
  uint64_t begin = made.begin;
  allocations.insert_or_assign(begin, std::move(made));
  return reinterpret_cast<void *>(begin);
}

bool Memory::free(void *address) {
  auto found = allocations.find(reinterpret_cast<uint64_t>(address));
  if (found == allocations.end() || found->second.freed)
    return false;
  Allocation &allocation = found->second;
  allocation.freed = true;
  std::memset(reinterpret_cast<void *>(allocation.begin), kPoison, static_cast<size_t>(allocation.bytes));
  allocation.initialised.reset();
  allocation.words = {};
  allocation.singles = {};
  inUse -= allocation.bytes;
  --liveCount;
  quarantined += allocation.bytes;
  quarantine.push_back(found->first);
  releaseQuarantine();
  return true;
}

void Memory::releaseQuarantine() {
  while (quarantined > kQuarantine) {
    auto oldest = allocations.find(quarantine.front());
    quarantine.pop_front();
    quarantined -= oldest->second.bytes;
    allocations.erase(oldest);
  }
}

Allocation *Memory::find(uint64_t address, uint64_t end) const {
  auto above = allocations.upper_bound(address);
  if (above == allocations.begin())
    return nullptr;
  const Allocation &candidate = std::prev(above)->second;
  bool inside = address >= candidate.begin && end <= candidate.end() && end >= address && !candidate.freed;
  return inside ? const_cast<Allocation *>(&candidate) : nullptr;
}

std::expected<Allocation *, std::string> Memory::check(const void *address, int64_t bytes) const {
  auto begin = reinterpret_cast<uint64_t>(address);
  if (Allocation *found = find(begin, begin + static_cast<uint64_t>(bytes)))
    return found;
  return std::unexpected(why(begin, bytes));
}

std::string Memory::why(uint64_t address, int64_t bytes) const {
  if (address < 4096)
    return fmt::format("null address (+{})", address);
  auto above = allocations.upper_bound(address);
  const Allocation *below = above == allocations.begin() ? nullptr : &std::prev(above)->second;
  const Allocation *after = above == allocations.end() ? nullptr : &above->second;
  if (below && address < below->end())
    return below->freed ? fmt::format("use after free: {}", below->describe(address))
                        : fmt::format("{} bytes at {}", bytes, below->describe(address));
  bool closerToNext = after && (!below || after->begin - address < address - below->end());
  if (const Allocation *near = closerToNext ? after : below)
    return near->describe(address) + (near->freed ? " (freed)" : "");
  return "there is no allocation";
}

void Memory::markWritten(const void *address, int64_t bytes) {
  if (auto found = check(address, bytes); found && bytes > 0)
    std::memset((*found)->initialised.get() + (reinterpret_cast<uint64_t>(address) - (*found)->begin), 1,
                static_cast<size_t>(bytes));
}

bool Memory::initialised(const void *address, int64_t bytes) const {
  auto found = check(address, bytes);
  if (!found)
    return false;
  const unsigned char *marks =
      (*found)->initialised.get() + (reinterpret_cast<uint64_t>(address) - (*found)->begin);
  return std::all_of(marks, marks + bytes, [](unsigned char mark) { return mark != 0; });
}

uint32_t Memory::beginLaunch() {
  if (nextTag > UINT32_MAX / 2) {
    for (auto &[begin, allocation] : allocations)
      allocation.words = {}, allocation.singles = {}, allocation.sectors = {};
    nextTag = 0;
  }
  return nextInterval();
}

} // namespace cudasim
