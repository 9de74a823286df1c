#include "codegen/cuda/tile_copies.h"

#include <algorithm>

namespace gradc {
namespace {

std::string plus(std::string_view a, int64_t b) {
  return b == 0 ? std::string(a) : fmt::format("{} + {}", a, b);
}

std::string both(const std::string &a, const std::string &b) {
  return a.empty() ? b : b.empty() ? a : a + " && " + b;
}

} // namespace

CudaTileCopies::CudaTileCopies(CudaText &text, CudaTileStepTable &table, TileOperand operand, int size,
                               std::string first, CudaAbsence absence, bool async)
    : t_(text), table_(table), operand_(std::move(operand)), size_(size), first_(std::move(first)),
      absence_(std::move(absence)), async_(async) {}

int CudaTileCopies::threads() const {
  if (copiesFour())
    return std::min<int>(size_ / kTileVector * kCudaTileDepth, kCudaTileThreads);
  return std::min(indicesAtOnce() * (operand_.acrossDepth ? kStepsSideBySide : kCudaTileDepth),
                  kCudaTileThreads);
}

int CudaTileCopies::stepsAtOnce() const {
  return copiesFour() ? threads() / static_cast<int>(size_ / kTileVector) : threads() / indicesAtOnce();
}

std::string CudaTileCopies::thread(std::string_view sign, int by) const {
  return fmt::format("int(threadIdx.x) {} {}", sign, by);
}

/// The thread's step of a slab, number `row` of them.
std::string CudaTileCopies::firstStep(int row) const {
  const std::string step = operand_.acrossDepth ? thread("%", kStepsSideBySide)
                           : copiesFour()       ? thread("/", size_ / static_cast<int>(kTileVector))
                                                : thread("/", indicesAtOnce());
  return plus(step, static_cast<int64_t>(row) * stepsAtOnce());
}

void CudaTileCopies::prepare(const std::string &shared) {
  const std::string index = operand_.acrossDepth ? thread("/", kStepsSideBySide)
                            : copiesFour()       ? thread("%", size_ / static_cast<int>(kTileVector)) + " * 4"
                                                 : thread("%", indicesAtOnce());
  const int64_t last = operand_.extent - (copiesFour() ? kTileVector : 1);
  for (int j = 0; j < size_ / indicesAtOnce(); ++j) {
    std::string i = plus(index, static_cast<int64_t>(j) * indicesAtOnce());
    if (first_ != "0")
      i = first_ + " + " + i;
    if (operand_.extent % size_ != 0) // beyond the last index, its elements are read again and not used
      i = fmt::format("min({}, {})", i, last);
    parts_.push_back(operand_.index(t_, t_.define("int", "i", i)));
    from_.push_back(
        t_.define("float *", "from", fmt::format("kept({} + ({}))", operand_.pointer, parts_.back().at)));
  }
  const std::string number = fmt::format("({}) * {} + {}", firstStep(0), cudaTilePitch(size_), index);
  place_ = t_.define("int", "place",
                     async_ ? fmt::format("int(shared_address({} + {}))", shared, number) : number);
  for (int row = 0; row < kCudaTileDepth / stepsAtOnce(); ++row)
    steps_.push_back(&table_.of(firstStep(row), operand_.loops));
  if (!async_) {
    next_ = t_.name("next");
    t_.line("{} {}[{}];", copiesFour() ? "float4" : "float", next_, parts_.size() * steps_.size());
  }
}

void CudaTileCopies::forEachCopy(const std::function<void(const Copy &, const TilePart &)> &write,
                                 bool readsMemory) const {
  const bool some = threads() < kCudaTileThreads;
  if (some)
    t_.open("if (threadIdx.x < {})", threads());
  int number = 0;
  for (size_t row = 0; row < steps_.size(); ++row) {
    const TilePart k = readsMemory ? operand_.depth(t_, steps_[row]->place()) : TilePart{};
    for (size_t part = 0; part < parts_.size(); ++part)
      write({static_cast<int>(row), static_cast<int>(part), number++}, k);
  }
  if (some)
    t_.close();
}

CudaTileCopies::Presence CudaTileCopies::presenceOf(const Copy &copy, const TilePart &k) const {
  const std::string within = steps_[static_cast<size_t>(copy.row)]->exists();
  Presence presence{.condition = both(within, k.exists), .otherwise = absence_.hole, .isHole = ""};
  if (operand_.present)
    presence.condition =
        both(presence.condition, operand_.present(parts_[static_cast<size_t>(copy.part)], k));
  if (!k.exists.empty() && absence_.hole != "0") { // an example that is not there is zero
    presence.isHole =
        within.empty() ? fmt::format("({})", k.exists) : fmt::format("(!({}) || {})", within, k.exists);
    presence.otherwise = fmt::format("({} ? {} : 0)", presence.isHole, absence_.hole);
  }
  return presence;
}

std::string CudaTileCopies::source(const Copy &copy, const TilePart &k) const {
  return fmt::format("{} + ({})", from_[static_cast<size_t>(copy.part)], k.at);
}

std::string CudaTileCopies::destination(const Copy &copy, const std::string &slab) const {
  const int floats = copy.row * stepsAtOnce() * cudaTilePitch(size_) + copy.part * indicesAtOnce();
  return plus(slab + " + " + place_, floats * (async_ ? 4 : 1));
}

/// The condition as a number, which the flag learns of, too.
std::string CudaTileCopies::there(const Presence &presence) {
  const std::string there = t_.define("int", "there", presence.condition);
  if (!absence_.flag.empty())
    t_.line("{} &= {}{};", absence_.flag, there,
            presence.isHole.empty() ? "" : fmt::format(" | !{}", presence.isHole));
  return there;
}

void CudaTileCopies::copyAsync(const std::string &slab) {
  const std::string_view copyName = copiesFour() ? "copy_async4" : "copy_async";
  forEachCopy(
      [&](const Copy &copy, const TilePart &k) {
        const Presence presence = presenceOf(copy, k);
        const std::string place = destination(copy, slab), from = source(copy, k);
        if (presence.condition.empty())
          t_.line("{}({}, {});", copyName, place, from);
        else
          t_.line("{}_or({}, {}, {}, {});", copyName, place, from, there(presence), presence.otherwise);
      },
      true);
}

void CudaTileCopies::fetch() {
  forEachCopy(
      [&](const Copy &copy, const TilePart &k) {
        const Presence presence = presenceOf(copy, k);
        const std::string value =
            fmt::format("*{}({})", copiesFour() ? "(const float4 *)" : "", source(copy, k));
        if (presence.condition.empty())
          return t_.line("{}[{}] = {};", next_, copy.number, value);
        t_.line("{}[{}] = {} ? {} : {};", next_, copy.number, there(presence), value,
                copiesFour() ? fmt::format("float4_of({})", presence.otherwise) : presence.otherwise);
      },
      true);
}

void CudaTileCopies::put(const std::string &to) const {
  forEachCopy(
      [&](const Copy &copy, const TilePart &) {
        t_.line("*({})({}) = {}[{}];", copiesFour() ? "float4 *" : "float *", destination(copy, to), next_,
                copy.number);
      },
      false);
}

} // namespace gradc
