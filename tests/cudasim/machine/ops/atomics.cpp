// atom and red: lanes one after the other.
#include "machine/float.h"
#include "machine/ops/addressing.h"
#include "machine/races.h"

namespace cudasim {
namespace {

constexpr size_t kSite = 10, kWide = 11, kSpace = 12;

template <class T> T add(T old, T a, T) { return static_cast<T>(old + a); }
template <class T> T minimum(T old, T a, T) { return a < old ? a : old; }
template <class T> T maximum(T old, T a, T) { return a > old ? a : old; }
template <class T> T bitAnd(T old, T a, T) { return old & a; }
template <class T> T bitOr(T old, T a, T) { return old | a; }
template <class T> T bitXor(T old, T a, T) { return old ^ a; }
template <class T> T exchange(T, T a, T) { return a; }
template <class T> T compareAndSwap(T old, T a, T b) { return old == a ? b : old; }
uint32_t increment(uint32_t old, uint32_t a, uint32_t) { return old >= a ? 0 : old + 1; }
uint32_t decrement(uint32_t old, uint32_t a, uint32_t) { return old == 0 || old > a ? a : old - 1; }

template <class T, auto F> void atomic(Warp &w, const Inst &i) {
  Addresses addresses = addressesOf(w, i.slots[0], i.slots[kWide] != 0, i.immediate);
  access(w, i.slots[kSite], static_cast<Space>(i.slots[kSpace]), std::move(addresses), sizeof(T),
         Mode::Atomic, [&](const Resolved &r, uint32_t mask) {
           T *d = i.slots[1] >= 0 ? lanes<T>(w, i.slots[1]) : nullptr;
           const T *a = lanes<T>(w, i.slots[2]), *b = lanes<T>(w, i.slots[3]);
           forEach(mask, [&](int l) {
             unsigned char *place = r.base + r.pattern->relative[l];
             synchronise(w, reinterpret_cast<uint64_t>(place));
             T old;
             std::memcpy(&old, place, sizeof(T));
             T now = F(old, a[l], b[l]);
             std::memcpy(place, &now, sizeof(T));
             if (d)
               d[l] = old;
           });
         });
}

template <class T> Handler arithmetic(int op) {
  return op == 0   ? Handler(atomic<T, add<T>>)
         : op == 1 ? Handler(atomic<T, minimum<T>>)
                   : Handler(atomic<T, maximum<T>>);
}

template <class T> Handler bitwise(int op) {
  switch (op) {
  case 3: return atomic<T, bitAnd<T>>;
  case 4: return atomic<T, bitOr<T>>;
  case 5: return atomic<T, bitXor<T>>;
  case 6: return atomic<T, exchange<T>>;
  case 7: return atomic<T, compareAndSwap<T>>;
  default: return nullptr;
  }
}

Handler handlerOf(int op, Type type) {
  switch (type) {
  case Type::F32: return op == 0 ? atomic<float, add<float>> : nullptr;
  case Type::F64: return op == 0 ? atomic<double, add<double>> : nullptr;
  case Type::S32: return op <= 2 ? arithmetic<int32_t>(op) : nullptr;
  case Type::S64: return op == 1 || op == 2 ? arithmetic<int64_t>(op) : nullptr;
  case Type::U64: return op <= 2 ? arithmetic<uint64_t>(op) : nullptr;
  case Type::U32:
    if (op >= 8)
      return op == 8 ? atomic<uint32_t, increment> : atomic<uint32_t, decrement>;
    return op <= 2 ? arithmetic<uint32_t>(op) : nullptr;
  case Type::B32: return bitwise<uint32_t>(op);
  case Type::B64: return bitwise<uint64_t>(op);
  default: return nullptr;
  }
}

void decodeAtomic(Form &f) {
  bool returns = f.opcode() == "atom";
  f.skip({"relaxed", "acquire", "release", "acq_rel", "gpu", "cta", "sys"});
  Space space = takeSpace(f);
  int op = f.takeOneOf({"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"});
  Type type = f.takeType();
  size_t first = returns ? 1 : 0, operands = first + (op == 7 ? 3 : 2);
  f.expectOperands(operands);
  Form::Address address = f.address(f.operand(first));
  checkSpace(f, address, space);
  f.inst.slots[0] = address.slot;
  f.inst.immediate = address.offset;
  f.inst.slots[1] = returns ? f.destination(0, type) : -1;
  f.inst.slots[2] = f.source(first + 1, type);
  f.inst.slots[3] = op == 7 ? f.source(first + 2, type) : f.inst.slots[2];
  f.inst.slots[kSite] = f.newSite();
  f.inst.slots[kWide] = address.wide;
  f.inst.slots[kSpace] = static_cast<int32_t>(space);
  noteCell(f, space, static_cast<int>(ptx::bytesOf(type)));
  f.inst.run = op < 0 ? nullptr : handlerOf(op, type);
}

} // namespace

std::span<const Family> atomicFamilies() {
  static constexpr Family kFamilies[] = {
      {"atom", Data::Any, OpClass::Atomic, decodeAtomic},
      {"red", Data::Any, OpClass::Atomic, decodeAtomic},
  };
  return kFamilies;
}

} // namespace cudasim
