// Runs a block: its warps in turns until all living threads wait at one barrier, and on.
#include "machine/block.h"
#include <bit>
#include <fmt/format.h>
#include <utility>

namespace cudasim {
namespace {

// Threads that wait, whether all at one barrier, and a report of those that keep them waiting.
class BarrierCheck {
public:
  explicit BarrierCheck(Block &block) : block(block) {
    for (Warp &w : block.warps)
      for (const Group &g : w.groups)
        count(w, g);
  }

  bool complete() const { return waiting == block.alive && same; }
  uint32_t pc() const { return at; }

  void report() {
    Warp &w = *(stuck ? stuck : first);
    const Group &g = stuck ? stuckGroup : firstGroup;
    w.current = &block.grid.program.code[g.pc];
    w.mask = g.lanes;
    int lane = std::countr_zero(g.lanes);
    if (stuck)
      return w.fault(
          kLaunchFailed, lane,
          fmt::format("lanes {:#010x} wait here for lanes that the member mask names and that do not come",
                      g.lanes));
    if (!same)
      return w.fault(kLaunchFailed, lane,
                     "divergent barrier: threads of one block wait at different barriers");
    w.fault(kLaunchFailed, lane,
            fmt::format("divergent barrier: {} of {} living threads wait here for the others", waiting,
                        block.alive));
  }

private:
  void count(Warp &w, const Group &g) {
    if (g.state == Group::AtSync && !stuck)
      stuck = &w, stuckGroup = g;
    if (g.state != Group::AtBarrier)
      return;
    waiting += std::popcount(g.lanes);
    if (!first)
      first = &w, firstGroup = g, at = g.pc;
    same &= at == g.pc;
  }

  Block &block;
  int waiting = 0;
  bool same = true;
  uint32_t at = 0;
  Warp *first = nullptr, *stuck = nullptr;
  Group firstGroup{}, stuckGroup{};
};

// bar.red: what the predicate is over all threads.
struct Votes {
  uint32_t count = 0;
  bool any = false, all = true;
};

Votes collect(Block &block, const Inst &i) {
  Votes votes;
  for (Warp &w : block.warps)
    for (const Group &g : w.groups) {
      uint32_t p = (i.b ? ~predicate(w, i.slots[1]) : predicate(w, i.slots[1])) & g.lanes;
      votes.count += static_cast<uint32_t>(std::popcount(p));
      votes.any |= p != 0;
      votes.all &= p == g.lanes;
    }
  return votes;
}

void deliver(Warp &w, const Inst &i, const Votes &votes, uint32_t lanesMask) {
  w.mask = lanesMask;
  if (i.a == 1)
    forEach(lanesMask, [&](int l) { lanes<uint32_t>(w, i.slots[0])[l] = votes.count; });
  else
    setPredicate(w, i.slots[0], (i.a == 2 ? votes.any : votes.all) ? kAllLanes : 0);
}

void passBarrier(Block &block, uint32_t pc) {
  const Inst &i = block.grid.program.code[pc];
  Votes votes = i.a ? collect(block, i) : Votes{};
  ++block.grid.counters.barriers;
  if (!beginInterval(block))
    return;
  if (block.grid.options.races)
    block.cells.passBarrier();
  for (Warp &w : block.warps)
    for (Group &g : w.groups) {
      if (i.a)
        deliver(w, i, votes, g.lanes);
      g.state = Group::Ready;
      ++g.pc;
    }
}

} // namespace

bool beginInterval(Block &block) {
  Grid &grid = block.grid;
  if (!grid.memory.intervalsLeft()) {
    grid.fault =
        Fault{kLaunchFailed, fmt::format("kernel {}: more blocks and barriers than the checks for races can "
                                         "tell apart",
                                         grid.program.kernel)};
    return false;
  }
  block.interval = grid.memory.nextInterval();
  return true;
}

void runBlock(Block &block) {
  std::vector<size_t> order(block.warps.size());
  for (size_t k = 0; k < order.size(); ++k)
    order[k] = k;
  uint64_t state = block.grid.options.seed * 0x9E3779B97F4A7C15ULL + block.tag;
  while (block.alive > 0 && !block.grid.fault) {
    if (block.grid.options.seed != 0)
      for (size_t k = order.size(); k > 1; --k) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        std::swap(order[k - 1], order[(state >> 33) % k]);
      }
    for (size_t k : order)
      runWarp(block.warps[k]);
    if (block.alive == 0 || block.grid.fault)
      return;
    BarrierCheck check(block);
    if (!check.complete())
      return check.report();
    passBarrier(block, check.pc());
  }
}

} // namespace cudasim
