// What is remembered of global memory: who wrote and read each cell in this launch, and whether it was written at all.
#include "machine/block.h"
#include "machine/races.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace cudasim {
namespace {

// A tag is an interval (Memory::nextInterval), which tells launch and block as well, a warp of it, and a flag: of a writer that
// it was an atomic, of a reader that other warps of the block read, too. The launch's own interval stands for several blocks.
struct Tags {
  uint32_t many, atomic; // several blocks: readers, atomics
  uint32_t block;        // first of this block; it has all that come after
  uint32_t interval;     // first since the last barrier
  uint32_t mine;

  explicit Tags(const Warp &w)
      : many(w.block->grid.tags), atomic(many + 1), block(w.block->tag), interval(w.block->interval),
        mine(interval + 2 * static_cast<uint32_t>(w.id)) {}
  bool now(uint32_t tag) const { return tag >= many; } // of this launch
  bool here(uint32_t tag) const { return tag >= block; }
  bool since(uint32_t tag) const { return tag >= interval; } // the last barrier
  bool byOther(uint32_t tag) const { return since(tag) && (tag ^ mine) > 1; }
};

bool isAtomic(uint32_t writer) { return writer & 1; }

Owners &owners(Allocation &allocation, int cell) {
  Owners &result = cell == 4 ? allocation.words : allocation.singles;
  if (!result.writer) {
    result.writer = zeroed<uint32_t>(allocation.bytes / cell + 1);
    result.reader = zeroed<uint32_t>(allocation.bytes / cell + 1);
  }
  return result;
}

// The place in Grid::started of the block that a tag of this launch belongs to; -1: several blocks.
int64_t blockOf(const Grid &grid, uint32_t tag) {
  auto after = std::upper_bound(grid.started.begin(), grid.started.end(), tag,
                                [](uint32_t t, const Grid::Started &s) { return t < s.tag; });
  return after - grid.started.begin() - 1;
}

bool acquired(const Block &block, uint32_t tag) {
  int64_t index = blockOf(block.grid, tag);
  return index >= 0 && block.acquired.contains(block.grid.started[static_cast<size_t>(index)].tag);
}

struct Conflict {
  enum Kind { None, NonCoherent, BlocksWrite, BlocksRead, WarpsWrite, WarpsRead } kind = None;
  explicit operator bool() const { return kind != None; }
};

// What is wrong with this access; the slow and exact form of the loops below.
Conflict conflict(const Warp &w, uint32_t writer, uint32_t reader, Mode mode) {
  const Tags tags(w);
  const Block &block = *w.block;
  bool written = tags.now(writer);
  if (mode == Mode::LoadNonCoherent && written)
    return {Conflict::NonCoherent};
  bool bothAtomic = isAtomic(writer) && (mode == Mode::Atomic || mode == Mode::LoadRelaxed);
  bool ordered = tags.here(writer) || bothAtomic || acquired(block, writer) ||
                 (writer == tags.atomic && !block.acquired.empty());
  if (written && !ordered)
    return {Conflict::BlocksWrite};
  bool synchronised = w.synchronised == block.interval;
  if (tags.byOther(writer) && !bothAtomic && !synchronised)
    return {Conflict::WarpsWrite};
  if (!writes(mode))
    return {};
  if (tags.now(reader) && !tags.here(reader) && !acquired(block, reader))
    return {Conflict::BlocksRead};
  return {tags.since(reader) && reader != tags.mine && !synchronised ? Conflict::WarpsRead : Conflict::None};
}

std::string nameOfBlock(const Grid &grid, uint32_t tag) {
  uint64_t number = grid.started[static_cast<size_t>(blockOf(grid, tag))].number;
  const auto &size = grid.launch.grid;
  return fmt::format("block ({},{},{})", number % size[0], number / size[0] % size[1],
                     number / size[0] / size[1]);
}

std::string describe(const Warp &w, Conflict conflict, uint32_t writer, Mode mode) {
  const Tags tags(w);
  const char *does = writes(mode) ? "overwrites" : "reads";
  std::string who = isAtomic(writer)    ? "an atomic"
                    : tags.here(writer) ? "this block"
                    : tags.now(writer)  ? nameOfBlock(w.block->grid, writer)
                                        : "";
  switch (conflict.kind) {
  case Conflict::NonCoherent:
    return fmt::format("race between blocks: reads through the non-coherent cache (ld.global.nc) what {} "
                       "wrote in this launch",
                       who);
  case Conflict::BlocksWrite:
    return fmt::format("race between blocks: {} what {} wrote in this launch", does, who);
  case Conflict::BlocksRead: return "race between blocks: overwrites what another block reads";
  case Conflict::WarpsWrite:
    return fmt::format("race between warps of a block: {} what {} wrote since the last barrier", does,
                       isAtomic(writer) ? who : fmt::format("warp {}", (writer & (Memory::kTags - 1)) / 2));
  case Conflict::WarpsRead:
    return "race between warps of a block: overwrites what another warp read since the last barrier";
  case Conflict::None: break;
  }
  return "";
}

// One cell's new owners. Relaxed loads leave no trace: they may meet atomics.
void own(const Tags &tags, uint32_t &writer, uint32_t &reader, Mode mode) {
  if (mode == Mode::Store)
    writer = tags.mine;
  else if (mode == Mode::Atomic && tags.here(writer))
    writer = isAtomic(writer) ? tags.mine + 1
                              : writer; // what was written plainly must not meet other blocks' atomics
  else if (mode == Mode::Atomic)
    writer = tags.now(writer) ? tags.atomic : tags.mine + 1;
  else if (mode != Mode::LoadRelaxed)
    reader = reader >= tags.many && reader < tags.block      ? tags.many
             : reader < tags.interval || reader == tags.mine ? tags.mine
                                                             : tags.mine + 1;
}

// The common case: a row of cells without conflicts, in loops that vectorise. True: a conflict is there, look closer.
bool sweepStore(const Tags &tags, uint32_t *writer, const uint32_t *reader, int64_t count) {
  uint32_t bad = 0, span = tags.interval - tags.block;
  for (int64_t k = 0; k < count; ++k) {
    bad |= (writer[k] >= tags.many) & (writer[k] - tags.block >= span) & ((writer[k] ^ tags.mine) > 1);
    bad |= (reader[k] >= tags.many) & (reader[k] - tags.block >= span) & (reader[k] != tags.mine);
  }
  if (bad)
    return true;
  std::fill_n(writer, count, tags.mine);
  return false;
}

bool sweepLoad(const Tags &tags, const uint32_t *writer, uint32_t *reader, int64_t count, bool coherent) {
  uint32_t bad = 0, span = coherent ? tags.interval - tags.block : 0, own = coherent ? 1 : 0;
  uint32_t mine = coherent ? tags.mine : 0; // no writer of this launch is right for others
#pragma GCC ivdep
  for (int64_t k = 0; k < count; ++k) {
    bad |= (writer[k] >= tags.many) & (writer[k] - tags.block >= span) & ((writer[k] ^ mine) > own);
    uint32_t r = reader[k];
    uint32_t same = r < tags.interval || r == tags.mine ? tags.mine : tags.mine + 1;
    reader[k] = r >= tags.many && r < tags.block ? tags.many : same;
  }
  return bad;
}

bool checkCell(Warp &w, const Allocation &a, Owners &o, uint64_t number, uint32_t lanes, int cell,
               Mode mode) {
  uint32_t &writer = o.writer[number], &reader = o.reader[number];
  if (Conflict found = conflict(w, writer, reader, mode)) {
    uint64_t address = a.begin + number * static_cast<uint64_t>(cell);
    w.fault(kLaunchFailed, std::countr_zero(lanes),
            fmt::format("{} ({})", describe(w, found, writer, mode), a.describe(address)));
    return false;
  }
  own(Tags(w), writer, reader, mode);
  return true;
}

bool checkRaces(Warp &w, const Pattern &p, Allocation &a, uint64_t base, Mode mode) {
  Owners &o = owners(a, p.cell);
  const Tags tags(w);
  uint64_t first = (base - a.begin) / static_cast<uint64_t>(p.cell);
  bool simple = mode != Mode::Atomic && mode != Mode::LoadRelaxed;
  for (const Run &run : p.runs) {
    uint64_t begin = first + static_cast<uint64_t>(run.cell);
    uint32_t *writer = &o.writer[begin], *reader = &o.reader[begin];
    if (simple && !(mode == Mode::Store ? sweepStore(tags, writer, reader, run.count)
                                        : sweepLoad(tags, writer, reader, run.count, mode == Mode::Load)))
      continue;
    for (int32_t k = 0; k < run.count; ++k)
      if (!checkCell(w, a, o, begin + static_cast<uint64_t>(k), p.lanes[static_cast<size_t>(run.index + k)],
                     p.cell, mode))
        return false;
  }
  return true;
}

bool allOnes(const unsigned char *marks, int64_t bytes) {
  unsigned char all = 1;
  for (int64_t k = 0; k < bytes; ++k)
    all &= marks[k];
  return all;
}

bool checkInitialised(Warp &w, const Pattern &p, const Allocation &a, uint64_t base) {
  const unsigned char *marks = a.initialised.get() + (base - a.begin);
  for (const Run &run : p.runs) {
    const unsigned char *here = marks + run.cell * p.cell;
    if (allOnes(here, static_cast<int64_t>(run.count) * p.cell))
      continue;
    int32_t k = 0;
    while (allOnes(here + k * p.cell, p.cell))
      ++k;
    w.fault(kIllegalAddress, std::countr_zero(p.lanes[static_cast<size_t>(run.index + k)]),
            fmt::format("read of uninitialised global memory ({})",
                        a.describe(base + static_cast<uint64_t>((run.cell + k) * p.cell))));
    return false;
  }
  return true;
}

void markInitialised(const Pattern &p, Allocation &a, uint64_t base) {
  unsigned char *marks = a.initialised.get() + (base - a.begin);
  for (const Run &run : p.runs)
    std::memset(marks + run.cell * p.cell, 1, static_cast<size_t>(run.count * p.cell));
}

} // namespace

bool touchGlobal(Warp &w, const Pattern &p, Allocation &a, uint64_t base, Mode mode) {
  if (a.readOnly && writes(mode)) {
    w.fault(kIllegalAddress, std::countr_zero(p.mask), "store to constant memory: " + a.describe(base));
    return false;
  }
  const Options &options = w.block->grid.options;
  if (options.races && !checkRaces(w, p, a, base, mode))
    return false;
  if (mode == Mode::Store)
    markInitialised(p, a, base);
  else if (options.uninitialised)
    return checkInitialised(w, p, a, base);
  return true;
}

void synchronise(Warp &w, uint64_t address) {
  Block &block = *w.block;
  auto &released = block.grid.released[address];
  block.acquired.insert(released.begin(), released.end());
  if (!block.fenced)
    return;
  w.synchronised = block.interval;
  released.insert(block.tag);
  released.insert(block.acquired.begin(), block.acquired.end());
}

} // namespace cudasim
