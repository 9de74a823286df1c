// mov with packing and unpacking, cvta.
#include "machine/decoder.h"

namespace cudasim {
namespace {

template <class T> T same(T a) { return a; }
uint64_t addOffset(uint64_t a, uint64_t b) { return a + b; }

void movePredicate(Warp &w, const Inst &i) {
  uint32_t value = predicate(w, i.slots[1]);
  setPredicate(w, i.slots[0], i.a ? ~value : value);
}

// One register of kParts parts of type P, lowest first, and the parts.
template <class T, class P> void pack(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  constexpr size_t kParts = sizeof(T) / sizeof(P);
  forLanes(w.mask, [&](int l) {
    T value = 0;
    for (size_t k = 0; k < kParts; ++k)
      value |= static_cast<T>(lanes<P>(w, i.slots[1 + k])[l]) << (8 * sizeof(P) * k);
    d[l] = value;
  });
}
template <class T, class P> void unpack(Warp &w, const Inst &i) {
  const T *a = lanes<T>(w, i.slots[0]);
  constexpr size_t kParts = sizeof(T) / sizeof(P);
  forLanes(w.mask, [&](int l) {
    T value = a[l];
    for (size_t k = 0; k < kParts; ++k)
      lanes<P>(w, i.slots[1 + k])[l] = static_cast<P>(value >> (8 * sizeof(P) * k));
  });
}

Handler packing(int64_t whole, size_t parts, bool unpacks) {
  using U16 = uint16_t;
  using U32 = uint32_t;
  using U64 = uint64_t;
  if (whole == 4 && parts == 2)
    return unpacks ? unpack<U32, U16> : pack<U32, U16>;
  if (whole == 8 && parts == 2)
    return unpacks ? unpack<U64, U32> : pack<U64, U32>;
  if (whole == 8 && parts == 4)
    return unpacks ? unpack<U64, U16> : pack<U64, U16>;
  return nullptr;
}

void decodePacking(Form &f, Type type, bool unpacks) {
  const ptx::Operand &vector = f.operand(unpacks ? 0 : 1), &whole = f.operand(unpacks ? 1 : 0);
  size_t parts = vector.elements.size();
  Type part = parts == 0 ? Type::None : ptx::bytesOf(type) == 8 && parts == 2 ? Type::B32 : Type::B16;
  f.inst.run = packing(ptx::bytesOf(type), parts, unpacks);
  if (!f.inst.run)
    return f.fail("unsupported packing");
  f.inst.slots[0] = unpacks ? f.source(whole, type) : f.destination(whole, type);
  for (size_t k = 0; k < parts; ++k)
    f.inst.slots[1 + k] =
        unpacks ? f.destination(vector.elements[k], part) : f.source(vector.elements[k], part);
}

void decodeMove(Form &f) {
  Type type = f.takeType();
  f.expectOperands(2);
  bool unpacks = f.operand(0).kind == ptx::Operand::Kind::Vector;
  if (unpacks || f.operand(1).kind == ptx::Operand::Kind::Vector)
    return decodePacking(f, type, unpacks);
  if (type == Type::Pred) {
    bool negated = false;
    f.inst.slots[0] = f.predicateDestination(0);
    f.inst.slots[1] = f.predicateSource(1, negated);
    f.inst.a = negated;
    f.inst.run = movePredicate;
    return;
  }
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.run = forSize(type, []<class T>(T) -> Handler { return unary<T, T, same<T>>; });
}

// Between an address of a space and its place among generic addresses.
void decodeToGeneric(Form &f) {
  bool toSpace = f.take("to");
  int space = f.takeOneOf({"global", "shared", "shared::cta", "local", "param", "param::entry", "const"});
  f.takeType({Type::U64});
  f.expectOperands(2);
  static constexpr uint64_t kWindows[] = {
      0, kSharedWindow, kSharedWindow, kLocalWindow, kParamWindow, kParamWindow, 0};
  if (space < 0)
    return f.fail("a space is missing");
  uint64_t window = toSpace ? -kWindows[space] : kWindows[space];
  f.inst.slots[0] = f.destination(0, Type::U64);
  f.inst.slots[1] = f.source(1, Type::U64);
  f.inst.slots[2] = f.constant(window, 8);
  f.inst.run = binary<uint64_t, uint64_t, uint64_t, addOffset>;
}

} // namespace

std::span<const Family> moveFamilies() {
  static constexpr Family kFamilies[] = {
      {"mov", Data::Any, OpClass::Move, decodeMove},
      {"cvta", Data::Any, OpClass::Move, decodeToGeneric},
  };
  return kFamilies;
}

} // namespace cudasim
