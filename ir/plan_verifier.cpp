// Checks a memory plan by carrying it out on ownership instead of numbers: walks over the kernels in order
// and notes which value every byte of memory holds. A value that is read must still own all its bytes; so
// overlapping live ranges and reads of a donated buffer after its update show up, however the plan was made.
#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "ir/contraction.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "ir/spelling.h"
#include "ir/window_walk.h"

namespace gradc {

namespace {

/// What the bytes of one memory (the arena, a variable, …) hold.
class Memory {
public:
  void write(int64_t begin, int64_t end, ValueId value) {
    std::map<int64_t, Piece> kept;
    for (const auto &[from, piece] : pieces_) {
      if (from < begin)
        kept[from] = {std::min(piece.end, begin), piece.value};
      if (piece.end > end)
        kept[std::max(from, end)] = {piece.end, piece.value};
    }
    kept[begin] = {end, value};
    pieces_ = std::move(kept);
  }

  /// The first value other than `value` that holds bytes of the range, or kNoValue if all are value's.
  ValueId intruder(int64_t begin, int64_t end, ValueId value) const {
    for (const auto &[from, piece] : pieces_)
      if (from < end && begin < piece.end && piece.value != value)
        return piece.value;
    return kNoValue;
  }

private:
  struct Piece {
    int64_t end;
    ValueId value;
  };
  std::map<int64_t, Piece> pieces_; // by begin
};

class PlanVerifier {
public:
  PlanVerifier(const Function &fn, Diagnostics &diag)
      : fn_(fn), diag_(diag), places_(placesOfValues(fn)), content_(fn.numValues()) {
    for (size_t i = 0; i < content_.size(); ++i)
      content_[i] = ValueId{static_cast<uint32_t>(i)};
    if (const int64_t *bytes = fn.attrs.find(kArenaAttr)->as<int64_t>())
      arenaBytes_ = *bytes;
  }

  Result<void> run() {
    const size_t before = diag_.errorCount();
    for (ValueId arg : fn_.body().args)
      write(arg);
    const std::vector<OpId> &ops = fn_.body().ops;
    const std::vector<int64_t> moments = momentsOf(fn_);
    for (size_t begin = 0, end = 0; begin < ops.size(); begin = end) {
      while (end < ops.size() && moments[end] == moments[begin])
        ++end;
      runLaunch(std::span(ops).subspan(begin, end - begin));
    }
    for (size_t i = 0; i < fn_.body().yields.size(); ++i)
      checkResult(static_cast<int64_t>(i));
    if (diag_.errorCount() != before)
      return std::unexpected(diag_.failed());
    return {};
  }

private:
  /// Kernels that run at once: all read, then all write.
  void runLaunch(std::span<const OpId> kernels) {
    if (const int64_t launch = launchOf(fn_, kernels.front());
        launch >= 0 && !launches_.insert(launch).second)
      error(fn_[kernels.front()].loc, "kernels of launch {} are no neighbours", launch);
    if (!std::ranges::all_of(kernels, [&](OpId op) { return checkForm(op); }))
      return;
    for (OpId op : kernels)
      for (ValueId v : fn_[op].operands)
        checkRead(v, fn_[op].loc, "is read");
    for (OpId op : kernels) {
      if (takesNoStep(fn_, op)) {
        for (ValueId v : fn_[op].results) // a view holds what its operand holds
          content_[index(v)] = content_[index(fn_[op].operands[0])];
        continue;
      }
      for (size_t i = 0; i < fn_[op].results.size(); ++i)
        checkWrite(op, static_cast<int>(i));
      for (OpId mate : kernels)
        if (mate != op)
          checkMate(op, mate);
    }
    for (OpId op : kernels)
      if (!takesNoStep(fn_, op))
        for (ValueId v : fn_[op].results)
          write(v);
  }

  /// What a kernel writes, another one of its launch neither reads nor writes.
  void checkMate(OpId op, OpId mate) {
    for (ValueId v : fn_[op].results) {
      for (ValueId read : fn_[mate].operands)
        if (overlap(v, read))
          error(fn_[op].loc, "{} is written at {} while a kernel of the same launch reads {}", nameOf(v),
                toString(placeOf(v)), nameOf(read));
      for (ValueId other : fn_[mate].results)
        if (index(op) < index(mate) && overlap(v, other))
          error(fn_[op].loc, "{} and {}, written in the same launch, overlap at {}", nameOf(v), nameOf(other),
                toString(placeOf(v)));
    }
  }

  template <class... Args>
  void error(const Location &loc, fmt::format_string<Args...> format, Args &&...args) {
    (void)diag_.error(loc, "in {}: {}", symbolText(fn_.name),
                      fmt::format(format, std::forward<Args>(args)...));
  }
  std::string nameOf(ValueId v) const { return valueText(fn_[v].name); }

  const Place &placeOf(ValueId v) const { return *places_[index(v)]; }
  bool hasPlace(ValueId v) const { return places_[index(v)].has_value(); }
  int64_t begin(ValueId v) const { return placeOf(v).space == Place::Space::Arena ? placeOf(v).number : 0; }
  int64_t end(ValueId v) const { return begin(v) + storageBytes(fn_.type(v)); }
  Memory &memoryOf(ValueId v) {
    Place place = placeOf(v);
    if (place.space == Place::Space::Arena)
      place.number = 0;
    return memories_[toString(place)];
  }
  bool overlap(ValueId a, ValueId b) {
    return &memoryOf(a) == &memoryOf(b) && begin(a) < end(b) && begin(b) < end(a);
  }

  void write(ValueId v) {
    if (hasPlace(v))
      memoryOf(v).write(begin(v), end(v), content_[index(v)]);
  }

  bool checkForm(OpId op) {
    if (fn_[op].regions.empty()) {
      error(fn_[op].loc, "{} stands outside of a kernel in a planned function", fn_[op].def->name);
      return false;
    }
    for (ValueId v : fn_[op].results)
      if (!hasPlace(v)) {
        error(fn_[op].loc, "kernel needs a place for each of its {} results, but got {}",
              fn_[op].results.size(),
              fn_[op].attrs.has(kPlaceAttr) ? toString(*fn_[op].attrs.find(kPlaceAttr)) : "none");
        return false;
      }
    return std::ranges::all_of(fn_[op].operands, [&](ValueId v) { return hasPlace(v); });
  }

  void checkRead(ValueId v, const Location &loc, std::string_view how) {
    const ValueId other = memoryOf(v).intruder(begin(v), end(v), content_[index(v)]);
    if (other != kNoValue)
      error(loc, "{} {} at {} after {} overwrote it", nameOf(v), how, toString(placeOf(v)), nameOf(other));
  }

  void checkWrite(OpId op, int result) {
    const ValueId v = fn_[op].results[result];
    const Location &loc = fn_[op].loc;
    switch (placeOf(v).space) {
    case Place::Space::Arena:
      if (begin(v) % kPlaceAlignment != 0)
        error(loc, "{} lies at {}, which is no multiple of {}", nameOf(v), toString(placeOf(v)),
              kPlaceAlignment);
      if (end(v) > arenaBytes_)
        error(loc, "{} ends at byte {} of the arena, which has {}", nameOf(v), end(v), arenaBytes_);
      break;
    case Place::Space::Arg:
      error(loc, "{} is written to {}, but arguments are read only", nameOf(v), toString(placeOf(v)));
      break;
    case Place::Space::Var:
    case Place::Space::Result: checkReturned(v, loc); break;
    }
    for (int other = 0; other < result; ++other)
      if (overlap(v, fn_[op].results[other]))
        error(loc, "results {} and {} overlap at {}", nameOf(fn_[op].results[other]), nameOf(v),
              toString(placeOf(v)));
    for (size_t i = 0; i < fn_[op].operands.size(); ++i)
      if (overlap(v, fn_[op].operands[i]) && !inPlace(op, static_cast<int>(i), result))
        error(loc, "{} is written at {} over {}, which the kernel still reads", nameOf(v),
              toString(placeOf(v)), nameOf(fn_[op].operands[i]));
  }

  /// Memory of variables and results may hold only what the function returns there.
  void checkReturned(ValueId v, const Location &loc) {
    for (size_t i = 0; i < fn_.body().yields.size(); ++i) {
      const ValueId y = fn_.body().yields[i];
      if (hasPlace(y) && placeOf(y) == placeOf(v) && resultPlace(fn_, i) == placeOf(v))
        return;
    }
    error(loc, "{} is written to {}, where the function returns nothing", nameOf(v), toString(placeOf(v)));
  }

  void checkResult(int64_t i) {
    const ValueId v = fn_.body().yields[i];
    if (!hasPlace(v))
      return; // reported where it is computed
    const Place place = resultPlace(fn_, i);
    if (!(placeOf(v) == place))
      error(fn_.body().yieldLoc, "result {}, {}, must lie at {}, but lies at {}", i, nameOf(v),
            toString(place), toString(placeOf(v)));
    else
      checkRead(v, fn_.body().yieldLoc, "is returned");
  }

  /// Whether the result may be written over the operand: same storage, and no element of any result needs an
  /// element of the operand that lies elsewhere. Found from the results backwards.
  bool inPlace(OpId op, int operand, int result) const {
    const RegionData &region = fn_[fn_[op].regions[0]];
    const ValueId v = fn_[op].results[result], o = fn_[op].operands[operand], arg = region.args[operand];
    Type a = fn_.type(o), b = fn_.type(v);
    if (dtypeSize(a.dtype) != dtypeSize(b.dtype) || !(a.shape == b.shape) || a.layout != b.layout ||
        begin(o) != begin(v))
      return false;
    const std::optional<WindowWalk> walk = windowWalk(fn_, fn_[op].regions[0], fn_.type(v));
    Exceptions exceptions{.walk = walk && walk->mayOverwrite ? walk->op : kNoOp};
    if (fn_[op].attrs.str("kind") == "pair")
      exceptions.early = findContraction(fn_, fn_[op].regions[0]);
    const std::vector<bool> late = descendants(fn_, fn_[op].regions[0], exceptions.early);
    if (late[index(region.yields[result])])
      return false;
    return std::ranges::all_of(region.yields, [&](ValueId yield) {
      const bool inStep = !late[index(yield)] && fn_.type(yield).shape == fn_.type(v).shape;
      return readsInStep(region, yield, inStep, arg, fn_.type(v).shape, exceptions);
    });
  }

  struct Exceptions {
    /// Reads its first operand within the window that it writes.
    OpId walk = kNoOp;
    /// Reads a block of its second operand before that is written; what is made of it is stored last.
    OpId early = kNoOp;
  };

  bool readsInStep(const RegionData &region, ValueId from, bool fromStep, ValueId arg, const Shape &shape,
                   const Exceptions &exceptions) const {
    struct Entry {
      ValueId value;
      bool inStep; // only elementwise ops of that shape between the yield and here
    };
    std::vector<Entry> stack{{from, fromStep}};
    std::vector<uint8_t> seen(fn_.numValues());
    while (!stack.empty()) {
      const auto [v, inStep] = stack.back();
      stack.pop_back();
      const uint8_t bit = inStep ? 1 : 2;
      if (seen[index(v)] & bit)
        continue;
      seen[index(v)] |= bit;
      if (v == arg && !inStep)
        return false;
      if (fn_[v].def == kNoOp)
        continue;
      const OpData &op = fn_[fn_[v].def];
      // A reduction over this shape reads the whole row before or between the stores.
      if (op.def->is(kReduction) && inStep && fn_.type(op.operands[0]).shape == shape)
        return false;
      for (size_t i = 0; i < op.operands.size(); ++i) {
        if (fn_[v].def == exceptions.early && i == 1)
          continue;
        const bool walked = fn_[v].def == exceptions.walk && i == 0;
        stack.push_back({op.operands[i], inStep && (op.def->is(kElementwise) || walked)});
      }
    }
    return !std::ranges::any_of(region.ops, [&](OpId op) {
      return fn_[op].def->is(kReduction) && fn_.type(fn_[op].operands[0]).shape == shape;
    });
  }

  const Function &fn_;
  Diagnostics &diag_;
  std::vector<std::optional<Place>> places_;
  std::vector<ValueId> content_; // by value: the value whose elements it shows
  std::map<std::string, Memory> memories_;
  std::set<int64_t> launches_; // met so far
  int64_t arenaBytes_ = 0;
};

} // namespace

Result<void> verifyPlan(const Function &fn, Diagnostics &diag) { return PlanVerifier(fn, diag).run(); }

} // namespace gradc
