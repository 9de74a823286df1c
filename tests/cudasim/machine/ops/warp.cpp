// shfl vote match redux activemask: lanes of a warp look at each other.
#include "machine/decoder.h"
#include <algorithm>
#include <fmt/format.h>

namespace cudasim {
namespace {

enum : uint8_t { kIndex, kUp, kDown, kButterfly };

// The lane that lane l reads from, and whether it is inside l's segment (the PTX manual's pseudo code).
int sourceLane(uint8_t how, int l, uint32_t b, uint32_t c, bool &inside) {
  int by = static_cast<int>(b & 31), clamp = static_cast<int>(c & 31),
      segment = static_cast<int>(c >> 8 & 31);
  int last = (l & segment) | (clamp & ~segment), first = l & segment;
  int j = how == kUp ? l - by : how == kDown ? l + by : how == kButterfly ? l ^ by : first | (by & ~segment);
  inside = how == kUp ? j >= last : j <= last;
  return inside ? j : l;
}

void shuffle(Warp &w, const Inst &i) {
  std::array<uint32_t, kLanes> values;
  std::memcpy(values.data(), lanes<uint32_t>(w, i.slots[2]), sizeof(values));
  uint32_t *d = lanes<uint32_t>(w, i.slots[0]);
  const uint32_t *b = lanes<uint32_t>(w, i.slots[3]), *c = lanes<uint32_t>(w, i.slots[4]);
  uint32_t insides = 0;
  forEach(w.mask, [&](int l) {
    bool inside = false;
    int from = sourceLane(i.a, l, b[l], c[l], inside);
    if (!(w.mask >> from & 1))
      w.fault(
          kLaunchFailed, l,
          fmt::format("lane {} reads from lane {}, which takes no part: the value is not defined", l, from));
    d[l] = values[static_cast<size_t>(from)];
    insides |= static_cast<uint32_t>(inside) << l;
  });
  if (i.slots[1] >= 0)
    setPredicate(w, i.slots[1], insides);
}

void needSync(Form &f) {
  if (!f.take("sync"))
    f.fail(".sync is missing: the forms without are gone from sm_70 on");
  f.inst.flow = Flow::Sync;
}

void decodeShuffle(Form &f) {
  needSync(f);
  int how = f.takeOneOf({"idx", "up", "down", "bfly"});
  f.takeType({Type::B32});
  f.expectOperands(5);
  if (how < 0)
    f.fail("one of .idx, .up, .down, .bfly is missing");
  f.inst.a = static_cast<uint8_t>(how);
  f.inst.slots[0] = f.destination(0, Type::B32);
  f.inst.slots[1] = f.secondPredicate(0);
  f.inst.slots[2] = f.source(1, Type::B32);
  f.inst.slots[3] = f.source(2, Type::B32);
  f.inst.slots[4] = f.source(3, Type::B32);
  f.inst.mask = f.source(4, Type::B32);
  f.inst.run = shuffle;
}

enum : uint8_t { kAll, kAny, kUniform, kBallot };

void vote(Warp &w, const Inst &i) {
  uint32_t p = (i.b ? ~predicate(w, i.slots[1]) : predicate(w, i.slots[1])) & w.mask;
  if (i.a == kBallot)
    return forEach(w.mask, [&](int l) { lanes<uint32_t>(w, i.slots[0])[l] = p; });
  bool all = p == w.mask, any = p != 0;
  setPredicate(w, i.slots[0], (i.a == kAll ? all : i.a == kAny ? any : all || !any) ? kAllLanes : 0);
}

void decodeVote(Form &f) {
  needSync(f);
  int how = f.takeOneOf({"all", "any", "uni", "ballot"});
  f.takeType({how == kBallot ? Type::B32 : Type::Pred});
  f.expectOperands(3);
  if (how < 0)
    f.fail("one of .all, .any, .uni, .ballot is missing");
  f.inst.a = static_cast<uint8_t>(how);
  f.inst.slots[0] = how == kBallot ? f.destination(0, Type::B32) : f.predicateDestination(0);
  bool negated = false;
  f.inst.slots[1] = f.predicateSource(1, negated);
  f.inst.b = negated;
  f.inst.mask = f.source(2, Type::B32);
  f.inst.run = vote;
}

template <class T> void matchAny(Warp &w, const Inst &i) {
  const T *a = lanes<T>(w, i.slots[2]);
  uint32_t *d = lanes<uint32_t>(w, i.slots[0]);
  forEach(w.mask, [&](int l) {
    uint32_t same = 0;
    forEach(w.mask, [&](int other) { same |= static_cast<uint32_t>(a[other] == a[l]) << other; });
    d[l] = same;
  });
}

template <class T> void matchAll(Warp &w, const Inst &i) {
  const T *a = lanes<T>(w, i.slots[2]);
  T first = a[std::countr_zero(w.mask)];
  bool same = true;
  forEach(w.mask, [&](int l) { same &= a[l] == first; });
  forEach(w.mask, [&](int l) { lanes<uint32_t>(w, i.slots[0])[l] = same ? w.mask : 0; });
  if (i.slots[1] >= 0)
    setPredicate(w, i.slots[1], same ? kAllLanes : 0);
}

void decodeMatch(Form &f) {
  int how = f.takeOneOf({"any", "all"});
  needSync(f);
  Type type = f.takeType({Type::B32, Type::B64});
  f.expectOperands(3);
  f.inst.slots[0] = f.destination(0, Type::B32);
  f.inst.slots[1] = f.secondPredicate(0);
  f.inst.slots[2] = f.source(1, type);
  f.inst.mask = f.source(2, Type::B32);
  if (how == 0)
    f.inst.run = type == Type::B64 ? matchAny<uint64_t> : matchAny<uint32_t>;
  if (how == 1)
    f.inst.run = type == Type::B64 ? matchAll<uint64_t> : matchAll<uint32_t>;
}

template <class T> T combine(uint8_t how, T a, T b) {
  switch (how) {
  case 0: return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
  case 1: return std::min(a, b);
  case 2: return std::max(a, b);
  case 3: return a & b;
  case 4: return a | b;
  default: return a ^ b;
  }
}

template <class T> void reduce(Warp &w, const Inst &i) {
  const T *a = lanes<T>(w, i.slots[1]);
  T result = a[std::countr_zero(w.mask)];
  forEach(w.mask & (w.mask - 1), [&](int l) { result = combine(i.a, result, a[l]); });
  forEach(w.mask, [&](int l) { lanes<T>(w, i.slots[0])[l] = result; });
}

void decodeReduce(Form &f) {
  f.needs(80);
  needSync(f);
  int how = f.takeOneOf({"add", "min", "max", "and", "or", "xor"});
  Type type = f.takeType({Type::U32, Type::S32, Type::B32});
  f.expectOperands(3);
  if (how < 0 || (how < 3) == (type == Type::B32))
    f.fail("no such reduction");
  f.inst.a = static_cast<uint8_t>(how);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.mask = f.source(2, Type::B32);
  f.inst.run = type == Type::S32 ? reduce<int32_t> : reduce<uint32_t>;
}

void activeMask(Warp &w, const Inst &i) {
  forEach(w.mask, [&](int l) { lanes<uint32_t>(w, i.slots[0])[l] = w.mask; });
}

void decodeActiveMask(Form &f) {
  f.takeType({Type::B32});
  f.expectOperands(1);
  f.inst.slots[0] = f.destination(0, Type::B32);
  f.inst.run = activeMask;
}

} // namespace

std::span<const Family> warpFamilies() {
  static constexpr OpClass kShuffle = OpClass::Shuffle;
  static constexpr Family kFamilies[] = {
      {"shfl", Data::Any, kShuffle, decodeShuffle},          {"vote", Data::Any, kShuffle, decodeVote},
      {"match", Data::Any, kShuffle, decodeMatch},           {"redux", Data::Any, kShuffle, decodeReduce},
      {"activemask", Data::Any, kShuffle, decodeActiveMask},
  };
  return kFamilies;
}

} // namespace cudasim
