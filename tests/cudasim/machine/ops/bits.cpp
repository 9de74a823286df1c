// and or xor not cnot shl shr shf bfe bfi prmt lop3 popc clz brev bfind.
#include "machine/decoder.h"
#include <algorithm>
#include <type_traits>

namespace cudasim {
namespace {

using U32 = uint32_t;
using U64 = uint64_t;

template <class T> T bitAnd(T a, T b) { return static_cast<T>(a & b); }
template <class T> T bitOr(T a, T b) { return static_cast<T>(a | b); }
template <class T> T bitXor(T a, T b) { return static_cast<T>(a ^ b); }
template <class T> T bitNot(T a) { return static_cast<T>(~a); }
template <class T> T logicalNot(T a) { return a == 0; }

// Shifts by the width or more give zeros, or the sign.
template <class T> T shiftLeft(T a, U32 by) {
  return by >= sizeof(T) * 8 ? T{0} : static_cast<T>(static_cast<U64>(a) << by);
}
template <class T> T shiftRight(T a, U32 by) {
  constexpr U32 kMost = sizeof(T) * 8 - 1;
  if (std::is_signed_v<T>)
    return static_cast<T>(a >> (by > kMost ? kMost : by));
  return by > kMost ? T{0} : static_cast<T>(a >> by);
}

void decodeLogic(Form &f) {
  using enum Type;
  Type type = f.takeType({B16, B32, B64});
  bool one = f.opcode() == "not" || f.opcode() == "cnot";
  f.expectOperands(one ? 2 : 3);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  if (!one)
    f.inst.slots[2] = f.source(2, type);
  f.inst.run = forSize(type, [&]<class T>(T) -> Handler {
    if (f.opcode() == "not")
      return unary<T, T, bitNot<T>>;
    if (f.opcode() == "cnot")
      return unary<T, T, logicalNot<T>>;
    return f.opcode() == "and"  ? Handler(binary<T, T, T, bitAnd<T>>)
           : f.opcode() == "or" ? Handler(binary<T, T, T, bitOr<T>>)
                                : Handler(binary<T, T, T, bitXor<T>>);
  });
}

enum : uint8_t { kAnd, kOr, kXor, kNot };

void predicateLogic(Warp &w, const Inst &i) {
  U32 a = predicate(w, i.slots[1]), b = i.a == kNot ? 0 : predicate(w, i.slots[2]);
  a = i.b & 1 ? ~a : a;
  b = i.b & 2 ? ~b : b;
  setPredicate(w, i.slots[0], i.a == kAnd ? a & b : i.a == kOr ? a | b : i.a == kXor ? a ^ b : ~a);
}

void decodePredicateLogic(Form &f) {
  f.takeType({Type::Pred});
  f.inst.a = f.opcode() == "and" ? kAnd : f.opcode() == "or" ? kOr : f.opcode() == "xor" ? kXor : kNot;
  f.expectOperands(f.inst.a == kNot ? 2 : 3);
  f.inst.slots[0] = f.predicateDestination(0);
  for (size_t k = 1; k < f.operands(); ++k) {
    bool negated = false;
    f.inst.slots[k] = f.predicateSource(k, negated);
    f.inst.b |= static_cast<uint8_t>(negated ? k : 0);
  }
  f.inst.run = predicateLogic;
}

void decodeShift(Form &f) {
  using enum Type;
  bool left = f.opcode() == "shl";
  Type type = left ? f.takeType({B16, B32, B64}) : f.takeType({B16, B32, B64, U16, U32, U64, S16, S32, S64});
  f.expectOperands(3);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.slots[2] = f.source(2, U32);
  f.inst.run = forInteger(type, [&]<class T>(T) -> Handler {
    return left ? Handler(binary<T, T, uint32_t, shiftLeft<T>>)
                : Handler(binary<T, T, uint32_t, shiftRight<T>>);
  });
}

// The 64 bits b:a shifted, of which the upper (left) or lower (right) half is the result.
template <bool kClamp> U32 funnelLeft(U32 a, U32 b, U32 c) {
  U32 by = kClamp ? (c > 32 ? 32 : c) : c & 31;
  return static_cast<U32>((static_cast<U64>(b) << 32 | a) << by >> 32);
}
template <bool kClamp> U32 funnelRight(U32 a, U32 b, U32 c) {
  U32 by = kClamp ? (c > 32 ? 32 : c) : c & 31;
  return static_cast<U32>((static_cast<U64>(b) << 32 | a) >> by);
}

void operands32(Form &f, size_t count) {
  f.expectOperands(count);
  f.inst.slots[0] = f.destination(0, Type::B32);
  for (size_t k = 1; k < count; ++k)
    f.inst.slots[k] = f.source(k, Type::B32);
}

void decodeFunnel(Form &f) {
  bool left = f.takeOneOf({"r", "l"}) == 1, clamp = f.takeOneOf({"wrap", "clamp"}) == 1;
  f.takeType({Type::B32});
  operands32(f, 4);
  if (left)
    f.inst.run = clamp ? ternary<U32, U32, U32, U32, funnelLeft<true>>
                       : ternary<U32, U32, U32, U32, funnelLeft<false>>;
  else
    f.inst.run = clamp ? ternary<U32, U32, U32, U32, funnelRight<true>>
                       : ternary<U32, U32, U32, U32, funnelRight<false>>;
}

// Position and length are taken modulo 256; bits beyond the top are the sign (zero when unsigned).
template <class T> T extract(T a, U32 position, U32 length) {
  constexpr U32 kBits = sizeof(T) * 8;
  position &= 255, length &= 255;
  if (length == 0)
    return 0;
  U32 top = std::min(position + length - 1, kBits - 1);
  bool sign = std::is_signed_v<T> && (static_cast<U64>(a) >> top & 1);
  U64 fill = sign ? ~0ULL : 0;
  if (position >= kBits)
    return static_cast<T>(fill);
  U64 field = static_cast<std::make_unsigned_t<T>>(a) >> position;
  U32 kept = top - position + 1;
  U64 mask = kept >= 64 ? ~0ULL : (1ULL << kept) - 1;
  return static_cast<T>((field & mask) | (fill & ~mask));
}

void decodeExtract(Form &f) {
  using enum Type;
  Type type = f.takeType({U32, S32, U64, S64});
  f.expectOperands(4);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.slots[2] = f.source(2, U32);
  f.inst.slots[3] = f.source(3, U32);
  f.inst.run =
      forInteger(type, []<class T>(T) -> Handler { return ternary<T, T, uint32_t, uint32_t, extract<T>>; });
}

template <class T> void insert(Warp &w, const Inst &i) {
  constexpr U32 kBits = sizeof(T) * 8;
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]);
  const U32 *positions = lanes<U32>(w, i.slots[3]), *lengths = lanes<U32>(w, i.slots[4]);
  forEach(w.mask, [&](int l) {
    U32 position = positions[l] & 255, length = lengths[l] & 255;
    T mask = length >= kBits ? static_cast<T>(~T{0}) : static_cast<T>((T{1} << length) - 1);
    d[l] =
        position >= kBits ? b[l] : static_cast<T>((b[l] & ~(mask << position)) | ((a[l] & mask) << position));
  });
}

void decodeInsert(Form &f) {
  using enum Type;
  Type type = f.takeType({B32, B64});
  f.expectOperands(5);
  f.inst.slots[0] = f.destination(0, type);
  f.inst.slots[1] = f.source(1, type);
  f.inst.slots[2] = f.source(2, type);
  f.inst.slots[3] = f.source(3, U32);
  f.inst.slots[4] = f.source(4, U32);
  f.inst.run = type == B64 ? insert<uint64_t> : insert<uint32_t>;
}

U32 permute(U32 a, U32 b, U32 c) {
  U64 bytes = a | static_cast<U64>(b) << 32;
  U32 result = 0;
  for (int k = 0; k < 4; ++k) {
    U32 selector = c >> 4 * k & 15;
    auto byte = static_cast<U32>(bytes >> 8 * (selector & 7) & 255);
    if (selector & 8)
      byte = byte & 128 ? 255 : 0;
    result |= byte << 8 * k;
  }
  return result;
}

void decodePermute(Form &f) {
  f.takeType({Type::B32});
  operands32(f, 4);
  f.inst.run = ternary<U32, U32, U32, U32, permute>;
}

void lookUp(Warp &w, const Inst &i) {
  U32 *d = lanes<U32>(w, i.slots[0]);
  const U32 *a = lanes<U32>(w, i.slots[1]), *b = lanes<U32>(w, i.slots[2]), *c = lanes<U32>(w, i.slots[3]);
  forLanes(w.mask, [&](int l) {
    U32 result = 0;
    for (int k = 0; k < 8; ++k)
      result |= i.a >> k & 1 ? (k & 4 ? a[l] : ~a[l]) & (k & 2 ? b[l] : ~b[l]) & (k & 1 ? c[l] : ~c[l]) : 0;
    d[l] = result;
  });
}

void decodeLookUp(Form &f) {
  f.takeType({Type::B32});
  f.expectOperands(5);
  f.inst.slots[0] = f.destination(0, Type::B32);
  for (size_t k = 1; k < 4; ++k)
    f.inst.slots[k] = f.source(k, Type::B32);
  if (f.operand(4).kind != ptx::Operand::Kind::Integer)
    f.fail("the table is no literal");
  f.inst.a = static_cast<uint8_t>(f.operand(4).bits);
  f.inst.run = lookUp;
}

template <class T> U32 countOnes(T a) { return static_cast<U32>(std::popcount(a)); }
template <class T> U32 leadingZeros(T a) { return static_cast<U32>(std::countl_zero(a)); }
template <class T> T reverse(T a) {
  T result = 0;
  for (size_t k = 0; k < sizeof(T) * 8; ++k)
    result |= (a >> k & 1) << (sizeof(T) * 8 - 1 - k);
  return result;
}
// The highest bit that is set, or for signed numbers that differs from the sign; as a shift to the top on request.
template <class T, bool kShift> U32 findBit(T a) {
  auto bits = static_cast<std::make_unsigned_t<T>>(a < 0 ? ~a : a);
  if (bits == 0)
    return ~0U;
  auto zeros = static_cast<U32>(std::countl_zero(bits));
  return kShift ? zeros : static_cast<U32>(sizeof(T) * 8 - 1) - zeros;
}

void decodeCount(Form &f) {
  using enum Type;
  Type type = f.takeType({B32, B64});
  f.expectOperands(2);
  f.inst.slots[0] = f.destination(0, f.opcode() == "brev" ? type : U32);
  f.inst.slots[1] = f.source(1, type);
  f.inst.run = forSize(type, [&]<class T>(T) -> Handler {
    return f.opcode() == "popc"  ? Handler(unary<uint32_t, T, countOnes<T>>)
           : f.opcode() == "clz" ? Handler(unary<uint32_t, T, leadingZeros<T>>)
                                 : Handler(unary<T, T, reverse<T>>);
  });
}

void decodeFind(Form &f) {
  using enum Type;
  bool shift = f.take("shiftamt");
  Type type = f.takeType({U32, S32, U64, S64});
  f.expectOperands(2);
  f.inst.slots[0] = f.destination(0, U32);
  f.inst.slots[1] = f.source(1, type);
  f.inst.run = forInteger(type, [&]<class T>(T) -> Handler {
    return shift ? Handler(unary<uint32_t, T, findBit<T, true>>)
                 : Handler(unary<uint32_t, T, findBit<T, false>>);
  });
}

} // namespace

std::span<const Family> bitFamilies() {
  static constexpr OpClass kInteger = OpClass::Integer;
  static constexpr Family kFamilies[] = {
      {"and", Data::Integer, kInteger, decodeLogic},
      {"or", Data::Integer, kInteger, decodeLogic},
      {"xor", Data::Integer, kInteger, decodeLogic},
      {"not", Data::Integer, kInteger, decodeLogic},
      {"cnot", Data::Integer, kInteger, decodeLogic},
      {"and", Data::Predicate, kInteger, decodePredicateLogic},
      {"or", Data::Predicate, kInteger, decodePredicateLogic},
      {"xor", Data::Predicate, kInteger, decodePredicateLogic},
      {"not", Data::Predicate, kInteger, decodePredicateLogic},
      {"shl", Data::Integer, kInteger, decodeShift},
      {"shr", Data::Integer, kInteger, decodeShift},
      {"shf", Data::Integer, kInteger, decodeFunnel},
      {"bfe", Data::Integer, kInteger, decodeExtract},
      {"bfi", Data::Integer, kInteger, decodeInsert},
      {"prmt", Data::Integer, kInteger, decodePermute},
      {"lop3", Data::Integer, kInteger, decodeLookUp},
      {"popc", Data::Integer, kInteger, decodeCount},
      {"clz", Data::Integer, kInteger, decodeCount},
      {"brev", Data::Integer, kInteger, decodeCount},
      {"bfind", Data::Integer, kInteger, decodeFind},
  };
  return kFamilies;
}

} // namespace cudasim
