// cp.async: the bytes land when the thread waits for them and not before; until then their place is poison.
#include "machine/ops/addressing.h"
#include "machine/races.h"
#include <algorithm>

namespace cudasim {
namespace {

constexpr size_t kShared = 0, kGlobal = 1, kSize = 2, kSharedSite = 8, kGlobalSite = 9, kSharedWide = 10,
                 kGlobalWide = 11;

// Lanes whose copies belong to one group become one entry.
void enqueue(Warp &w, PendingCopy &copy) {
  for (uint32_t left = copy.lanes; left;) {
    copy.group = w.copyGroup[static_cast<size_t>(std::countr_zero(left))];
    copy.lanes = 0;
    forEach(left, [&](int l) {
      copy.lanes |= static_cast<uint32_t>(w.copyGroup[static_cast<size_t>(l)] == copy.group) << l;
    });
    left &= ~copy.lanes;
    w.copies.push_back(copy);
  }
}

// The bytes that each lane copies from its source; the rest is zeros.
uint32_t checkSizes(Warp &w, const Inst &i, PendingCopy &copy) {
  copy.sizes.fill(i.a);
  if (i.slots[kSize] < 0)
    return w.mask;
  const uint32_t *sizes = lanes<uint32_t>(w, i.slots[kSize]);
  uint32_t copying = 0;
  forEach(w.mask, [&](int l) {
    if (sizes[l] > i.a)
      return w.fault(kLaunchFailed, l, "cp.async copies more bytes than it was compiled for");
    copy.sizes[static_cast<size_t>(l)] = static_cast<uint8_t>(sizes[l]);
    copying |= static_cast<uint32_t>(sizes[l] != 0) << l;
  });
  return copying;
}

void copy(Warp &w, const Inst &i) {
  uint32_t mask = w.mask, bytes = i.a;
  PendingCopy pending;
  pending.bytes = bytes;
  pending.lanes = 0;
  uint32_t copying = checkSizes(w, i, pending);
  w.mask = copying; // lanes that copy nothing do not look at their source
  if (copying)
    access(w, i.slots[kGlobalSite], Space::Global,
           AddressOf{i.slots[kGlobal], i.slots[kGlobalWide] != 0, i.slots[12]}, bytes, Mode::Load,
           [&](const Resolved &r, uint32_t lanesHere) {
             forLanes(lanesHere, [&](int l) {
               pending.sources[static_cast<size_t>(l)] = r.base + r.pattern->relative[static_cast<size_t>(l)];
             });
           });
  w.mask = mask;
  access(w, i.slots[kSharedSite], Space::Shared,
         AddressOf{i.slots[kShared], i.slots[kSharedWide] != 0, i.immediate}, bytes, Mode::Store,
         [&](const Resolved &r, uint32_t lanesHere) {
           auto place = static_cast<int64_t>(r.base - w.block->shared.data());
           forLanes(lanesHere, [&](int l) {
             pending.destinations[static_cast<size_t>(l)] =
                 static_cast<uint32_t>(place + r.pattern->relative[static_cast<size_t>(l)]);
           });
           pending.lanes = lanesHere;
           poisonShared(*w.block, *r.pattern, place);
         });
  if (!w.block->grid.fault)
    enqueue(w, pending);
}

template <uint32_t kBytes> void landLanes(Warp &w, const PendingCopy &c, uint32_t landing) {
  unsigned char *shared = w.block->shared.data();
  forEach(landing, [&](int l) {
    auto lane = static_cast<size_t>(l);
    unsigned char *place = shared + c.destinations[lane];
    uint32_t size = c.sizes[lane];
    if (size == kBytes)
      return static_cast<void>(std::memcpy(place, c.sources[lane], kBytes));
    std::memset(place, 0, kBytes);
    if (size)
      std::memcpy(place, c.sources[lane], size);
  });
  landShared(w, landing, c.destinations.data(), kBytes);
}

void land(Warp &w, const PendingCopy &c, uint32_t landing) {
  c.bytes == 4   ? landLanes<4>(w, c, landing)
  : c.bytes == 8 ? landLanes<8>(w, c, landing)
                 : landLanes<16>(w, c, landing);
}

void commit(Warp &w, const Inst &) {
  forEach(w.mask, [&](int l) { ++w.copyGroup[static_cast<size_t>(l)]; });
}

// Lands the copies of all groups but the latest i.immediate that were committed.
void wait(Warp &w, const Inst &i) {
  auto latest = static_cast<uint32_t>(i.immediate);
  std::erase_if(w.copies, [&](PendingCopy &c) {
    uint32_t landing = 0;
    for (int l = 0; l < kLanes; ++l)
      landing |= static_cast<uint32_t>(c.group + latest < w.copyGroup[static_cast<size_t>(l)]) << l;
    landing &= c.lanes & w.mask;
    if (landing)
      land(w, c, landing);
    c.lanes &= ~landing;
    return c.lanes == 0;
  });
}

void waitAll(Warp &w, const Inst &i) {
  commit(w, i);
  wait(w, i);
}

void decodeCopy(Form &f) {
  bool wide = f.take("cg");
  if (!wide && !f.take("ca"))
    f.fail(".ca or .cg is missing");
  if (!f.take("shared") && !f.take("shared::cta"))
    f.fail("the destination is not .shared");
  if (!f.take("global"))
    f.fail("the source is not .global");
  f.skip({"L2::64B", "L2::128B", "L2::256B"});
  f.expectOperands(3, 4);
  Form::Address shared = f.address(f.operand(0)), global = f.address(f.operand(1));
  uint64_t bytes = f.operand(2).bits;
  if (f.operand(2).kind != ptx::Operand::Kind::Integer ||
      (bytes != 16 && (wide || (bytes != 4 && bytes != 8))))
    f.fail(".ca copies 4, 8 or 16 bytes, .cg 16");
  if (global.offset != static_cast<int32_t>(global.offset))
    f.fail("the offset is too large");
  f.inst.a = static_cast<uint8_t>(bytes);
  f.inst.immediate = shared.offset;
  f.inst.slots[kShared] = shared.slot;
  f.inst.slots[kGlobal] = global.slot;
  f.inst.slots[kSize] = f.operands() == 4 ? f.source(3, Type::B32) : -1;
  f.inst.slots[kSharedSite] = f.newSite();
  f.inst.slots[kGlobalSite] = f.newSite();
  f.inst.slots[kSharedWide] = shared.wide;
  f.inst.slots[kGlobalWide] = global.wide;
  f.inst.slots[12] = static_cast<int32_t>(global.offset);
  f.inst.run = copy;
}

void decodeAsync(Form &f) {
  f.needs(80);
  if (!f.take("async"))
    return f.fail("only cp.async is supported");
  int what = f.takeOneOf({"commit_group", "wait_group", "wait_all"});
  if (what < 0)
    return decodeCopy(f);
  f.expectOperands(what == 1 ? 1 : 0);
  f.inst.immediate = what == 1 ? static_cast<int64_t>(f.operand(0).bits) : 0;
  f.inst.run = what == 0 ? commit : what == 1 ? wait : waitAll;
}

} // namespace

std::span<const Family> asyncFamilies() {
  static constexpr Family kFamilies[] = {{"cp", Data::Any, OpClass::Async, decodeAsync}};
  return kFamilies;
}

} // namespace cudasim
