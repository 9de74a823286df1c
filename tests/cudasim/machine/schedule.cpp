// Runs the warps of a block: lanes that diverged are groups, the one at the lowest instruction goes first, groups that
// meet again merge. Barriers wait for all living threads.
#include "machine/block.h"
#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace cudasim {
namespace {

constexpr int kPatience =
    100'000; // instructions after which a group lets another one run, should it spin for its sake

class WarpRunner {
public:
  explicit WarpRunner(Warp &w) : w(w), grid(w.block->grid), code(grid.program.code.data()) {}

  bool run() {
    bool progress = false;
    while (!grid.fault && choose()) {
      progress = true;
      runGroup();
    }
    return progress;
  }

private:
  enum class Next { Continue, Choose };

  // Takes the group to run out of the list, with all others that stand at the same instruction.
  bool choose() {
    int best = -1;
    for (size_t g = 0; g < w.groups.size(); ++g)
      if (w.groups[g].state == Group::Ready && (best < 0 || before(w.groups[g], w.groups[best])))
        best = static_cast<int>(g);
    if (best < 0)
      return false;
    pc = w.groups[best].pc;
    mask = 0;
    std::erase_if(w.groups, [&](const Group &g) {
      bool joins = g.pc == pc && g.state != Group::AtBarrier;
      mask |= joins ? g.lanes : 0;
      return joins;
    });
    limit = UINT32_MAX; // from here on another group comes first, or is met
    others = false;
    for (const Group &g : w.groups)
      if (g.state != Group::AtBarrier) {
        limit = std::min(limit, g.pc > pc ? g.pc : UINT32_MAX);
        others |= g.state == Group::Ready;
      }
    return true;
  }

  void joinWaiting() {
    std::erase_if(w.groups, [&](const Group &g) {
      bool joins = g.pc == pc && g.state == Group::AtSync;
      mask |= joins ? g.lanes : 0;
      return joins;
    });
  }

  bool before(const Group &a, const Group &b) const { return rotate ? a.pc > b.pc : a.pc < b.pc; }

  void put(Group::State state) { w.groups.push_back({pc, mask, state}); }

  void runGroup() {
    int64_t begin = grid.budget;
    while (runPlain() && step() == Next::Continue) {
      if (grid.fault)
        return;
      if (pc >= limit)
        return put(Group::Ready);
      if (others && begin - grid.budget > kPatience) {
        rotate = !rotate; // the others first: one of them may hold what this group spins for
        return put(Group::Ready);
      }
    }
  }

  uint32_t count(const Inst &i) {
    uint32_t active = mask;
    if (i.predicate >= 0) {
      uint32_t p = predicate(w, i.predicate);
      active &= i.negated ? ~p : p;
    }
    ++grid.executed[pc];
    grid.counters.laneInstructions += static_cast<uint64_t>(std::popcount(active));
    w.current = &i;
    return active;
  }

  // Up to the next instruction that the scheduler has to do with; false: faulted or met another group.
  bool runPlain() {
    uint32_t start = pc;
    for (const Inst *i = code + pc; i->flow == Flow::Plain; i = code + pc) {
      if (uint32_t active = count(*i)) {
        w.mask = active;
        i->run(w, *i);
        if (grid.fault)
          return false;
      }
      if (++pc >= limit) {
        put(Group::Ready);
        grid.budget -= pc - start;
        return false;
      }
    }
    grid.budget -= pc - start;
    return true;
  }

  Next step() {
    const Inst &i = code[pc];
    if (i.flow == Flow::Sync && !w.groups.empty())
      joinWaiting();
    uint32_t active = count(i);
    if (--grid.budget < 0)
      return outOfBudget(i);
    switch (i.flow) {
    case Flow::Branch: return branch(i, active);
    case Flow::Exit: return exit(active);
    case Flow::Barrier: return barrier(active);
    case Flow::Sync: return sync(i, active);
    case Flow::Plain: break;
    }
    return Next::Choose;
  }

  Next outOfBudget(const Inst &i) {
    w.current = &i;
    w.mask = mask;
    w.fault(kLaunchTimeout, std::countr_zero(mask),
            fmt::format("the launch executed {} warp instructions: an endless loop?", grid.options.budget));
    return Next::Choose;
  }

  Next branch(const Inst &i, uint32_t taken) {
    if (taken == mask) {
      pc = i.target;
      return Next::Continue;
    }
    if (!taken) {
      ++pc;
      return Next::Continue;
    }
    ++grid.counters.divergentBranches;
    w.groups.push_back({i.target, taken, Group::Ready});
    w.groups.push_back({pc + 1, mask & ~taken, Group::Ready});
    return Next::Choose;
  }

  Next exit(uint32_t leaving) {
    w.exited |= leaving;
    w.block->alive -= std::popcount(leaving);
    mask &= ~leaving;
    ++pc;
    return mask ? Next::Continue : Next::Choose;
  }

  Next barrier(uint32_t arriving) {
    if (arriving != mask) {
      w.mask = mask;
      w.fault(kLaunchFailed, std::countr_zero(mask & ~arriving),
              "divergent barrier: its predicate differs within the warp");
      return Next::Choose;
    }
    put(Group::AtBarrier);
    return Next::Choose;
  }

  // Every lane that the member mask names must come to this instruction, with the same mask.
  Next sync(const Inst &i, uint32_t arriving) {
    if (!arriving) {
      ++pc;
      return Next::Continue;
    }
    w.mask = arriving;
    uint32_t members = kAllLanes;
    if (i.mask >= 0 && !memberMask(i, arriving, members))
      return Next::Choose;
    uint32_t missing = members & w.full & ~w.exited & ~arriving;
    if (missing) {
      put(Group::AtSync);
      return Next::Choose;
    }
    i.run(w, i);
    ++pc;
    return Next::Continue;
  }

  bool memberMask(const Inst &i, uint32_t arriving, uint32_t &members) {
    const uint32_t *masks = lanes<uint32_t>(w, i.mask);
    members = 0;
    for (uint32_t left = arriving; left; left &= left - 1)
      members |= masks[std::countr_zero(left)];
    for (uint32_t left = arriving; left; left &= left - 1) {
      int lane = std::countr_zero(left);
      if (!(masks[lane] >> lane & 1)) {
        w.fault(
            kLaunchFailed, lane,
            fmt::format("the member mask {:#010x} does not name the executing lane {}", masks[lane], lane));
        return false;
      }
    }
    return true;
  }

  Warp &w;
  Grid &grid;
  const Inst *code;
  uint32_t pc = 0, mask = 0, limit = UINT32_MAX;
  bool others = false, rotate = false;
};

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
  ++block.epoch;
  for (Warp &w : block.warps)
    for (Group &g : w.groups) {
      if (i.a)
        deliver(w, i, votes, g.lanes);
      g.state = Group::Ready;
      ++g.pc;
    }
}

} // namespace

bool runWarp(Warp &w) { return WarpRunner(w).run(); }

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
