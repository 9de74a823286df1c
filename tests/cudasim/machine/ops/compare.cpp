// setp set selp slct testp.
#include "machine/decoder.h"
#include "machine/float.h"
#include <array>
#include <utility>

namespace cudasim {
namespace {

enum class Order : uint8_t { Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan };

template <Order kOrder, class T> bool compare(T a, T b) {
  bool unordered = a != a || b != b;
  switch (kOrder) {
  case Order::Eq: return a == b;
  case Order::Ne: return !unordered && a != b;
  case Order::Lt: return a < b;
  case Order::Le: return a <= b;
  case Order::Gt: return a > b;
  case Order::Ge: return a >= b;
  case Order::Equ: return unordered || a == b;
  case Order::Neu: return a != b;
  case Order::Ltu: return unordered || a < b;
  case Order::Leu: return unordered || a <= b;
  case Order::Gtu: return unordered || a > b;
  case Order::Geu: return unordered || a >= b;
  case Order::Num: return !unordered;
  case Order::Nan: return unordered;
  }
}

struct Plain { // compared as they are
  template <class T> static T value(T x) { return x; }
};
struct Flushed {
  static float value(float x) { return flush(x); }
};
struct FromHalf {
  static float value(uint16_t x) { return halfToFloat(x); }
};
struct FromBfloat {
  static float value(uint16_t x) { return bfloatToFloat(x); }
};

using Comparison = uint32_t (*)(Warp &, int32_t a, int32_t b); // a bit a lane

template <Order kOrder, class T, class N> uint32_t compareLanes(Warp &w, int32_t first, int32_t second) {
  const T *a = lanes<T>(w, first), *b = lanes<T>(w, second);
  uint32_t result = 0;
  for (int l = 0; l < kLanes; ++l)
    result |= static_cast<uint32_t>(compare<kOrder>(N::value(a[l]), N::value(b[l]))) << l;
  return result;
}

template <class T, class N, size_t... kOrders> constexpr auto tableOf(std::index_sequence<kOrders...>) {
  return std::array<Comparison, sizeof...(kOrders)>{compareLanes<static_cast<Order>(kOrders), T, N>...};
}
template <class T, class N> Comparison comparison(Order order) {
  static constexpr auto kTable = tableOf<T, N>(std::make_index_sequence<14>());
  return kTable[static_cast<size_t>(order)];
}

Comparison comparisonOf(Type type, Order order, bool flushes) {
  switch (type) {
  case Type::F32: return flushes ? comparison<float, Flushed>(order) : comparison<float, Plain>(order);
  case Type::F64: return comparison<double, Plain>(order);
  case Type::F16: return comparison<uint16_t, FromHalf>(order);
  case Type::BF16: return comparison<uint16_t, FromBfloat>(order);
  case Type::S16: return comparison<int16_t, Plain>(order);
  case Type::S32: return comparison<int32_t, Plain>(order);
  case Type::S64: return comparison<int64_t, Plain>(order);
  case Type::B16:
  case Type::U16: return comparison<uint16_t, Plain>(order);
  case Type::B32:
  case Type::U32: return comparison<uint32_t, Plain>(order);
  case Type::B64:
  case Type::U64: return comparison<uint64_t, Plain>(order);
  default: return nullptr;
  }
}

// lo, ls, hi and hs are the unsigned names of lt, le, gt and ge.
Order takeOrder(Form &f) {
  int found = f.takeOneOf(
      {"eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"});
  if (found < 0)
    if (int isUnsigned = f.takeOneOf({"lo", "ls", "hi", "hs"}); isUnsigned >= 0)
      found = isUnsigned + static_cast<int>(Order::Lt);
  if (found < 0)
    f.fail("a comparison is missing");
  return static_cast<Order>(found);
}

// The comparison travels in the immediate.
Comparison comparisonOf(const Inst &i) { return std::bit_cast<Comparison>(i.immediate); }

uint32_t combine(uint32_t result, uint32_t with, uint8_t how) {
  return how == 1 ? result & with : how == 2 ? result | with : how == 3 ? result ^ with : result;
}

void setPredicates(Warp &w, const Inst &i) {
  uint32_t result = comparisonOf(i)(w, i.slots[2], i.slots[3]);
  uint32_t with = i.a ? predicate(w, i.slots[4]) : 0;
  with = i.b ? ~with : with;
  setPredicate(w, i.slots[0], combine(result, with, i.a));
  if (i.slots[1] >= 0)
    setPredicate(w, i.slots[1], combine(~result, with, i.a));
}

void decodeSetp(Form &f) {
  Order order = takeOrder(f);
  f.inst.a = static_cast<uint8_t>(f.takeOneOf({"and", "or", "xor"}) + 1);
  bool flushes = f.take("ftz");
  Type type = f.takeType();
  f.expectOperands(f.inst.a ? 4 : 3);
  f.inst.slots[0] = f.predicateDestination(0);
  f.inst.slots[1] = f.secondPredicate(0);
  f.inst.slots[2] = f.source(1, type);
  f.inst.slots[3] = f.source(2, type);
  bool negated = false;
  if (f.inst.a)
    f.inst.slots[4] = f.predicateSource(3, negated);
  f.inst.b = negated;
  if (type == Type::BF16)
    f.needs(90);
  Comparison found = comparisonOf(type, order, flushes);
  f.inst.immediate = std::bit_cast<int64_t>(found);
  f.inst.run = found ? setPredicates : nullptr;
}

// set: all ones or 1.0.
void setValues(Warp &w, const Inst &i) {
  uint32_t result = comparisonOf(i)(w, i.slots[1], i.slots[2]);
  uint32_t *d = lanes<uint32_t>(w, i.slots[0]);
  uint32_t yes = i.a ? 0x3F800000U : ~0U;
  forLanes(w.mask, [&](int l) { d[l] = result >> l & 1 ? yes : 0; });
}

template <class N> void setPairs(Warp &w, const Inst &i) {
  uint32_t *d = lanes<uint32_t>(w, i.slots[0]);
  const uint32_t *a = lanes<uint32_t>(w, i.slots[1]), *b = lanes<uint32_t>(w, i.slots[2]);
  bool greater = i.a & 1, less = i.a & 2, equal = i.a & 4, unordered = i.a & 8;
  uint32_t yes = i.b ? 0xFFFF : std::is_same_v<N, FromHalf> ? 0x3C00 : 0x3F80;
  forEach(w.mask, [&](int l) {
    uint32_t result = 0;
    for (int shift = 0; shift < 32; shift += 16) {
      float x = N::value(static_cast<uint16_t>(a[l] >> shift)),
            y = N::value(static_cast<uint16_t>(b[l] >> shift));
      bool holds =
          (x > y && greater) || (x < y && less) || (x == y && equal) || ((x != x || y != y) && unordered);
      result |= (holds ? yes : 0) << shift;
    }
    d[l] = result;
  });
}

uint8_t relations(Order order) { // 1 greater, 2 less, 4 equal, 8 unordered
  static constexpr uint8_t kRelations[] = {4, 3, 2, 6, 1, 5, 12, 11, 10, 14, 9, 13, 7, 8};
  return kRelations[static_cast<size_t>(order)];
}

void decodeSet(Form &f) {
  Order order = takeOrder(f);
  bool flushes = f.take("ftz");
  Type to = f.takeType(), from = f.takeType();
  f.expectOperands(3);
  bool pairs = from == Type::F16x2 || from == Type::BF16x2;
  f.inst.slots[0] = f.destination(0, to);
  f.inst.slots[1] = f.source(1, from);
  f.inst.slots[2] = f.source(2, from);
  if (pairs) {
    f.inst.a = relations(order);
    f.inst.b = to != from;
    if (ptx::bytesOf(to) == 4)
      f.inst.run = from == Type::F16x2 ? setPairs<FromHalf> : setPairs<FromBfloat>;
    return;
  }
  f.inst.a = to == Type::F32;
  Comparison found = comparisonOf(from, order, flushes);
  f.inst.immediate = std::bit_cast<int64_t>(found);
  if (found && (to == Type::F32 || to == Type::U32 || to == Type::S32))
    f.inst.run = setValues;
}

template <class T> void select(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]);
  uint32_t p = i.a ? ~predicate(w, i.slots[3]) : predicate(w, i.slots[3]);
  forLanes(w.mask, [&](int l) { d[l] = p >> l & 1 ? a[l] : b[l]; });
}

void decodeSelp(Form &f) {
  Type type = f.takeType();
  f.expectOperands(4);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.slots[2] = f.source(2, type);
  bool negated = false;
  f.inst.slots[3] = f.predicateSource(3, negated);
  f.inst.a = negated;
  f.inst.run = forSize(type, []<class T>(T) -> Handler { return select<T>; });
}

// slct: a where c >= 0 (-0 counts), else b.
template <class T, class C> void selectBySign(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]);
  const C *c = lanes<C>(w, i.slots[3]);
  forLanes(w.mask, [&](int l) { d[l] = c[l] >= 0 ? a[l] : b[l]; });
}

void decodeSlct(Form &f) {
  f.skip({"ftz"});
  Type type = f.takeType(), by = f.takeType({Type::S32, Type::F32});
  f.expectOperands(4);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.slots[2] = f.source(2, type);
  f.inst.slots[3] = f.source(3, by);
  f.inst.run = forSize(type, [&]<class T>(T) -> Handler {
    return by == Type::F32 ? Handler(selectBySign<T, float>) : Handler(selectBySign<T, int32_t>);
  });
}

enum class Kind : uint8_t { Finite, Infinite, Number, NotANumber, Normal, Subnormal };

template <class T> bool isOfKind(T x, Kind kind) {
  switch (kind) {
  case Kind::Finite: return std::isfinite(x);
  case Kind::Infinite: return std::isinf(x);
  case Kind::Number: return !std::isnan(x);
  case Kind::NotANumber: return std::isnan(x);
  case Kind::Normal: return std::isnormal(x);
  case Kind::Subnormal: return std::fpclassify(x) == FP_SUBNORMAL;
  }
  return false;
}

template <class T> void testKind(Warp &w, const Inst &i) {
  const T *a = lanes<T>(w, i.slots[1]);
  uint32_t result = 0;
  for (int l = 0; l < kLanes; ++l)
    result |= static_cast<uint32_t>(isOfKind(a[l], static_cast<Kind>(i.a))) << l;
  setPredicate(w, i.slots[0], result);
}

void decodeTestp(Form &f) {
  int kind = f.takeOneOf({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  if (kind < 0)
    f.fail("a property is missing");
  Type type = f.takeType({Type::F32, Type::F64});
  f.expectOperands(2);
  f.inst.a = static_cast<uint8_t>(kind);
  f.inst.slots[0] = f.predicateDestination(0);
  f.inst.slots[1] = f.source(1, type);
  f.inst.run = type == Type::F32 ? testKind<float> : testKind<double>;
}

} // namespace

std::span<const Family> compareFamilies() {
  static constexpr OpClass kCompare = OpClass::Compare;
  static constexpr Family kFamilies[] = {
      {"setp", Data::Any, kCompare, decodeSetp},   {"set", Data::Any, kCompare, decodeSet},
      {"selp", Data::Any, kCompare, decodeSelp},   {"slct", Data::Any, kCompare, decodeSlct},
      {"testp", Data::Any, kCompare, decodeTestp},
  };
  return kFamilies;
}

} // namespace cudasim
