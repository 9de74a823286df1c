// Runs a warp: lanes that diverged are groups, the one at the lowest instruction goes first, groups that meet again merge.
#include "machine/block.h"
#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace cudasim {
namespace {

// Instructions after which a group lets another one run, should it spin for its sake.
constexpr int kPatience = 100'000;

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

  uint32_t activeLanes(const Inst &i) const {
    if (i.predicate < 0)
      return mask;
    uint32_t p = predicate(w, i.predicate);
    return mask & (i.negated ? ~p : p);
  }

  // Instructions in a row, of whose lanes some were idle.
  void count(const Inst *first, const Inst *last, int64_t idle) {
    int64_t executed = last - first;
    ++grid.entered[static_cast<size_t>(first - code)];
    ++grid.left[static_cast<size_t>(last - code)];
    grid.counters.laneInstructions += static_cast<uint64_t>(executed * std::popcount(mask) - idle);
    grid.budget -= executed;
  }

  // Up to the next instruction that the scheduler has to do with; false: faulted or met another group.
  bool runPlain() {
    const Inst *const first = code + pc, *const end =
                                             code + std::min<size_t>(limit, grid.program.code.size());
    const Inst *i = first;
    int64_t idle = 0;
    for (; i != end && i->flow == Flow::Plain; ++i) {
      uint32_t active = activeLanes(*i);
      if (active != mask)
        idle += std::popcount(mask & ~active);
      if (!active)
        continue;
      w.current = i;
      w.mask = active;
      i->run(w, *i);
      if (grid.fault)
        return false;
    }
    if (i != first)
      count(first, i, idle);
    pc = static_cast<uint32_t>(i - code);
    if (pc < limit)
      return true;
    put(Group::Ready);
    return false;
  }

  Next step() {
    const Inst &i = code[pc];
    if (i.flow == Flow::Sync && !w.groups.empty())
      joinWaiting();
    uint32_t active = activeLanes(i);
    w.current = &i;
    count(&i, &i + 1, std::popcount(mask & ~active));
    if (grid.budget < 0)
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

} // namespace

bool runWarp(Warp &w) { return WarpRunner(w).run(); }

} // namespace cudasim
