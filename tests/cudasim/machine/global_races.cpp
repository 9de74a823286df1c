#include "machine/block.h"
#include "machine/races.h"
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace cudasim {
namespace {

// The tags of a launch (Memory::reserveTags).
struct Tags {
  uint32_t many, atomic, mine;
  explicit Tags(const Block &block) : many(block.grid.tags), atomic(many + 1), mine(block.tag) {}
  bool now(uint32_t tag) const { return tag >= many; } // of this launch
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
  uint32_t number = tag - grid.tags - 2;
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
  bool ordered = writer == tags.mine || block.acquired.contains(writer) ||
                 (writer == tags.atomic &&
                  (mode == Mode::Atomic || mode == Mode::LoadRelaxed || !block.acquired.empty()));
  if (written && !ordered)
    return writes(mode) ? "overwrites what" : "reads what";
  bool readByOthers = tags.now(reader) && reader != tags.mine && !block.acquired.contains(reader);
  return writes(mode) && readByOthers ? "overwrites what another block reads, and" : nullptr;
}

void report(Warp &w, const Allocation &a, uint64_t cellAddress, uint32_t lanes, uint32_t writer,
            const char *what) {
  Tags tags(*w.block);
  std::string who = !tags.now(writer)       ? ""
                    : writer == tags.atomic ? " an atomic wrote in this launch"
                    : writer == tags.mine
                        ? " this block wrote in this launch"
                        : fmt::format(" {} wrote in this launch", blockOf(w.block->grid, writer));
  std::string text = fmt::format("race between blocks: {}{}", what, who);
  if (text.ends_with(", and"))
    text.resize(text.size() - 5);
  w.fault(kLaunchFailed, std::countr_zero(lanes), fmt::format("{} ({})", text, a.describe(cellAddress)));
}

// One cell's new owners; true if something may be wrong.
struct Step {
  uint32_t many, atomic, mine;
  bool load(uint32_t &writer, uint32_t &reader) const {
    bool bad = (writer >= many) & (writer != mine);
    reader = reader < many || reader == mine ? mine : many;
    return bad;
  }
  bool store(uint32_t &writer, uint32_t &reader) const {
    bool bad = ((writer >= many) & (writer != mine)) | ((reader >= many) & (reader != mine));
    writer = mine;
    return bad;
  }
  bool atomically(uint32_t &writer, uint32_t &reader) const {
    bool bad = ((writer > atomic) & (writer != mine)) | ((reader >= many) & (reader != mine));
    writer = atomic;
    return bad;
  }
};

// The common case: a row of cells without conflicts, in a loop that vectorises. True: a conflict is there, look closer.
bool sweep(const Step &step, uint32_t *writer, uint32_t *reader, int64_t count, Mode mode) {
  uint32_t bad = 0;
  if (mode == Mode::Store) {
    for (int64_t k = 0; k < count; ++k)
      bad |= ((writer[k] >= step.many) & (writer[k] != step.mine)) |
             ((reader[k] >= step.many) & (reader[k] != step.mine));
  } else {
    for (int64_t k = 0; k < count; ++k)
      bad |= (writer[k] >= step.many) & (writer[k] != step.mine || mode == Mode::LoadNonCoherent);
  }
  if (bad)
    return true;
  if (mode == Mode::Store) {
    for (int64_t k = 0; k < count; ++k)
      writer[k] = step.mine;
  } else {
    for (int64_t k = 0; k < count; ++k)
      reader[k] = reader[k] < step.many || reader[k] == step.mine ? step.mine : step.many;
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
  Tags tags(*w.block);
  Step step{tags.many, tags.atomic, tags.mine};
  mode == Mode::Store    ? step.store(writer, reader)
  : mode == Mode::Atomic ? step.atomically(writer, reader)
                         : step.load(writer, reader);
  return true;
}

bool checkRaces(Warp &w, const Pattern &p, Allocation &a, uint64_t base, Mode mode) {
  Owners &o = owners(a, p.cell);
  uint64_t first = (base - a.begin) / static_cast<uint64_t>(p.cell);
  if (p.contiguous && mode != Mode::Atomic) {
    Tags tags(*w.block);
    if (!sweep({tags.many, tags.atomic, tags.mine}, &o.writer[first], &o.reader[first], p.high / p.cell,
               mode))
      return true;
  }
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
