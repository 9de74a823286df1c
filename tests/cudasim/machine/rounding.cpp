#include "machine/rounding.h"
#include "machine/decoder.h"
#include "machine/float.h"
#include <cfenv>
#include <cmath>
#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace cudasim {
namespace {

// The operands are read after the mode is set and the results stored before it is reset: that is what the barriers say.
template <class F> void inMode(int rounding, F f) {
#ifdef __x86_64__ // fesetround() also sets the x87 unit, which costs more than the arithmetic
  static constexpr unsigned kModes[] = {0, 3, 1, 2};
  unsigned before = _mm_getcsr();
  _mm_setcsr((before & ~0x6000U) | kModes[rounding] << 13);
  auto reset = [&] { _mm_setcsr(before); };
#else
  static constexpr int kModes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  std::fesetround(kModes[rounding]);
  auto reset = [] { std::fesetround(FE_TONEAREST); };
#endif
  asm volatile("" ::: "memory");
  f();
  asm volatile("" ::: "memory");
  reset();
}

enum Finish : uint8_t { kFlushes = 1, kSaturates = 2 };

template <class T> T enter(T x, uint8_t) { return x; }
template <> float enter(float x, uint8_t how) { return how & kFlushes ? flush(x) : x; }
template <class T> T leave(T x, uint8_t how) {
  x = enter(x, how);
  return how & kSaturates ? saturate01(x) : x;
}

template <class T, auto F> void one(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]);
  inMode(i.a, [&] { forLanes(w.mask, [&](int l) { d[l] = leave(F(enter(a[l], i.b)), i.b); }); });
}
template <class T, auto F> void two(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]);
  inMode(i.a,
         [&] { forLanes(w.mask, [&](int l) { d[l] = leave(F(enter(a[l], i.b), enter(b[l], i.b)), i.b); }); });
}
template <class T, auto F> void three(Warp &w, const Inst &i) {
  T *d = lanes<T>(w, i.slots[0]);
  const T *a = lanes<T>(w, i.slots[1]), *b = lanes<T>(w, i.slots[2]), *c = lanes<T>(w, i.slots[3]);
  inMode(i.a, [&] {
    forLanes(w.mask,
             [&](int l) { d[l] = leave(F(enter(a[l], i.b), enter(b[l], i.b), enter(c[l], i.b)), i.b); });
  });
}

template <class T> T add(T a, T b) { return a + b; }
template <class T> T sub(T a, T b) { return a - b; }
template <class T> T mul(T a, T b) { return a * b; }
template <class T> T divide(T a, T b) { return a / b; }
template <class T> T fused(T a, T b, T c) { return std::fma(a, b, c); }
template <class T> T reciprocal(T a) { return T{1} / a; }
template <class T> T root(T a) { return std::sqrt(a); }

template <class T> Handler directed(std::string_view opcode) {
  if (opcode == "add")
    return two<T, add<T>>;
  if (opcode == "sub")
    return two<T, sub<T>>;
  if (opcode == "mul")
    return two<T, mul<T>>;
  if (opcode == "fma" || opcode == "mad")
    return three<T, fused<T>>;
  if (opcode == "div")
    return two<T, divide<T>>;
  if (opcode == "rcp")
    return one<T, reciprocal<T>>;
  return opcode == "sqrt" ? one<T, root<T>> : nullptr;
}

template <class D, class S> void convert(Warp &w, const Inst &i) {
  D *d = lanes<D>(w, i.slots[0]);
  const Storage<S> *a = lanes<Storage<S>>(w, i.slots[1]);
  inMode(i.a, [&] { forEach(w.mask, [&](int l) { d[l] = static_cast<D>(static_cast<S>(a[l])); }); });
}

} // namespace

Handler directed32(std::string_view opcode, int rounding, bool flushes, bool saturates, Inst &inst) {
  inst.a = static_cast<uint8_t>(rounding);
  inst.b = static_cast<uint8_t>((flushes ? kFlushes : 0) | (saturates ? kSaturates : 0));
  return directed<float>(opcode);
}

Handler directed64(std::string_view opcode, int rounding, Inst &inst) {
  inst.a = static_cast<uint8_t>(rounding);
  return directed<double>(opcode);
}

Handler directedConversion(Type to, Type from, int rounding, Inst &inst) {
  inst.a = static_cast<uint8_t>(rounding);
  if (from == Type::F64)
    return to == Type::F32 ? convert<float, double> : nullptr;
  return forInteger(from, [&]<class S>(S) -> Handler {
    return to == Type::F32 ? convert<float, S> : to == Type::F64 ? convert<double, S> : nullptr;
  });
}

} // namespace cudasim
