#include "passes/arena_util.h"

#include <algorithm>
#include <limits>
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

/// Places the buffers in that order, each where it fits best; returns the size.
int64_t packInOrder(std::span<ArenaBuffer> buffers, std::span<const size_t> order, int64_t alignment) {
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

} // namespace

int64_t packArena(std::span<ArenaBuffer> buffers, int64_t alignment) {
  // None of the orders is best everywhere: large ones first, long lives first, as they begin, as they end.
  using Key = int64_t (*)(const ArenaBuffer &);
  const Key keys[] = {
      [](const ArenaBuffer &b) { return -b.bytes; }, [](const ArenaBuffer &b) { return b.first - b.last; },
      [](const ArenaBuffer &b) { return b.first; }, [](const ArenaBuffer &b) { return -b.last; }};
  std::vector<ArenaBuffer> best(buffers.begin(), buffers.end());
  int64_t bestSize = std::numeric_limits<int64_t>::max();
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](size_t i) { return -buffers[i].bytes; });
  for (Key key : keys) {
    std::vector<size_t> sorted = order; // equals: large ones first
    std::ranges::stable_sort(sorted, {}, [&](size_t i) { return key(buffers[i]); });
    if (const int64_t size = packInOrder(buffers, sorted, alignment); size < bestSize) {
      bestSize = size;
      best.assign(buffers.begin(), buffers.end());
    }
  }
  std::ranges::copy(best, buffers.begin());
  return bestSize;
}

} // namespace gradc
