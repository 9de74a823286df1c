// What instructions with addresses share.
#pragma once
#include "machine/block.h"
#include "machine/decoder.h"
#include <utility>

namespace cudasim {

// The addresses of a warp: a base register of 32 or 64 bits, or none, and an offset.
template <class T> Addresses addressesOf(const T *base, int64_t offset, uint32_t mask) {
  Addresses result{.mask = mask};
  int first = std::countr_zero(mask);
  T start = base[first];
  result.base = static_cast<uint64_t>(start) + static_cast<uint64_t>(offset);
  for (int l = 0; l < kLanes; ++l)
    result.relative[l] =
        mask >> l & 1 ? static_cast<int64_t>(static_cast<uint64_t>(base[l]) - static_cast<uint64_t>(start))
                      : 0;
  return result;
}

inline Addresses addressesOf(Warp &w, int32_t slot, bool wide, int64_t offset) {
  if (slot < 0) {
    Addresses result{.base = static_cast<uint64_t>(offset), .mask = w.mask};
    result.relative.fill(0);
    return result;
  }
  return wide ? addressesOf(lanes<uint64_t>(w, slot), offset, w.mask)
              : addressesOf(lanes<uint32_t>(w, slot), offset, w.mask);
}

// The lanes whose generic address is in the same space as the first one's, as addresses of that space.
inline Addresses sameSpace(const Addresses &all, Space &space) {
  uint64_t window = 0;
  int first = std::countr_zero(all.mask);
  uint64_t base = all.base + static_cast<uint64_t>(all.relative[first]);
  space = spaceOf(base, window);
  Addresses result{.base = base - window, .mask = 0};
  result.relative.fill(0);
  forEach(all.mask, [&](int l) {
    uint64_t other = 0, address = all.base + static_cast<uint64_t>(all.relative[l]);
    if (spaceOf(address, other) != space)
      return;
    result.mask |= 1U << l;
    result.relative[l] = static_cast<int64_t>(address - base);
  });
  return result;
}

// An access: f(resolved, lanes) moves the bytes, once for each space that the addresses are in.
template <class F>
void access(Warp &w, int32_t site, Space space, Addresses &&addresses, uint32_t bytes, Mode mode, F f) {
  Site &place = w.block->grid.sites[static_cast<size_t>(site)];
  Resolved resolved;
  if (space != Space::Generic) {
    if (resolve(w, place, addresses, space, bytes, mode, resolved))
      f(resolved, addresses.mask);
    return;
  }
  uint32_t mask = w.mask;
  while (addresses.mask) {
    Space here = space;
    Addresses part = sameSpace(addresses, here);
    w.mask = part.mask;
    if (!resolve(w, place, part, here, bytes, mode, resolved))
      break;
    f(resolved, part.mask);
    addresses.mask &= ~part.mask;
  }
  w.mask = mask;
}

// Where an instruction says that its addresses are.
struct AddressOf {
  int32_t slot; // of the base register; -1: none
  bool wide;    // it has 64 bits
  int64_t offset;
};

// Whether the lanes stand to each other as they did when the site was last executed, which is nearly always so.
template <class T, class R> bool stands(const T *base, T start, const R *relative, uint32_t mask) {
  std::make_unsigned_t<R> difference = 0;
  if (mask == kAllLanes)
    for (int l = 0; l < kLanes; ++l)
      difference |= static_cast<T>(base[l] - start) ^ static_cast<T>(relative[l]);
  else
    for (int l = 0; l < kLanes; ++l)
      difference |= mask >> l & 1 ? static_cast<T>(base[l] - start) ^ static_cast<T>(relative[l]) : 0;
  return difference == 0;
}

// The site's last pattern if it fits, null if it does not. Distances of 32-bit addresses are compared modulo 2^32: one that
// wraps around is out of bounds either way.
inline Pattern *lastPattern(Warp &w, Site &site, const AddressOf &a, Space space, uint64_t &base) {
  size_t last = site.last[static_cast<size_t>(w.id)];
  if (last >= site.patterns.size() || a.slot < 0)
    return nullptr;
  Pattern &p = site.patterns[last];
  int first = std::countr_zero(w.mask);
  uint64_t start = a.wide ? lanes<uint64_t>(w, a.slot)[first] : lanes<uint32_t>(w, a.slot)[first];
  base = start + static_cast<uint64_t>(a.offset);
  if (p.mask != w.mask || p.space != space || p.phase != phaseOf(base, space))
    return nullptr;
  bool fits = a.wide
                  ? stands(lanes<uint64_t>(w, a.slot), start, p.relative.data(), w.mask)
                  : stands(lanes<uint32_t>(w, a.slot), static_cast<uint32_t>(start), p.narrow.data(), w.mask);
  return fits ? &p : nullptr;
}

// As above, for the lanes of the warp's mask.
template <class F>
void access(Warp &w, int32_t site, Space space, const AddressOf &a, uint32_t bytes, Mode mode, F f) {
  if (space == Space::Shared || space == Space::Global) {
    uint64_t base = 0;
    if (Pattern *p = lastPattern(w, w.block->grid.sites[static_cast<size_t>(site)], a, space, base)) {
      if (Resolved resolved; resolve(w, *p, base, mode, resolved))
        f(resolved, w.mask);
      return;
    }
  }
  access(w, site, space, addressesOf(w, a.slot, a.wide, a.offset), bytes, mode, f);
}

// Takes ".global", ".shared::cta" and so on; Generic if there is none.
inline Space takeSpace(Form &f) {
  switch (f.takeOneOf({"global", "shared", "shared::cta", "local", "param", "param::entry", "const"})) {
  case 0: return Space::Global;
  case 1:
  case 2: return Space::Shared;
  case 3: return Space::Local;
  case 4:
  case 5: return Space::Param;
  case 6: return Space::Const;
  default: return Space::Generic;
  }
}

// Says what the smallest access of a space is, for the race checks' cells.
inline void noteCell(Form &f, Space space, int bytes) {
  if (space == Space::Shared || space == Space::Generic)
    f.sharedCell(bytes);
  if (space == Space::Global || space == Space::Generic || space == Space::Const)
    f.globalCell(bytes);
}

// A symbol's address and the space of the instruction must go together.
inline void checkSpace(Form &f, const Form::Address &address, Space space) {
  bool symbol = address.space != Space::Generic;
  bool agrees = address.space == space || (address.space == Space::Const && space == Space::Global) ||
                (address.space == Space::Global && space == Space::Generic);
  if (symbol && !agrees)
    f.fail("the symbol is in another space");
}

} // namespace cudasim
