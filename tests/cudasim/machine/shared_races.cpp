// What is remembered of shared memory between two barriers: who wrote and read each cell, and whether it was written at all.
#include "machine/block.h"
#include "machine/races.h"
#include <algorithm>
#include <bit>
#include <cstring>
#include <fmt/format.h>

namespace cudasim {
namespace {

// A cell's writer: 0 nobody since the last barrier, else these bits. Bit 31: nobody may read it.
constexpr uint32_t kUnreadable = SharedCells::kUnreadable, kWritten = 1U << 30, kAtomic = 1U << 29;
constexpr int kSyncShift = 10, kSyncBits = 16;

uint32_t threadOf(uint32_t writer) { return writer & ((1U << kSyncShift) - 1); }

// What the lanes of this warp leave, but for the lane.
uint32_t markOf(const Warp &w, Mode mode) {
  return kWritten | (mode == Mode::Atomic ? kAtomic : 0) | static_cast<uint32_t>(w.syncEpoch) << kSyncShift |
         static_cast<uint32_t>(w.id * kLanes);
}

bool sameWarp(const Warp &w, uint32_t writer) {
  return threadOf(writer) / kLanes == static_cast<uint32_t>(w.id);
}

// Within a warp lanes see each other's writes after bar.warp.sync only.
bool racesWithWriter(const Warp &w, uint32_t writer, uint32_t lanes) {
  if (!(writer & kWritten))
    return false;
  if (!sameWarp(w, writer))
    return true;
  bool others = (lanes & ~(1U << threadOf(writer) % kLanes)) != 0;
  return others && (writer >> kSyncShift & ((1U << kSyncBits) - 1)) == w.syncEpoch;
}

std::string place(uint64_t cell, const Program &program) {
  return fmt::format("byte {} of shared memory", cell * static_cast<uint64_t>(program.sharedCell));
}

void report(Warp &w, uint32_t writer, uint32_t lanes, uint64_t number, std::string_view what, bool saysWho) {
  bool own = (writer & kWritten) && sameWarp(w, writer);
  uint32_t others = own ? lanes & ~(1U << threadOf(writer) % kLanes) : lanes;
  w.fault(kLaunchFailed, std::countr_zero(others ? others : lanes),
          fmt::format("race in shared memory: {}{} since the last {} ({})", what,
                      saysWho ? fmt::format(" thread {} wrote", threadOf(writer)) : "",
                      own ? "__syncwarp" : "barrier", place(number, w.block->grid.program)));
}

bool checkRead(Warp &w, uint64_t number, uint32_t lanes, Mode mode) {
  SharedCells &cells = w.block->cells;
  uint32_t writer = cells.writer[number];
  if (racesWithWriter(w, writer, lanes) && !((writer & kAtomic) && mode == Mode::LoadRelaxed)) {
    report(w, writer, lanes, number, "reads what", true);
    return false;
  }
  cells.readers[number] |= 1U << w.id;
  return true;
}

bool checkWrite(Warp &w, uint64_t number, uint32_t lanes, Mode mode) {
  SharedCells &cells = w.block->cells;
  uint32_t &writer = cells.writer[number];
  bool bothAtomic = mode == Mode::Atomic && (writer & kAtomic);
  if (!bothAtomic && racesWithWriter(w, writer, lanes)) {
    report(w, writer, lanes, number, "overwrites what", true);
    return false;
  }
  if (cells.readers[number] & ~(1U << w.id)) {
    report(w, writer, lanes, number, "overwrites what another warp read", false);
    return false;
  }
  writer = markOf(w, mode) + 31 - static_cast<uint32_t>(std::countl_zero(lanes));
  return true;
}

// The common case: nobody wrote these cells since the last barrier, and all may be read.
bool readRun(const uint32_t *writer, uint32_t *readers, int32_t count, uint32_t reader) {
  uint32_t bad = 0;
#pragma GCC ivdep
  for (int32_t k = 0; k < count; ++k) {
    bad |= writer[k];
    readers[k] |= reader;
  }
  return !bad;
}

// The common case: nobody else touched these cells since the last barrier.
bool writeRun(uint32_t *writer, const uint32_t *readers, const uint8_t *last, int32_t count, uint32_t mark,
              uint32_t others) {
  uint32_t bad = 0;
  for (int32_t k = 0; k < count; ++k)
    bad |= (writer[k] & ~kUnreadable) | (readers[k] & others);
  if (bad)
    return false;
  for (int32_t k = 0; k < count; ++k)
    writer[k] = mark + last[k];
  return true;
}

template <class F> bool forCells(const Pattern &p, const Run &run, uint64_t first, F f) {
  for (int32_t k = 0; k < run.count; ++k)
    if (!f(first + static_cast<uint64_t>(run.cell + k), p.lanes[static_cast<size_t>(run.index + k)]))
      return false;
  return true;
}

bool checkReadable(Warp &w, const Pattern &p, const Run &run, uint64_t first) {
  return forCells(p, run, first, [&](uint64_t number, uint32_t lanes) {
    if (!(w.block->cells.writer[number] & kUnreadable))
      return true;
    w.fault(kLaunchFailed, std::countr_zero(lanes),
            fmt::format("read of uninitialised shared memory ({})", place(number, w.block->grid.program)));
    return false;
  });
}

// Without a check for races a cell is readable (0) or not.
bool touchUnraced(Warp &w, const Pattern &p, uint64_t first, Mode mode) {
  uint32_t *writer = w.block->cells.writer.data() + first;
  for (const Run &run : p.runs)
    if (mode == Mode::Store)
      std::fill_n(writer + run.cell, run.count, 0);
    else if (!checkReadable(w, p, run, first))
      return false;
  return true;
}

bool touchReads(Warp &w, const Pattern &p, uint64_t first, Mode mode) {
  SharedCells &cells = w.block->cells;
  for (const Run &run : p.runs) {
    uint64_t begin = first + static_cast<uint64_t>(run.cell);
    if (readRun(&cells.writer[begin], &cells.readers[begin], run.count, 1U << w.id))
      continue;
    auto check = [&](uint64_t number, uint32_t lanes) { return checkRead(w, number, lanes, mode); };
    if (!checkReadable(w, p, run, first) || !forCells(p, run, first, check))
      return false;
  }
  return true;
}

bool touchWrites(Warp &w, const Pattern &p, uint64_t first, Mode mode) {
  SharedCells &cells = w.block->cells;
  uint32_t mark = markOf(w, mode), others = ~(1U << w.id);
  for (const Run &run : p.runs) {
    if (mode == Mode::Atomic && !checkReadable(w, p, run, first))
      return false;
    uint64_t begin = first + static_cast<uint64_t>(run.cell);
    const uint8_t *last = p.lastLane.data() + run.index;
    if (writeRun(&cells.writer[begin], &cells.readers[begin], last, run.count, mark, others))
      continue;
    auto check = [&](uint64_t number, uint32_t lanes) { return checkWrite(w, number, lanes, mode); };
    if (!forCells(p, run, first, check))
      return false;
  }
  return true;
}

} // namespace

bool touchShared(Warp &w, const Pattern &p, uint64_t base, Mode mode) {
  uint64_t first = base / static_cast<uint64_t>(p.cell);
  if (!w.block->grid.options.races)
    return touchUnraced(w, p, first, mode);
  return writes(mode) ? touchWrites(w, p, first, mode) : touchReads(w, p, first, mode);
}

void SharedCells::beginBlock(bool uninitialised) {
  std::fill(writer.begin(), writer.end(), uninitialised ? kUnreadable : 0);
  std::fill(readers.begin(), readers.end(), 0);
}

void SharedCells::passBarrier() {
  for (uint32_t &cell : writer)
    cell &= kUnreadable;
  std::fill(readers.begin(), readers.end(), 0);
}

void poisonShared(Block &block, const Pattern &p, int64_t base) {
  uint32_t unreadable = block.grid.options.uninitialised ? kUnreadable : 0;
  for (const Run &run : p.runs) {
    int64_t first = base / p.cell + run.cell;
    std::memset(block.shared.data() + first * p.cell, 0xFF, static_cast<size_t>(run.count * p.cell));
    for (int32_t k = 0; k < run.count; ++k)
      block.cells.writer[static_cast<size_t>(first + k)] |= unreadable;
  }
}

void landShared(Warp &w, uint32_t landing, const uint32_t *places, uint32_t bytes) {
  Block &block = *w.block;
  auto size = static_cast<uint32_t>(block.grid.program.sharedCell);
  uint32_t mark = block.grid.options.races ? markOf(w, Mode::Store) : 0;
  uint32_t lane = mark ? 1 : 0, count = bytes / size;
  uint32_t *writer = block.cells.writer.data();
  forEach(landing, [&](int l) {
    uint32_t *cell = writer + places[l] / size;
    for (uint32_t k = 0; k < count; ++k)
      cell[k] = mark + lane * static_cast<uint32_t>(l);
  });
}

} // namespace cudasim
