#include "machine/block.h"
#include "machine/races.h"
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace cudasim {
namespace {

// The tags of a launch: several readers, atomics of several blocks, then two a block, for what it did plainly and atomically.
struct Tags {
  uint32_t many, atomic, mine;
  explicit Tags(const Block &block) : many(block.grid.tags), atomic(many + 1), mine(block.tag) {}
  bool now(uint32_t tag) const { return tag >= many; } // of this launch
  bool isAtomic(uint32_t tag) const { return now(tag) && (tag - many) % 2 == 1; }
  uint32_t blockOf(uint32_t tag) const { return tag - (tag - many) % 2; }
};

Owners &owners(Allocation &allocation, int cell) {
  Owners &result = cell == 4 ? allocation.words : allocation.singles;
  if (!result.writer) {
    result.writer = zeroed<uint32_t>(allocation.bytes / cell + 1);
    result.reader = zeroed<uint32_t>(allocation.bytes / cell + 1);
  }
  return result;
}

std::string blockOf(const Grid &grid, uint32_t tag) {
  uint32_t number = (tag - grid.tags - 2) / 2;
  const auto &size = grid.launch.grid;
  return fmt::format("block ({},{},{})", number % size[0], number / size[0] % size[1],
                     number / size[0] / size[1]);
}

// What is wrong with this access, null if nothing; the slow and exact form of the loops below.
const char *conflict(const Block &block, uint32_t writer, uint32_t reader, Mode mode) {
  Tags tags(block);
  bool written = tags.now(writer);
  if (mode == Mode::LoadNonCoherent && written)
    return "reads through the non-coherent cache (ld.global.nc) what";
  uint32_t by = tags.blockOf(writer);
  bool bothAtomic = tags.isAtomic(writer) && (mode == Mode::Atomic || mode == Mode::LoadRelaxed);
  bool ordered = by == tags.mine || block.acquired.contains(by) || bothAtomic ||
                 (writer == tags.atomic && !block.acquired.empty());
  if (written && !ordered)
    return writes(mode) ? "overwrites what" : "reads what";
  bool readByOthers = tags.now(reader) && reader != tags.mine && !block.acquired.contains(reader);
  return writes(mode) && readByOthers ? "overwrites what another block reads, and" : nullptr;
}

void report(Warp &w, const Allocation &a, uint64_t cellAddress, uint32_t lanes, uint32_t writer,
            const char *what) {
  Tags tags(*w.block);
  std::string who = !tags.now(writer)       ? ""
                    : tags.isAtomic(writer) ? " an atomic wrote in this launch"
                    : writer == tags.mine
                        ? " this block wrote in this launch"
                        : fmt::format(" {} wrote in this launch", blockOf(w.block->grid, writer));
  std::string text = fmt::format("race between blocks: {}{}", what, who);
  if (text.ends_with(", and"))
    text.resize(text.size() - 5);
  w.fault(kLaunchFailed, std::countr_zero(lanes), fmt::format("{} ({})", text, a.describe(cellAddress)));
}

// One cell's new owners. Relaxed loads leave no trace: they may meet atomics.
void own(const Tags &tags, uint32_t &writer, uint32_t &reader, Mode mode) {
  if (mode == Mode::Store)
    writer = tags.mine;
  else if (mode == Mode::Atomic)
    writer = !tags.now(writer) ? tags.mine + 1 : tags.blockOf(writer) == tags.mine ? writer : tags.atomic;
  else if (mode != Mode::LoadRelaxed)
    reader = reader < tags.many || reader == tags.mine ? tags.mine : tags.many;
}

// The common case: a row of cells without conflicts, in a loop that vectorises. True: a conflict is there, look closer.
bool sweep(const Tags &tags, uint32_t *writer, uint32_t *reader, int64_t count, Mode mode) {
  uint32_t bad = 0;
  if (mode == Mode::Store) {
    for (int64_t k = 0; k < count; ++k)
      bad |= ((writer[k] >= tags.many) & (writer[k] != tags.mine)) |
             ((reader[k] >= tags.many) & (reader[k] != tags.mine));
  } else {
    for (int64_t k = 0; k < count; ++k)
      bad |= (writer[k] >= tags.many) & (writer[k] != tags.mine || mode == Mode::LoadNonCoherent);
  }
  if (bad)
    return true;
  if (mode == Mode::Store) {
    for (int64_t k = 0; k < count; ++k)
      writer[k] = tags.mine;
  } else {
    for (int64_t k = 0; k < count; ++k)
      reader[k] = reader[k] < tags.many || reader[k] == tags.mine ? tags.mine : tags.many;
  }
  return false;
}

bool checkCell(Warp &w, const Allocation &a, Owners &o, uint64_t number, const CellUse &use, int cell,
               Mode mode) {
  uint32_t &writer = o.writer[number], &reader = o.reader[number];
  if (const char *what = conflict(*w.block, writer, reader, mode)) {
    report(w, a, a.begin + number * static_cast<uint64_t>(cell), use.lanes, writer, what);
    return false;
  }
  own(Tags(*w.block), writer, reader, mode);
  return true;
}

bool checkRaces(Warp &w, const Pattern &p, Allocation &a, uint64_t base, Mode mode) {
  Owners &o = owners(a, p.cell);
  uint64_t first = (base - a.begin) / static_cast<uint64_t>(p.cell);
  bool simple = p.contiguous && mode != Mode::Atomic && mode != Mode::LoadRelaxed;
  if (simple && !sweep(Tags(*w.block), &o.writer[first], &o.reader[first], p.high / p.cell, mode))
    return true;
  for (const CellUse &use : p.cells)
    if (!checkCell(w, a, o, first + static_cast<uint64_t>(use.cell), use, p.cell, mode))
      return false;
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
  if (p.contiguous && allOnes(marks, p.high))
    return true;
  for (const CellUse &use : p.cells)
    if (!allOnes(marks + use.cell * p.cell, p.cell)) {
      w.fault(kIllegalAddress, std::countr_zero(use.lanes),
              fmt::format("read of uninitialised global memory ({})",
                          a.describe(base + static_cast<uint64_t>(use.cell * p.cell))));
      return false;
    }
  return true;
}

void markInitialised(const Pattern &p, Allocation &a, uint64_t base) {
  unsigned char *marks = a.initialised.get() + (base - a.begin);
  if (p.contiguous)
    std::memset(marks, 1, static_cast<size_t>(p.high));
  else
    for (const CellUse &use : p.cells)
      std::memset(marks + use.cell * p.cell, 1, static_cast<size_t>(p.cell));
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

void synchronise(Block &block, uint64_t address) {
  auto &released = block.grid.released[address];
  block.acquired.insert(released.begin(), released.end());
  if (!block.fenced)
    return;
  released.insert(block.tag);
  released.insert(block.acquired.begin(), block.acquired.end());
}

} // namespace cudasim
