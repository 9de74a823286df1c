// What a decoded kernel and its running warps look like, and the loops over lanes that instructions are made of.
#pragma once
#include "machine/access.h"
#include "machine/machine.h"
#include "ptx/module.h"
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace cudasim {

using ptx::Space;
using ptx::Type;

struct Warp;
struct Inst;
using Handler = void (*)(Warp &, const Inst &);

constexpr int kLanes = 32;
constexpr uint32_t kAllLanes = ~0U;

// How the scheduler treats an instruction. Sync: waits for the lanes of its member mask.
enum class Flow : uint8_t { Plain, Branch, Exit, Barrier, Sync };

struct Inst {
  Handler run = nullptr;
  Flow flow = Flow::Plain;
  bool negated = false;   // of the predicate
  bool helper = false;    // widens or narrows an operand of the instruction beside it; not counted
  uint8_t a = 0, b = 0;   // what the handler wants to know
  int32_t predicate = -1; // offset in the register file; -1: always
  int32_t mask = -1;      // Sync: the member mask's register
  int32_t site = -1;      // of a memory access: index of its Pattern
  uint32_t target = 0;    // Branch
  int32_t opcode = 0;     // index into Program::opcodes
  int32_t line = 0;
  int64_t immediate = 0;
  std::array<int32_t, 14> slots{}; // offsets in the register file; -1: absent
};

struct Constant { // lanes that are set once a launch
  int32_t slot;
  uint64_t value;
  int32_t bytes;
  bool afterStatic = false; // an address in dynamic shared memory: the static size is added
};

enum class Special : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NwarpId,
  DynamicShared,
  TotalShared,
  MaskEq,
  MaskLt,
  MaskLe,
  MaskGt,
  MaskGe,
  Clock,
  Count
};

struct Opcode {
  std::string name; // with modifiers
  OpClass kind = OpClass::Move;
};

struct Program {
  std::string kernel;
  std::vector<Inst> code; // ends with an exit
  std::vector<Constant> constants;
  std::array<int32_t, static_cast<size_t>(Special::Count)> specials{}; // slots, -1: not used
  std::vector<Opcode> opcodes;
  int64_t registerBytes = 0;
  int32_t sites = 0;
  int sharedCell = 4, globalCell = 4; // bytes of the smallest access: what races are looked for by
};

struct Group { // lanes of a warp that stand at the same instruction
  uint32_t pc, lanes;
  enum State : uint8_t { Ready, AtBarrier, AtSync } state = Ready;
};

struct PendingCopy { // a cp.async whose bytes have not landed
  uint32_t lanes, group, bytes;
  std::array<uint8_t, kLanes> sizes;         // bytes that come from the source; the rest is zeros
  std::array<uint32_t, kLanes> destinations; // in shared memory
  std::array<const unsigned char *, kLanes> sources;
};

struct Block;

struct Warp {
  unsigned char *registers = nullptr;
  uint32_t mask = 0; // lanes that execute the current instruction
  uint32_t full = 0, exited = 0;
  int id = 0;
  uint16_t syncEpoch = 0;    // counts bar.warp.sync
  uint32_t synchronised = 0; // the interval in which it met a fence and an atomic
  Block *block = nullptr;
  unsigned char *local = nullptr;
  const Inst *current = nullptr;
  std::vector<Group> groups;
  std::vector<PendingCopy> copies;
  std::array<uint32_t, kLanes> copyGroup{};

  // Reports are made once, for the first lane that is wrong; the scheduler stops after the instruction.
  void fault(int code, int lane, std::string what);
};

template <class T> T *lanes(Warp &w, int32_t slot) { return reinterpret_cast<T *>(w.registers + slot); }
inline uint32_t &predicate(Warp &w, int32_t slot) {
  return *reinterpret_cast<uint32_t *>(w.registers + slot);
}

// f(lane) for the lanes of the mask, as a loop that the compiler vectorises.
template <class F> inline void forLanes(uint32_t mask, F f) {
  if (mask == kAllLanes) {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l)
      f(l);
  } else {
#pragma GCC ivdep
    for (int l = 0; l < kLanes; ++l)
      if (mask >> l & 1)
        f(l);
  }
}

// f(lane) one after the other.
template <class F> inline void forEach(uint32_t mask, F f) {
  for (; mask; mask &= mask - 1)
    f(std::countr_zero(mask));
}

inline void setPredicate(Warp &w, int32_t slot, uint32_t value) {
  uint32_t &d = predicate(w, slot);
  d = (d & ~w.mask) | (value & w.mask);
}

// Registers of 8-bit types are 16 bits wide.
template <class T> struct StorageOf { using type = T; };
template <> struct StorageOf<int8_t> { using type = uint16_t; };
template <> struct StorageOf<uint8_t> { using type = uint16_t; };
template <class T> using Storage = typename StorageOf<T>::type;

// Instructions that compute each lane from the same lane: F is called with values of A, B, C.
template <class D, class A, auto F> void unary(Warp &w, const Inst &i) {
  D *d = lanes<D>(w, i.slots[0]);
  const A *a = lanes<A>(w, i.slots[1]);
  forLanes(w.mask, [&](int l) { d[l] = F(a[l]); });
}
template <class D, class A, class B, auto F> void binary(Warp &w, const Inst &i) {
  D *d = lanes<D>(w, i.slots[0]);
  const A *a = lanes<A>(w, i.slots[1]);
  const B *b = lanes<B>(w, i.slots[2]);
  forLanes(w.mask, [&](int l) { d[l] = F(a[l], b[l]); });
}
template <class D, class A, class B, class C, auto F> void ternary(Warp &w, const Inst &i) {
  D *d = lanes<D>(w, i.slots[0]);
  const A *a = lanes<A>(w, i.slots[1]);
  const B *b = lanes<B>(w, i.slots[2]);
  const C *c = lanes<C>(w, i.slots[3]);
  forLanes(w.mask, [&](int l) { d[l] = F(a[l], b[l], c[l]); });
}

} // namespace cudasim
