#include "machine/access.h"
#include <algorithm>
#include <bit>

namespace cudasim {
namespace {

using ptx::Space;

uint32_t phaseOf(uint64_t base, Space space) {
  return static_cast<uint32_t>(base & (space == Space::Shared ? 3 : 31));
}

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

uint32_t countSectors(const Pattern &p) {
  std::array<int64_t, 32> sectors{};
  size_t count = 0;
  forActive(p.mask, [&](int l) { sectors[count++] = (static_cast<int64_t>(p.phase) + p.relative[l]) >> 5; });
  std::sort(sectors.begin(), sectors.begin() + count);
  return static_cast<uint32_t>(std::unique(sectors.begin(), sectors.begin() + count) - sectors.begin());
}

// 32 banks of 4 bytes. Accesses of 8 and 16 bytes go by half and quarter warps; lanes that want the same word share it.
void countWaves(Pattern &p) {
  int words = std::max<int>(1, static_cast<int>(p.bytes) / 4), lanes = 32 / words;
  p.waves = p.ideal = 0;
  for (int first = 0; first < 32; first += lanes) {
    std::array<std::vector<int64_t>, 32> banks;
    size_t most = 0;
    for (int l = first; l < first + lanes; ++l)
      for (int k = 0; k < words && (p.mask >> l & 1); ++k) {
        int64_t word = ((static_cast<int64_t>(p.phase) + p.relative[l]) >> 2) + k;
        auto &bank = banks[static_cast<size_t>(word & 31)];
        if (std::find(bank.begin(), bank.end(), word) == bank.end())
          bank.push_back(word);
        most = std::max(most, bank.size());
      }
    p.waves += static_cast<uint32_t>(most);
    p.ideal += most > 0;
  }
}

bool findOverlap(const Pattern &p) {
  std::array<int64_t, 32> begins{};
  size_t count = 0;
  forActive(p.mask, [&](int l) { begins[count++] = p.relative[l]; });
  std::sort(begins.begin(), begins.begin() + count);
  for (size_t k = 1; k < count; ++k)
    if (begins[k] - begins[k - 1] < p.bytes)
      return true;
  return false;
}

void listCells(Pattern &p) {
  p.cells.clear();
  int64_t length = std::max<int64_t>(1, p.bytes / static_cast<uint32_t>(p.cell));
  forActive(p.mask, [&](int l) {
    for (int64_t k = 0; k < length; ++k)
      p.cells.push_back({p.relative[l] / p.cell + k, 1U << l});
  });
  std::sort(p.cells.begin(), p.cells.end(),
            [](const CellUse &a, const CellUse &b) { return a.cell < b.cell; });
  size_t kept = 0;
  for (const CellUse &use : p.cells) {
    if (kept > 0 && p.cells[kept - 1].cell == use.cell)
      p.cells[kept - 1].lanes |= use.lanes;
    else
      p.cells[kept++] = use;
  }
  p.cells.resize(kept);
}

void rebuild(Pattern &p, Space space) {
  p.low = INT64_MAX, p.high = INT64_MIN, p.alignment = 0;
  p.contiguous = p.mask == ~0U;
  forActive(p.mask, [&](int l) {
    p.low = std::min(p.low, p.relative[l]);
    p.high = std::max(p.high, p.relative[l] + p.bytes);
    p.alignment |= static_cast<uint64_t>(p.relative[l]);
    p.contiguous &= p.relative[l] == l * static_cast<int64_t>(p.bytes);
  });
  p.overlaps = findOverlap(p);
  if (space == Space::Shared)
    countWaves(p);
  else
    p.sectors = countSectors(p);
  listCells(p);
}

} // namespace

void match(Pattern &pattern, const Addresses &now, Space space, uint32_t bytes, int cell) {
  uint32_t phase = phaseOf(now.base, space);
  bool known =
      pattern.mask == now.mask && pattern.phase == phase && pattern.bytes == bytes && pattern.cell == cell;
  if (known && same(pattern, now))
    return;
  pattern.relative = now.relative;
  pattern.mask = now.mask;
  pattern.phase = phase;
  pattern.bytes = bytes;
  pattern.cell = cell;
  rebuild(pattern, space);
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
