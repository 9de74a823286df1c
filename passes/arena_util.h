// Packing buffers with known lifetimes into one arena.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradc {

/// A piece of memory that is needed at the moments first .. last, both included.
struct ArenaBuffer {
  int64_t bytes = 0;
  int64_t first = 0, last = 0;
  int64_t offset = 0; // the answer, a multiple of `alignment`
};

/// Gives every buffer an offset such that no two that are needed at the same moment overlap, largest first,
/// each into the smallest gap that holds it. Returns the arena's size. Depends on nothing but the arguments.
int64_t packArena(std::span<ArenaBuffer> buffers, int64_t alignment);

} // namespace gradc
