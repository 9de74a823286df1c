// Memory accesses of a warp: where each lane's bytes are, what is wrong with them, what they cost.
#pragma once
#include "machine/memory.h"
#include "ptx/module.h"
#include <array>
#include <cstdint>
#include <vector>

namespace cudasim {

struct Warp;
struct Inst;
struct Block;

enum class Mode : uint8_t { Load, LoadNonCoherent, LoadRelaxed, Store, Atomic };
inline bool writes(Mode mode) { return mode == Mode::Store || mode == Mode::Atomic; }

// Generic addresses: where shared, local and parameter memory appear among them.
constexpr uint64_t kWindowBytes = 1ULL << 40;
constexpr uint64_t kSharedWindow = 0x4000'0000'0000'0000, kLocalWindow = 0x5000'0000'0000'0000,
                   kParamWindow = 0x6000'0000'0000'0000;

// An access site of the code nearly always has the same addresses relative to its first lane. What follows from them alone is kept,
// so that counting sectors and bank conflicts costs little.
struct Run {        // cells in a row that lanes touch
  int64_t cell = 0; // relative to the cell of the base
  int32_t count = 0;
  int32_t index = 0; // of the first in Pattern's lanes and lastLane
};

struct Pattern {
  alignas(64) std::array<int64_t, 32> relative{}; // to the first active lane; 0 for lanes that do nothing
  alignas(64) std::array<int32_t, 32> narrow{};   // the same in 32 bits
  ptx::Space space = ptx::Space::Generic;
  uint32_t mask = 0, phase = 0; // phase: the base modulo a sector or a bank
  uint32_t bytes = 0;
  int64_t low = 0, high = 0; // extent, relative to the base
  uint64_t alignment = 0;    // or of all relatives
  bool contiguous = false;   // lane l at l * bytes, all lanes: a row of memory
  bool uniform = false;      // all lanes at the same place
  bool overlaps = false;     // two lanes share bytes
  uint32_t sectors = 0, waves = 0, ideal = 0;
  int cell = 0;                     // bytes of what the race checks remember things of
  std::vector<Run> runs;            // the cells that lanes touch, by address,
  std::vector<uint32_t> lanes;      // which lanes touch each,
  std::vector<uint8_t> lastLane;    // and the last one of them
  Allocation *allocation = nullptr; // where it was found last
};

// The patterns that a site had lately.
struct Site {
  static constexpr size_t kWays = 32;
  struct Key {
    uint64_t hash = 0;
    uint32_t mask = 0, phase = 0;
    bool operator==(const Key &) const = default;
  };
  std::vector<Key> keys;
  std::vector<Pattern> patterns;
  std::array<uint8_t, 32> last{}; // by warp
  size_t victim = 0;
};

struct Resolved {
  unsigned char *base = nullptr; // lane l's bytes are at base + pattern->relative[l]
  const Pattern *pattern = nullptr;
};

// The addresses of one instruction of a warp, inactive lanes equal to the base.
struct Addresses {
  std::array<int64_t, 32> relative;
  uint64_t base;
  uint32_t mask;
};

// False: faulted. The space is not Generic.
bool resolve(Warp &, Site &, const Addresses &, ptx::Space, uint32_t bytes, Mode, Resolved &);
// The same with a pattern that is known to fit; the space is Global or Shared.
bool resolve(Warp &, Pattern &, uint64_t base, Mode, Resolved &);

// Where an address of the generic space points to, and what to subtract from it.
ptx::Space spaceOf(uint64_t generic, uint64_t &window);

// The pattern of these addresses of a warp, made if the site had none like it lately.
Pattern &match(Site &, int warp, const Addresses &, ptx::Space, uint32_t bytes, int cell);

// Addresses modulo a sector, or a bank: what a pattern depends on beside the lanes' distances.
inline uint32_t phaseOf(uint64_t base, ptx::Space space) {
  return static_cast<uint32_t>(base & (space == ptx::Space::Shared ? 3 : 31));
}

// What the checks remember of each cell of shared memory since the last barrier.
struct SharedCells {
  static constexpr uint32_t kUnreadable =
      1U << 31;                  // nobody wrote it since the block began, or a copy is on its way
  std::vector<uint32_t> writer;  // see shared_races.cpp
  std::vector<uint32_t> readers; // warps
  void beginBlock(bool uninitialised);
  void passBarrier();
};

} // namespace cudasim
