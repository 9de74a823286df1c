#include "machine/access.h"
#include <algorithm>
#include <bit>

namespace cudasim {
namespace {

using ptx::Space;

bool same(const Pattern &pattern, const Addresses &now) {
  uint64_t difference = 0;
  for (int l = 0; l < 32; ++l)
    difference |= static_cast<uint64_t>(pattern.relative[l] ^ now.relative[l]);
  return difference == 0;
}

template <class F> void forActive(uint32_t mask, F f) {
  for (; mask; mask &= mask - 1)
    f(std::countr_zero(mask));
}

// Lanes go up through memory, as they nearly always do: then what follows needs no sorting.
bool ascending(const Pattern &p) {
  int64_t before = INT64_MIN;
  bool result = true;
  forActive(p.mask, [&](int l) {
    result &= p.relative[l] >= before;
    before = p.relative[l];
  });
  return result;
}

// Active lanes' offsets in order.
size_t sorted(const Pattern &p, bool isAscending, std::array<int64_t, 32> &offsets) {
  size_t count = 0;
  forActive(p.mask, [&](int l) { offsets[count++] = p.relative[l]; });
  if (!isAscending)
    std::sort(offsets.begin(), offsets.begin() + count);
  return count;
}

uint32_t countSectors(const std::array<int64_t, 32> &offsets, size_t count, uint32_t phase) {
  uint32_t result = 0;
  int64_t before = INT64_MIN;
  for (size_t k = 0; k < count; ++k) {
    int64_t sector = (static_cast<int64_t>(phase) + offsets[k]) >> 5;
    result += sector != before;
    before = sector;
  }
  return result;
}

bool findOverlap(const std::array<int64_t, 32> &offsets, size_t count, uint32_t bytes) {
  for (size_t k = 1; k < count; ++k)
    if (offsets[k] - offsets[k - 1] < bytes)
      return true;
  return false;
}

// The words that lanes want of each bank.
struct Banks {
  std::array<std::array<int64_t, 32>, 32> words;
  std::array<uint8_t, 32> counts{};
  void want(int64_t word) {
    auto bank = static_cast<size_t>(word & 31);
    auto begin = words[bank].begin(), end = begin + counts[bank];
    if (std::find(begin, end, word) == end)
      words[bank][counts[bank]++] = word;
  }
};

// 32 banks of 4 bytes. Accesses of 8 and 16 bytes go by half and quarter warps; lanes that want the same word share it.
void countWaves(Pattern &p) {
  int words = std::max<int>(1, static_cast<int>(p.bytes) / 4), lanes = 32 / words;
  p.waves = p.ideal = 0;
  for (int first = 0; first < 32; first += lanes) {
    Banks banks;
    for (int l = first; l < first + lanes; ++l)
      for (int k = 0; k < words && (p.mask >> l & 1); ++k)
        banks.want(((static_cast<int64_t>(p.phase) + p.relative[l]) >> 2) + k);
    uint32_t most = *std::max_element(banks.counts.begin(), banks.counts.end());
    p.waves += most;
    p.ideal += most > 0;
  }
}

struct CellUse {
  int64_t cell;
  uint32_t lanes;
};

void appendCell(Pattern &p, const CellUse &use) {
  if (!p.runs.empty() && p.runs.back().cell + p.runs.back().count - 1 == use.cell) {
    p.lanes.back() |= use.lanes;
    p.lastLane.back() = static_cast<uint8_t>(31 - std::countl_zero(p.lanes.back()));
    return;
  }
  if (p.runs.empty() || p.runs.back().cell + p.runs.back().count != use.cell)
    p.runs.push_back({use.cell, 0, static_cast<int32_t>(p.lanes.size())});
  ++p.runs.back().count;
  p.lanes.push_back(use.lanes);
  p.lastLane.push_back(static_cast<uint8_t>(31 - std::countl_zero(use.lanes)));
}

// Cells by address, each once.
void listCells(Pattern &p, bool isAscending) {
  p.runs.clear();
  p.lanes.clear();
  p.lastLane.clear();
  int64_t length = std::max<int64_t>(1, p.bytes / static_cast<uint32_t>(p.cell));
  std::array<CellUse, 32 * 32> all;
  size_t count = 0;
  forActive(p.mask, [&](int l) {
    for (int64_t k = 0; k < length; ++k)
      all[count++] = {p.relative[l] / p.cell + k, 1U << l};
  });
  if (!isAscending || p.overlaps)
    std::sort(all.begin(), all.begin() + count,
              [](const CellUse &a, const CellUse &b) { return a.cell < b.cell; });
  for (size_t k = 0; k < count; ++k)
    appendCell(p, all[k]);
}

void rebuild(Pattern &p) {
  p.low = INT64_MAX, p.high = INT64_MIN, p.alignment = 0;
  p.contiguous = p.uniform = p.mask == ~0U;
  forActive(p.mask, [&](int l) {
    p.low = std::min(p.low, p.relative[l]);
    p.high = std::max(p.high, p.relative[l] + p.bytes);
    p.alignment |= static_cast<uint64_t>(p.relative[l]);
    p.contiguous &= p.relative[l] == l * static_cast<int64_t>(p.bytes);
    p.uniform &= p.relative[l] == 0;
  });
  std::array<int64_t, 32> offsets;
  bool isAscending = ascending(p);
  size_t count = sorted(p, isAscending, offsets);
  p.overlaps = findOverlap(offsets, count, p.bytes);
  if (p.space == Space::Shared)
    countWaves(p);
  else
    p.sectors = countSectors(offsets, count, p.phase);
  listCells(p, isAscending);
}

uint64_t hashOf(const Addresses &now) {
  uint64_t hash = 0;
  for (int l = 0; l < 32; ++l)
    hash += static_cast<uint64_t>(now.relative[l]) << (l % 16);
  return hash;
}

} // namespace

Pattern &match(Site &site, int warp, const Addresses &now, Space space, uint32_t bytes, int cell) {
  Site::Key key{hashOf(now), now.mask, phaseOf(now.base, space)};
  uint8_t &last = site.last[static_cast<size_t>(warp)];
  for (size_t k = 0; k < site.keys.size(); ++k) {
    const Pattern &p = site.patterns[k];
    if (site.keys[k] == key && p.bytes == bytes && p.cell == cell && p.space == space && same(p, now))
      return site.patterns[last = static_cast<uint8_t>(k)];
  }
  if (site.keys.size() < Site::kWays) {
    site.victim = site.keys.size();
    site.keys.emplace_back();
    site.patterns.emplace_back();
  } else {
    site.victim = (site.victim + 1) % Site::kWays;
  }
  last = static_cast<uint8_t>(site.victim);
  site.keys[site.victim] = key;
  Pattern &pattern = site.patterns[site.victim];
  pattern.relative = now.relative;
  pattern.mask = now.mask;
  pattern.phase = key.phase;
  pattern.bytes = bytes;
  pattern.cell = cell;
  pattern.space = space;
  pattern.allocation = nullptr;
  for (int l = 0; l < 32; ++l)
    pattern.narrow[l] = static_cast<int32_t>(now.relative[l]);
  rebuild(pattern);
  return pattern;
}

Space spaceOf(uint64_t generic, uint64_t &window) {
  for (auto [begin, space] :
       {std::pair{kSharedWindow, Space::Shared}, {kLocalWindow, Space::Local}, {kParamWindow, Space::Param}})
    if (generic - begin < kWindowBytes) {
      window = begin;
      return space;
    }
  window = 0;
  return Space::Global;
}

} // namespace cudasim
