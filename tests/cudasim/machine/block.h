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
  std::vector<uint64_t> executed; // by pc: warp instructions
  std::vector<Site> sites;        // by Inst's site
  std::optional<Fault> fault;
  int64_t budget = 0;
  uint32_t tags = 0; // first of this launch, see Memory::reserveTags
  // Blocks that released (fence, then atomic) at an address; a block that acquires there sees what they wrote.
  std::map<uint64_t, std::set<uint32_t>> released;
};

struct Block {
  Grid &grid;
  std::array<uint32_t, 3> index{};
  uint32_t tag = 0;
  uint32_t epoch = 0; // counts barriers, over all blocks of the launch
  int64_t sharedBytes = 0, localBytes = 0;
  std::vector<unsigned char> shared, sharedInitialised, local, registers;
  std::vector<SharedCell> cells;
  std::vector<Warp> warps;
  int alive = 0; // threads
  bool fenced = false;
  std::set<uint32_t> acquired; // tags
};

std::string describeThread(const Warp &, int lane); // "thread (3,0,0) of block (1,0,0)"

// Runs a warp until all its lanes wait or have exited; true if anything was executed.
bool runWarp(Warp &);
// Runs a block to its end or the first fault.
void runBlock(Block &);

} // namespace cudasim
