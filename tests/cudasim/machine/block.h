// A block in execution, and what the blocks of a launch share.
#pragma once
#include "machine/warp.h"
#include <map>
#include <optional>
#include <set>

namespace cudasim {

struct Grid { // a launch in execution
  const Launch &launch;
  const Program &program;
  Memory &memory;
  const Options &options;
  Counters counters;
  std::vector<uint64_t> entered, left; // by pc: how often a row of instructions began there, ended before
  std::vector<Site> sites;             // by Inst's site
  std::optional<Fault> fault;
  int64_t budget = 0;
  uint32_t tags = 0; // of the launch's own interval, see Memory::nextInterval
  struct Started {
    uint32_t tag; // of the block's first interval
    uint64_t number;
  };
  std::vector<Started> started; // blocks, by tag
  // Blocks that released (fence, then atomic) at an address; a block that acquires there sees what they wrote.
  std::map<uint64_t, std::set<uint32_t>> released;
};

struct Block {
  Grid &grid;
  std::array<uint32_t, 3> index{};
  uint32_t tag = 0, interval = 0; // of its first interval and of the one since the last barrier
  int64_t sharedBytes = 0, localBytes = 0;
  std::vector<unsigned char> shared, local, registers;
  SharedCells cells;
  std::vector<Warp> warps;
  int alive = 0; // threads
  bool fenced = false;
  std::set<uint32_t> acquired; // tags
};

std::string describeThread(const Warp &, int lane); // "thread (3,0,0) of block (1,0,0)"

// Runs a warp until all its lanes wait or have exited; true if anything was executed.
bool runWarp(Warp &);
// At its beginning and at each barrier: what was done before does not race with what comes. False: faulted.
bool beginInterval(Block &);
// Runs a block to its end or the first fault.
void runBlock(Block &);

} // namespace cudasim
