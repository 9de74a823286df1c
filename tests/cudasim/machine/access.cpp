// Bounds, alignment and the counters of accesses; races.cpp has the rest.
#include "machine/access.h"
#include "machine/block.h"
#include "machine/races.h"
#include <bit>
#include <fmt/format.h>

namespace cudasim {
namespace {

constexpr uint64_t kSectorBytes = 32;

const char *verb(Mode mode) {
  return mode == Mode::Store ? "store" : mode == Mode::Atomic ? "atomic" : "load";
}

bool checkAlignment(Warp &w, const Pattern &p, uint64_t base, const char *space, Mode mode) {
  uint64_t below = p.bytes - 1;
  if (!((base | p.alignment) & below))
    return true;
  bool found = false;
  forEach(p.mask, [&](int l) {
    uint64_t address = base + static_cast<uint64_t>(p.relative[l]);
    if (!found && (address & below)) {
      found = true;
      w.fault(kMisalignedAddress, l,
              fmt::format("misaligned {} {} of {} bytes at an address that is {} modulo {}", space,
                          verb(mode), p.bytes, address & below, p.bytes));
    }
  });
  return false;
}

void countGlobal(Counters &c, const Pattern &p, Mode mode) {
  uint64_t bytes = static_cast<uint64_t>(std::popcount(p.mask)) * p.bytes;
  if (mode == Mode::Atomic) {
    ++c.atomicRequests;
  } else if (mode == Mode::Store) {
    ++c.globalStoreRequests;
    c.globalStoreSectors += p.sectors;
    c.globalStoreBytes += bytes;
  } else {
    ++c.globalLoadRequests;
    c.globalLoadSectors += p.sectors;
    c.globalLoadBytes += bytes;
  }
}

// Sectors that the launch has not loaded or stored before: what an L2 that holds all of a launch moves from and to memory.
void countDistinct(Grid &grid, const Pattern &p, Allocation &a, uint64_t base, Mode mode) {
  if (mode == Mode::Atomic)
    return;
  Zeroed<uint32_t> &seen = mode == Mode::Store ? a.sectors.writer : a.sectors.reader;
  if (!seen)
    seen = zeroed<uint32_t>(a.bytes / kSectorBytes + 1);
  Counters &c = grid.counters;
  uint64_t &count = mode == Mode::Store ? c.globalStoreDistinct : c.globalLoadDistinct;
  auto touch = [&](uint64_t sector) {
    count += seen[sector] != grid.tags;
    seen[sector] = grid.tags;
  };
  uint64_t first = base - a.begin;
  for (const Run &run : p.runs) {
    uint64_t begin = first + static_cast<uint64_t>(run.cell * p.cell),
             end = begin + static_cast<uint64_t>(run.count * p.cell);
    for (uint64_t sector = begin / kSectorBytes; sector * kSectorBytes < end; ++sector)
      touch(sector);
  }
}

// Lanes whose addresses lie in different allocations are looked at one by one.
bool resolveApart(Warp &w, const Pattern &whole, uint64_t base, Mode mode) {
  Memory &memory = w.block->grid.memory;
  for (uint32_t left = whole.mask; left; left &= left - 1) {
    int lane = std::countr_zero(left);
    uint64_t address = base + static_cast<uint64_t>(whole.relative[lane]);
    auto allocation = memory.check(reinterpret_cast<const void *>(address), whole.bytes);
    if (!allocation) {
      w.fault(kIllegalAddress, lane,
              fmt::format("global {} out of bounds: {}", verb(mode), allocation.error()));
      return false;
    }
    Addresses one{.base = address, .mask = 1U << lane};
    one.relative.fill(0);
    Site site;
    const Pattern &single = match(site, w.id, one, Space::Global, whole.bytes, whole.cell);
    countDistinct(w.block->grid, single, **allocation, address, mode);
    if (!touchGlobal(w, single, **allocation, address, mode))
      return false;
  }
  return true;
}

bool resolveGlobal(Warp &w, Pattern &p, uint64_t base, Mode mode) {
  uint64_t low = base + static_cast<uint64_t>(p.low), high = base + static_cast<uint64_t>(p.high);
  Allocation *&allocation = p.allocation;
  if (!allocation || low < allocation->begin || high > allocation->end() || high < low)
    allocation = w.block->grid.memory.find(low, high);
  if (!checkAlignment(w, p, base, "global", mode))
    return false;
  countGlobal(w.block->grid.counters, p, mode);
  if (!allocation)
    return resolveApart(w, p, base, mode);
  countDistinct(w.block->grid, p, *allocation, base, mode);
  return touchGlobal(w, p, *allocation, base, mode);
}

bool resolveShared(Warp &w, const Pattern &p, uint64_t base, Mode mode) {
  Block &block = *w.block;
  auto size = static_cast<uint64_t>(block.sharedBytes);
  int64_t low = static_cast<int64_t>(base) + p.low, high = static_cast<int64_t>(base) + p.high;
  bool inside = low >= 0 && low < high && high <= block.sharedBytes;
  for (uint32_t left = inside ? 0 : p.mask; left; left &= left - 1) {
    uint64_t address = base + static_cast<uint64_t>(p.relative[std::countr_zero(left)]);
    if (address + p.bytes <= size && address <= size)
      continue;
    w.fault(kIllegalAddress, std::countr_zero(left),
            fmt::format("shared {} out of bounds: {} bytes at {} of {} bytes", verb(mode), p.bytes,
                        static_cast<int64_t>(address), size));
    return false;
  }
  if (!checkAlignment(w, p, base, "shared", mode))
    return false;
  Counters &c = block.grid.counters;
  ++(mode == Mode::Atomic ? c.atomicRequests : writes(mode) ? c.sharedStoreRequests : c.sharedLoadRequests);
  c.sharedWaves += p.waves;
  c.sharedReplays += p.waves - p.ideal;
  return touchShared(w, p, base, mode);
}

// Addresses are offsets into what the parameters or all lanes' local memory hold.
bool resolveFlat(Warp &w, const Pattern &p, uint64_t base, uint64_t size, const char *space, Mode mode) {
  for (uint32_t left = p.mask; left; left &= left - 1) {
    uint64_t address = base + static_cast<uint64_t>(p.relative[std::countr_zero(left)]);
    if (address + p.bytes <= size && address <= size)
      continue;
    w.fault(kIllegalAddress, std::countr_zero(left), fmt::format("{} {} out of bounds", space, verb(mode)));
    return false;
  }
  return checkAlignment(w, p, base, space, mode);
}

// A lane's own local memory begins at lane * localBytes.
bool spreadLocal(Warp &w, Addresses &a, uint32_t bytes, Mode mode) {
  auto size = static_cast<uint64_t>(w.block->localBytes);
  int first = std::countr_zero(a.mask);
  for (uint32_t left = a.mask; left; left &= left - 1) {
    int lane = std::countr_zero(left);
    uint64_t address = a.base + static_cast<uint64_t>(a.relative[lane]);
    if (address + bytes > size || address > size) {
      w.fault(kIllegalAddress, lane,
              fmt::format("local {} out of bounds: {} bytes at {} of {} bytes", verb(mode), bytes,
                          static_cast<int64_t>(address), size));
      return false;
    }
    a.relative[lane] += (lane - first) * static_cast<int64_t>(size);
  }
  a.base += static_cast<uint64_t>(first) * size;
  return true;
}

} // namespace

bool resolve(Warp &w, Pattern &pattern, uint64_t base, Mode mode, Resolved &out) {
  out.pattern = &pattern;
  if (pattern.space == Space::Shared) {
    out.base = w.block->shared.data() + base;
    return resolveShared(w, pattern, base, mode);
  }
  out.base = reinterpret_cast<unsigned char *>(base);
  return resolveGlobal(w, pattern, base, mode);
}

bool resolve(Warp &w, Site &site, const Addresses &addresses, Space space, uint32_t bytes, Mode mode,
             Resolved &out) {
  Block &block = *w.block;
  const Program &program = block.grid.program;
  if (space == Space::Local) {
    Addresses spread = addresses;
    if (!spreadLocal(w, spread, bytes, mode))
      return false;
    out.pattern = &match(site, w.id, spread, space, bytes, 1);
    out.base = w.local + spread.base;
    ++block.grid.counters.localRequests;
    return checkAlignment(w, *out.pattern, spread.base, "local", mode);
  }
  if (space == Space::Param) {
    out.pattern = &match(site, w.id, addresses, space, bytes, 1);
    const auto &parameters = block.grid.launch.parameters;
    out.base = reinterpret_cast<unsigned char *>(const_cast<std::byte *>(parameters.data())) + addresses.base;
    return resolveFlat(w, *out.pattern, addresses.base, parameters.size(), "parameter", mode);
  }
  int cell = space == Space::Shared ? program.sharedCell : program.globalCell;
  return resolve(w, match(site, w.id, addresses, space, bytes, cell), addresses.base, mode, out);
}

} // namespace cudasim
