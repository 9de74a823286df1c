#include "passes/arena_util.h"

#include <algorithm>
#include <numeric>

namespace gradc {

namespace {

/// Where a buffer of `bytes` fits best between `taken`, which are sorted by offset and may overlap.
int64_t bestOffset(const std::vector<const ArenaBuffer *> &taken, int64_t bytes, int64_t alignment) {
  int64_t best = -1, bestGap = 0, end = 0;
  for (const ArenaBuffer *other : taken) {
    const int64_t gap = other->offset - end;
    if (gap >= bytes && (best < 0 || gap < bestGap)) {
      best = end;
      bestGap = gap;
    }
    const int64_t otherEnd = other->offset + other->bytes;
    end = std::max(end, (otherEnd + alignment - 1) / alignment * alignment);
  }
  return best >= 0 ? best : end;
}

} // namespace

int64_t packArena(std::span<ArenaBuffer> buffers, int64_t alignment) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<const ArenaBuffer *> placed, taken;
  int64_t size = 0;
  for (size_t i : order) {
    ArenaBuffer &buffer = buffers[i];
    taken.clear();
    for (const ArenaBuffer *other : placed)
      if (other->first <= buffer.last && buffer.first <= other->last)
        taken.push_back(other);
    std::ranges::stable_sort(taken, {}, &ArenaBuffer::offset);
    buffer.offset = bestOffset(taken, buffer.bytes, alignment);
    size = std::max(size, buffer.offset + buffer.bytes);
    placed.push_back(&buffer);
  }
  return (size + alignment - 1) / alignment * alignment;
}

} // namespace gradc
