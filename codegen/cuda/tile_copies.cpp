#include "codegen/cuda/tile_copies.h"

#include <algorithm>

#include "support/tiling.h"

namespace gradc {
namespace {

std::string plus(std::string_view a, int64_t b) {
  return b == 0 ? std::string(a) : fmt::format("{} + {}", a, b);
}

std::string both(const std::string &a, const std::string &b) {
  return a.empty() ? b : b.empty() ? a : a + " && " + b;
}

} // namespace

bool cudaHasTapMasks(const TileOperand &operand) {
  constexpr int64_t kBits = 32;
  return operand.present && operand.channelsWithin && operand.loops.back() % kCudaTileDepth == 0 &&
         operand.loops[0] * operand.loops[1] <= kBits;
}

CudaTileCopies::CudaTileCopies(CudaText &text, CudaTileStepTable &table, TileOperand operand, int size,
                               std::string first, CudaAbsence absence, bool async)
    : t_(text), table_(table), operand_(std::move(operand)), size_(size), first_(std::move(first)),
      absence_(std::move(absence)), async_(async), aligned_(cudaStepsAlign(operand_.loops)) {}

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

/// Beyond the last index, its elements are read again and not used.
std::string CudaTileCopies::indexOf(std::string_view inTile) const {
  const std::string i = first_ == "0" ? std::string(inTile) : fmt::format("{} + {}", first_, inTile);
  return operand_.extent % size_ == 0
             ? i
             : fmt::format("min({}, {})", i, operand_.extent - (copiesFour() ? kTileVector : 1));
}

void CudaTileCopies::prepare(const std::string &shared) {
  const std::string index = operand_.acrossDepth ? thread("/", kStepsSideBySide)
                            : copiesFour()       ? thread("%", size_ / static_cast<int>(kTileVector)) + " * 4"
                                                 : thread("%", indicesAtOnce());
  prepareSteps();
  const std::string own = aligned_ ? operand_.depth(t_, inSlab_).at : "";
  for (int j = 0; j < size_ / indicesAtOnce(); ++j) {
    const std::string i = indexOf(plus(index, static_cast<int64_t>(j) * indicesAtOnce()));
    parts_.push_back(operand_.index(t_, t_.define("int", "i", i)));
    from_.push_back(t_.define(
        "float *", "from",
        fmt::format("kept({} + ({}{}))", operand_.pointer, parts_.back().at, aligned_ ? " + " + own : "")));
  }
  if (hasTapMasks()) {
    std::vector<std::string> indices;
    for (size_t j = 0; j < parts_.size(); ++j)
      indices.push_back(plus(index, static_cast<int64_t>(j) * indicesAtOnce()));
    masks_ = t_.name("taps");
    writeTapMasks(indices, masks_);
  }
  const std::string number = fmt::format("({}) * {} + {}", firstStep(0), cudaTilePitch(size_), index);
  place_ = t_.define("int", "place",
                     async_ ? fmt::format("int(shared_address({} + {}))", shared, number) : number);
  if (!async_) {
    next_ = t_.name("next");
    t_.line("{} {}[{}];", copiesFour() ? "float4" : "float", next_, parts_.size() * steps_.size());
  }
}

void CudaTileCopies::prepareSteps() {
  for (int row = 0; row < kCudaTileDepth / stepsAtOnce(); ++row) {
    steps_.push_back(&table_.of(aligned_ ? "0" : firstStep(row), operand_.loops));
    if (aligned_)
      rows_.push_back(
          row == 0
              ? "0"
              : operand_.depth(t_, cudaPlaceInSlab(std::to_string(row * stepsAtOnce()), operand_.loops)).at);
  }
  if (aligned_)
    for (const std::string &place : cudaPlaceInSlab(firstStep(0), operand_.loops))
      inSlab_.push_back(place == "0" ? place : t_.define("int", "in_slab", place));
}

std::string CudaTileCopies::inMask(const std::string &masks, int number, const std::string &tap) const {
  const std::string bit = firstBit(number) == 0 ? tap : fmt::format("{} << {}", tap, firstBit(number));
  return fmt::format("{}[{}] & {}", masks, number / masksInWord(), bit);
}

void CudaTileCopies::writeTapMasks(const std::vector<std::string> &indices, const std::string &masks) const {
  std::vector<TilePart> parts;
  for (const std::string &index : indices)
    parts.push_back(operand_.index(t_, t_.define("int", "i", indexOf(index))));
  const std::string kh = t_.name("kh"), kw = t_.name("kw");
  t_.line("unsigned {}[{}] = {{}};", masks, ceilDiv(std::ssize(parts), masksInWord()));
  for (const auto &[name, turns] : {std::pair{kh, operand_.loops[0]}, std::pair{kw, operand_.loops[1]}}) {
    t_.line("#pragma unroll 1");
    t_.open("for (int {0} = 0; {0} < {1}; ++{0})", name, turns);
  }
  const TilePart tap = operand_.depth(t_, std::vector<std::string>{kh, kw, "0"});
  for (int j = 0; j < std::ssize(parts); ++j)
    t_.line("{}[{}] |= unsigned({}) << ({} * {} + {} + {});", masks, j / masksInWord(),
            operand_.present(parts[static_cast<size_t>(j)], tap), kh, operand_.loops[1], kw, firstBit(j));
  t_.close();
  t_.close();
}

void CudaTileCopies::forEachCopy(const std::function<void(const Copy &)> &write, bool readsMemory,
                                 const std::function<void()> &after) const {
  const bool some = threads() < kCudaTileThreads;
  if (some)
    t_.open("if (threadIdx.x < {})", threads());
  int number = 0;
  std::vector<std::string> here = from_; // of the slab's steps, where they align
  if (readsMemory && aligned_) {
    const std::string at = operand_.depth(t_, steps_[0]->place()).at;
    for (std::string &pointer : here)
      pointer = t_.define("float *", "here", fmt::format("{} + ({})", pointer, at));
  }
  for (size_t row = 0; row < steps_.size(); ++row) {
    const TilePart k = readsMemory ? stepOf(row) : TilePart{};
    for (size_t part = 0; part < parts_.size(); ++part)
      write({static_cast<int>(row), static_cast<int>(part), number++, k,
             fmt::format("{} + ({})", here[part], aligned_ ? rows_[row] : k.at)});
  }
  if (after)
    after();
  if (some)
    t_.close();
}

/// What presence asks of a step of the thread, and where steps do not align, what it adds to an address.
TilePart CudaTileCopies::stepOf(size_t row) const {
  std::vector<std::string> place(steps_[row]->place().begin(), steps_[row]->place().end());
  if (!aligned_)
    return operand_.depth(t_, place);
  if (hasTapMasks() || (!operand_.present && !operand_.mayEnd))
    return {};
  const std::vector<std::string> further =
      cudaPlaceInSlab(std::to_string(static_cast<int>(row) * stepsAtOnce()), operand_.loops);
  for (size_t i = 0; i < place.size(); ++i)
    place[i] = fmt::format("({} + {} + {})", place[i], inSlab_[i], further[i]);
  return operand_.depth(t_, place);
}

CudaTileCopies::Presence CudaTileCopies::presenceOf(const Copy &copy) const {
  const TilePart &k = copy.k;
  const std::string within = steps_[static_cast<size_t>(copy.row)]->exists();
  Presence presence{.condition = both(within, k.exists), .otherwise = absence_.hole, .isHole = ""};
  if (hasTapMasks())
    presence.condition = fmt::format("({}) != 0", inMask(masks_, copy.part, tapBit()));
  else if (operand_.present)
    presence.condition =
        both(presence.condition, operand_.present(parts_[static_cast<size_t>(copy.part)], k));
  if (!k.exists.empty() && absence_.hole != "0") { // an example that is not there is zero
    presence.isHole =
        within.empty() ? fmt::format("({})", k.exists) : fmt::format("(!({}) || {})", within, k.exists);
    presence.otherwise = fmt::format("({} ? {} : 0)", presence.isHole, absence_.hole);
  }
  return presence;
}

/// Of the tap whose slab is copied.
std::string CudaTileCopies::tapBit() const {
  const std::span<const std::string> place = steps_[0]->place();
  return fmt::format("(1u << ({} * {} + {}))", place[0], operand_.loops[1], place[1]);
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

/// What stands for absent taps is stored before all copies, between which the assembler would wait for it.
void CudaTileCopies::copyAsync(const std::string &slab) {
  const std::string_view four = copiesFour() ? "4" : "";
  std::vector<std::string> copies;
  forEachCopy(
      [&](const Copy &copy) {
        const Presence presence = presenceOf(copy);
        const std::string place = destination(copy, slab);
        if (presence.condition.empty()) {
          copies.push_back(fmt::format("copy_async{}({}, {});", four, place, copy.source));
          return;
        }
        const std::string there = this->there(presence);
        const bool zero = presence.otherwise == "0";
        if (!zero)
          t_.line("store{}_unless({}, {}, {});", four, place, there, presence.otherwise);
        copies.push_back(fmt::format("copy_async{}_{}({}, {}, {});", four, zero ? "or_zero" : "if", place,
                                     copy.source, there));
      },
      true,
      [&] {
        for (const std::string &copy : copies)
          t_.line("{}", copy);
      });
}

void CudaTileCopies::fetch() {
  forEachCopy(
      [&](const Copy &copy) {
        const Presence presence = presenceOf(copy);
        const std::string value = fmt::format("*{}({})", copiesFour() ? "(const float4 *)" : "", copy.source);
        if (presence.condition.empty())
          return t_.line("{}[{}] = {};", next_, copy.number, value);
        t_.line("{}[{}] = {} ? {} : {};", next_, copy.number, there(presence), value,
                copiesFour() ? fmt::format("float4_of({})", presence.otherwise) : presence.otherwise);
      },
      true);
}

void CudaTileCopies::put(const std::string &to) const {
  forEachCopy(
      [&](const Copy &copy) {
        t_.line("*({})({}) = {}[{}];", copiesFour() ? "float4 *" : "float *", destination(copy, to), next_,
                copy.number);
      },
      false);
}

} // namespace gradc
