// ld st prefetch.
#include "machine/ops/addressing.h"
#include <algorithm>

namespace cudasim {
namespace {

// In slots: 0 the address, 1 … the registers. Then:
constexpr size_t kSite = 10, kWide = 11, kSpace = 12, kMode = 13;

Space spaceIn(const Inst &i) { return static_cast<Space>(i.slots[kSpace]); }
Mode modeIn(const Inst &i) { return static_cast<Mode>(i.slots[kMode]); }
AddressOf addressIn(const Inst &i) { return {i.slots[0], i.slots[kWide] != 0, i.immediate}; }

// Vectors of a warp's lanes into registers: N elements of each of N lanes are a matrix that is transposed.
template <class R, int N> void loadVectors(Warp &w, const Inst &i, const Resolved &r) {
  typedef R Row __attribute__((vector_size(N * sizeof(R))));
  const int64_t *relative = r.pattern->relative.data();
  R *d[N];
  for (size_t k = 0; k < N; ++k)
    d[k] = lanes<R>(w, i.slots[1 + k]);
  for (int l = 0; l < kLanes; l += N) {
    Row rows[N];
    for (int x = 0; x < N; ++x)
      std::memcpy(&rows[x], r.base + relative[l + x], sizeof(Row));
    if constexpr (N == 4) {
      Row ab = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5),
          cd = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
      Row ef = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7),
          gh = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
      rows[0] = __builtin_shufflevector(ab, cd, 0, 1, 4, 5),
      rows[1] = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
      rows[2] = __builtin_shufflevector(ef, gh, 0, 1, 4, 5),
      rows[3] = __builtin_shufflevector(ef, gh, 2, 3, 6, 7);
    } else {
      Row first = __builtin_shufflevector(rows[0], rows[1], 0, 2);
      rows[1] = __builtin_shufflevector(rows[0], rows[1], 1, 3);
      rows[0] = first;
    }
    for (size_t k = 0; k < N; ++k)
      std::memcpy(d[k] + l, &rows[k], sizeof(Row));
  }
}

// All lanes of a warp, in the shapes that occur most; false: in another one.
template <class R> bool loadWhole(Warp &w, const Inst &i, const Resolved &r) {
  uint32_t count = i.a;
  if (r.pattern->uniform) {
    for (uint32_t k = 0; k < count; ++k) {
      R value;
      std::memcpy(&value, r.base + k * sizeof(R), sizeof(R));
      std::fill_n(lanes<R>(w, i.slots[1 + k]), kLanes, value);
    }
    return true;
  }
  if (count == 1 && r.pattern->contiguous) {
    std::memcpy(lanes<R>(w, i.slots[1]), r.base, sizeof(R) * kLanes);
    return true;
  }
  if (sizeof(R) != 4 || (count != 4 && count != 2))
    return false;
  if constexpr (sizeof(R) == 4)
    count == 4 ? loadVectors<R, 4>(w, i, r) : loadVectors<R, 2>(w, i, r);
  return true;
}

// M in memory, R in the register.
template <class M, class R> void load(Warp &w, const Inst &i) {
  uint32_t count = i.a;
  access(w, i.slots[kSite], spaceIn(i), addressIn(i), sizeof(M) * count, modeIn(i),
         [&](const Resolved &r, uint32_t mask) {
           const int64_t *relative = r.pattern->relative.data();
           if (sizeof(M) == sizeof(R) && mask == kAllLanes && loadWhole<R>(w, i, r))
             return;
           for (uint32_t k = 0; k < count; ++k) {
             R *d = lanes<R>(w, i.slots[1 + k]);
             const unsigned char *base = r.base + k * sizeof(M);
             forLanes(mask, [&](int l) {
               M value;
               std::memcpy(&value, base + relative[l], sizeof(M));
               d[l] = static_cast<R>(value);
             });
           }
         });
}

// Of lanes that write the same bytes one wins, and which is not defined: they must agree.
template <class M, class R> bool agree(Warp &w, const Inst &i, const Pattern &p) {
  for (uint32_t left = p.mask; left; left &= left - 1)
    for (uint32_t rest = left & (left - 1); rest; rest &= rest - 1) {
      int x = std::countr_zero(left), y = std::countr_zero(rest);
      int64_t apart = p.relative[x] - p.relative[y];
      bool overlap = apart < static_cast<int64_t>(p.bytes) && -apart < static_cast<int64_t>(p.bytes);
      bool same = apart == 0;
      for (uint32_t k = 0; k < i.a && same; ++k)
        same =
            static_cast<M>(lanes<R>(w, i.slots[1 + k])[x]) == static_cast<M>(lanes<R>(w, i.slots[1 + k])[y]);
      if (overlap && !same) {
        w.fault(kLaunchFailed, y, "race within a warp: two lanes store different values to the same place");
        return false;
      }
    }
  return true;
}

template <class M, class R> void store(Warp &w, const Inst &i) {
  uint32_t count = i.a;
  access(w, i.slots[kSite], spaceIn(i), addressIn(i), sizeof(M) * count, Mode::Store,
         [&](const Resolved &r, uint32_t mask) {
           const int64_t *relative = r.pattern->relative.data();
           if (r.pattern->overlaps && !agree<M, R>(w, i, *r.pattern))
             return;
           for (uint32_t k = 0; k < count; ++k) {
             const R *a = lanes<R>(w, i.slots[1 + k]);
             unsigned char *base = r.base + k * sizeof(M);
             if (sizeof(M) == sizeof(R) && count == 1 && r.pattern->contiguous)
               std::memcpy(base, a, sizeof(M) * kLanes);
             else
               forEach(mask, [&](int l) {
                 auto value = static_cast<M>(a[l]);
                 std::memcpy(base + relative[l], &value, sizeof(M));
               });
           }
         });
}

template <class R> void loadParameter(Warp &w, const Inst &i) {
  R value;
  std::memcpy(&value, w.block->grid.launch.parameters.data() + i.immediate, sizeof(R));
  R *d = lanes<R>(w, i.slots[1]);
  forLanes(w.mask, [&](int l) { d[l] = value; });
}

// Cache operators and hints change nothing here.
void skipHints(Form &f) {
  f.skip({"ca", "cg", "cs", "lu", "cv", "wb", "wt", "L1::evict_normal", "L1::evict_unchanged",
          "L1::evict_first", "L1::evict_last", "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B", "weak"});
}

Mode takeMode(Form &f) {
  bool relaxed = f.takeOneOf({"volatile", "relaxed", "acquire", "release"}) >= 0;
  f.skip({"gpu", "cta", "sys"});
  return f.take("nc") ? Mode::LoadNonCoherent : relaxed ? Mode::LoadRelaxed : Mode::Load;
}

struct Registers {
  std::vector<ptx::Operand> list;
  int64_t bytes = 0; // of the widest
};

Registers registersOf(Form &f, const ptx::Operand &o, int vector, Type type) {
  Registers result;
  result.list = o.kind == ptx::Operand::Kind::Vector ? o.elements : std::vector<ptx::Operand>{o};
  if (static_cast<int>(result.list.size()) != vector)
    f.fail("the vector has the wrong length");
  for (const ptx::Operand &r : result.list)
    if (int64_t have = ptx::bytesOf(f.typeOf(r)); r.kind == ptx::Operand::Kind::Register) {
      if (have < ptx::bytesOf(type) || f.typeOf(r) == Type::Pred)
        f.fail("a register is too narrow");
      result.bytes = std::max(result.bytes, have);
    }
  result.bytes = std::max({result.bytes, ptx::bytesOf(type), int64_t{2}});
  return result;
}

// Registers of one width; narrower ones in a vector of wider ones do not happen.
Type widthOf(int64_t bytes) { return bytes == 2 ? Type::B16 : bytes == 4 ? Type::B32 : Type::B64; }

template <bool kStore> Handler moving(Type type, int64_t bytes) {
  Type memory = type;
  switch (type) { // by bits
  case Type::F16:
  case Type::BF16: memory = Type::B16; break;
  case Type::F32:
  case Type::F16x2:
  case Type::BF16x2: memory = Type::B32; break;
  case Type::F64: memory = Type::B64; break;
  default: break;
  }
  return forInteger(memory, [&]<class M>(M) -> Handler {
    return forSize(widthOf(bytes), []<class R>(R) -> Handler {
      if constexpr (sizeof(R) < sizeof(M))
        return nullptr;
      else
        return kStore ? store<M, R> : load<M, R>;
    });
  });
}

void decodeParameter(Form &f, const Form::Address &address, Type type, int64_t bytes) {
  f.inst.immediate = address.offset;
  if (ptx::bytesOf(type) == bytes && address.slot < 0)
    f.inst.run = forSize(type, []<class R>(R) -> Handler { return loadParameter<R>; });
}

template <bool kStore> void decodeAccess(Form &f) {
  Mode mode = takeMode(f);
  Space space = takeSpace(f);
  skipHints(f);
  int vector = 1 << (f.takeOneOf({"v2", "v4", "v8"}) + 1);
  Type type = f.takeType();
  f.expectOperands(2);
  Form::Address address = f.address(f.operand(kStore ? 0 : 1));
  checkSpace(f, address, space);
  Registers registers = registersOf(f, f.operand(kStore ? 1 : 0), vector, type);
  if (vector * ptx::bytesOf(type) > 32 || (kStore && (space == Space::Param || space == Space::Const)))
    f.fail("no such access");
  f.inst.slots[0] = address.slot;
  f.inst.immediate = address.offset;
  f.inst.a = static_cast<uint8_t>(vector);
  f.inst.slots[kSite] = f.newSite();
  f.inst.slots[kWide] = address.wide;
  f.inst.slots[kSpace] = static_cast<int32_t>(space);
  f.inst.slots[kMode] = static_cast<int32_t>(kStore ? Mode::Store : mode);
  for (size_t k = 0; k < registers.list.size(); ++k) {
    const ptx::Operand &r = registers.list[k];
    f.inst.slots[1 + k] =
        kStore ? f.source(r, widthOf(registers.bytes)) : f.destination(r, widthOf(registers.bytes));
  }
  noteCell(f, space, static_cast<int>(ptx::bytesOf(type)));
  f.inst.run = moving<kStore>(type, registers.bytes);
  if (!kStore && space == Space::Param && vector == 1)
    decodeParameter(f, address, type, registers.bytes);
}

void nothing(Warp &, const Inst &) {}

void decodePrefetch(Form &f) {
  takeSpace(f);
  f.skip({"L1", "L2", "L2::evict_last", "L2::evict_normal"});
  f.expectOperands(1);
  f.address(f.operand(0));
  f.inst.run = nothing;
}

} // namespace

std::span<const Family> memoryFamilies() {
  static constexpr Family kFamilies[] = {
      {"ld", Data::Any, OpClass::Load, decodeAccess<false>},
      {"ldu", Data::Any, OpClass::Load, decodeAccess<false>},
      {"st", Data::Any, OpClass::Store, decodeAccess<true>},
      {"prefetch", Data::Any, OpClass::Load, decodePrefetch},
      {"prefetchu", Data::Any, OpClass::Load, decodePrefetch},
  };
  return kFamilies;
}

} // namespace cudasim
