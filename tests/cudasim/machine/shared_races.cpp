#include "machine/block.h"
#include "machine/races.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace cudasim {
namespace {

bool allOnes(const unsigned char *marks, int bytes) {
  return std::all_of(marks, marks + bytes, [](unsigned char mark) { return mark != 0; });
}

std::string place(uint64_t cell, const Program &program) {
  return fmt::format("byte {} of shared memory", cell * static_cast<uint64_t>(program.sharedCell));
}

// Within a warp lanes see each other's writes after bar.warp.sync only.
bool racesWithWriter(const Warp &w, const SharedCell &cell, uint32_t lanes) {
  if (cell.writeEpoch != w.block->epoch)
    return false;
  if (cell.writer / kLanes != w.id)
    return true;
  bool others = (lanes & ~(1U << cell.writer % kLanes)) != 0;
  return others && cell.writerSync == w.syncEpoch;
}

void report(Warp &w, const SharedCell &cell, const CellUse &use, uint64_t number, std::string_view what,
            Mode mode) {
  std::string_view fence =
      cell.writer / kLanes == w.id && cell.writeEpoch == w.block->epoch ? "__syncwarp" : "barrier";
  uint32_t others = cell.writer / kLanes == w.id ? use.lanes & ~(1U << cell.writer % kLanes) : use.lanes;
  int lane = std::countr_zero(others ? others : use.lanes);
  std::string who = what.find("read") == std::string_view::npos || !writes(mode)
                        ? fmt::format(" thread {} wrote", cell.writer)
                        : "";
  w.fault(kLaunchFailed, lane,
          fmt::format("race in shared memory: {}{} since the last {} ({})", what, who, fence,
                      place(number, w.block->grid.program)));
}

bool checkRead(Warp &w, SharedCell &cell, const CellUse &use, uint64_t number, Mode mode) {
  if (racesWithWriter(w, cell, use.lanes) && !(cell.atomic && mode == Mode::LoadRelaxed)) {
    report(w, cell, use, number, "reads what", mode);
    return false;
  }
  if (cell.readEpoch != w.block->epoch) {
    cell.readEpoch = w.block->epoch;
    cell.readers = 0;
  }
  cell.readers |= 1U << w.id;
  return true;
}

bool checkWrite(Warp &w, SharedCell &cell, const CellUse &use, uint64_t number, Mode mode) {
  bool bothAtomic = mode == Mode::Atomic && cell.atomic;
  if (!bothAtomic && racesWithWriter(w, cell, use.lanes)) {
    report(w, cell, use, number, "overwrites what", mode);
    return false;
  }
  bool othersRead = cell.readEpoch == w.block->epoch && (cell.readers & ~(1U << w.id));
  if (othersRead) {
    report(w, cell, use, number, "overwrites what another warp read", mode);
    return false;
  }
  cell.writeEpoch = w.block->epoch;
  cell.writer = static_cast<uint16_t>(w.id * kLanes + 31 - std::countl_zero(use.lanes));
  cell.writerSync = w.syncEpoch;
  cell.atomic = mode == Mode::Atomic;
  return true;
}

// Whether all bytes of these cells were written.
bool allInitialised(const Block &block, const Pattern &p, uint64_t first) {
  const unsigned char *marks = block.sharedInitialised.data() + first * static_cast<uint64_t>(p.cell);
  uint32_t all = ~0U;
  if (p.cell == 4) {
    for (const CellUse &use : p.cells) {
      uint32_t word;
      std::memcpy(&word, marks + use.cell * 4, 4);
      all &= word;
    }
    return all == 0x01010101U;
  }
  for (const CellUse &use : p.cells)
    all &= marks[use.cell];
  return all & 1;
}

bool reportUninitialised(Warp &w, const Pattern &p, uint64_t first) {
  const Block &block = *w.block;
  for (const CellUse &use : p.cells) {
    uint64_t number = first + static_cast<uint64_t>(use.cell);
    if (allOnes(block.sharedInitialised.data() + number * static_cast<uint64_t>(p.cell), p.cell))
      continue;
    w.fault(kLaunchFailed, std::countr_zero(use.lanes),
            fmt::format("read of uninitialised shared memory ({})", place(number, block.grid.program)));
    return false;
  }
  return true;
}

bool checkReads(Warp &w, const Pattern &p, uint64_t first, Mode mode) {
  uint32_t epoch = w.block->epoch, reader = 1U << w.id;
  SharedCell *cells = w.block->cells.data() + first;
  for (const CellUse &use : p.cells) {
    SharedCell &cell = cells[use.cell];
    if (cell.writeEpoch != epoch && cell.readEpoch == epoch)
      cell.readers |= reader;
    else if (!checkRead(w, cell, use, first + static_cast<uint64_t>(use.cell), mode))
      return false;
  }
  return true;
}

bool checkWrites(Warp &w, const Pattern &p, uint64_t first, Mode mode) {
  SharedCell *cells = w.block->cells.data() + first;
  for (const CellUse &use : p.cells)
    if (!checkWrite(w, cells[use.cell], use, first + static_cast<uint64_t>(use.cell), mode))
      return false;
  return true;
}

void markInitialised(Block &block, const Pattern &p, uint64_t first) {
  unsigned char *marks = block.sharedInitialised.data() + first * static_cast<uint64_t>(p.cell);
  for (const CellUse &use : p.cells)
    std::memset(marks + use.cell * p.cell, 1, static_cast<size_t>(p.cell));
}

} // namespace

bool touchShared(Warp &w, const Pattern &p, uint64_t base, Mode mode) {
  Block &block = *w.block;
  const Options &options = block.grid.options;
  uint64_t first = base / static_cast<uint64_t>(p.cell);
  if (mode == Mode::Store)
    markInitialised(block, p, first);
  else if (options.uninitialised && !allInitialised(block, p, first))
    return reportUninitialised(w, p, first);
  if (!options.races)
    return true;
  return writes(mode) ? checkWrites(w, p, first, mode) : checkReads(w, p, first, mode);
}

namespace {
// 4, 8 or 16 bytes.
void set(unsigned char *place, int value, uint32_t bytes) {
  for (uint32_t k = 0; k < bytes; k += 4)
    std::memset(place + k, value, 4);
}
} // namespace

void poisonShared(Block &block, uint64_t address, uint32_t bytes) {
  set(block.shared.data() + address, 0xFF, bytes);
  set(block.sharedInitialised.data() + address, 0, bytes);
}

void landShared(Warp &w, int lane, uint64_t address, uint32_t bytes) {
  Block &block = *w.block;
  set(block.sharedInitialised.data() + address, 1, bytes);
  if (!block.grid.options.races)
    return;
  auto size = static_cast<uint64_t>(block.grid.program.sharedCell);
  for (uint64_t number = address / size; number < (address + bytes) / size; ++number) {
    SharedCell &cell = block.cells[number];
    cell.writeEpoch = block.epoch;
    cell.writer = static_cast<uint16_t>(w.id * kLanes + lane);
    cell.writerSync = w.syncEpoch;
    cell.atomic = false;
  }
}

} // namespace cudasim
