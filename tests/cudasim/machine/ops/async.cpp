// cp.async: the bytes land when the thread waits for them and not before; until then their place is poison.
#include "machine/ops/addressing.h"
#include "machine/races.h"
#include <algorithm>

namespace cudasim {
namespace {

constexpr size_t kShared = 0, kGlobal = 1, kSize = 2, kSharedSite = 8, kGlobalSite = 9, kSharedWide = 10,
                 kGlobalWide = 11;

void copy(Warp &w, const Inst &i) {
  uint32_t mask = w.mask, bytes = i.a, copying = mask;
  const uint32_t *sizes = i.slots[kSize] >= 0 ? lanes<uint32_t>(w, i.slots[kSize]) : nullptr;
  if (sizes)
    forEach(mask, [&](int l) {
      if (sizes[l] > bytes)
        w.fault(kLaunchFailed, l, "cp.async copies more bytes than it was compiled for");
      copying &= sizes[l] == 0 ? ~(1U << l) : kAllLanes;
    });
  std::array<const unsigned char *, kLanes> sources{};
  w.mask = copying; // lanes that copy nothing do not look at their source
  if (copying)
    access(w, i.slots[kGlobalSite], Space::Global,
           addressesOf(w, i.slots[kGlobal], i.slots[kGlobalWide] != 0, i.slots[12]), bytes, Mode::Load,
           [&](const Resolved &r, uint32_t lanesHere) {
             forEach(lanesHere,
                     [&](int l) { sources[static_cast<size_t>(l)] = r.base + r.pattern->relative[l]; });
           });
  w.mask = mask;
  access(w, i.slots[kSharedSite], Space::Shared,
         addressesOf(w, i.slots[kShared], i.slots[kSharedWide] != 0, i.immediate), bytes, Mode::Store,
         [&](const Resolved &r, uint32_t lanesHere) {
           forEach(lanesHere, [&](int l) {
             auto place = static_cast<uint64_t>(r.base + r.pattern->relative[l] - w.block->shared.data());
             uint32_t size = sizes ? std::min(sizes[l], bytes) : bytes;
             w.copies.push_back({l, w.copyGroup[static_cast<size_t>(l)], place,
                                 sources[static_cast<size_t>(l)], size, bytes - size});
             poisonShared(*w.block, place, bytes);
           });
         });
}

void land(Warp &w, const PendingCopy &c) {
  unsigned char *place = w.block->shared.data() + c.destination;
  if (c.bytes)
    std::memcpy(place, c.source, c.bytes);
  std::fill_n(place + c.bytes, c.zeros, 0);
  landShared(w, c.lane, c.destination, c.bytes + c.zeros);
}

void commit(Warp &w, const Inst &) {
  forEach(w.mask, [&](int l) { ++w.copyGroup[static_cast<size_t>(l)]; });
}

// Lands the copies of all groups but the latest i.immediate that were committed.
void wait(Warp &w, const Inst &i) {
  std::erase_if(w.copies, [&](const PendingCopy &c) {
    bool waits = w.mask >> c.lane & 1;
    bool lands = waits && static_cast<int64_t>(c.group) + i.immediate <
                              static_cast<int64_t>(w.copyGroup[static_cast<size_t>(c.lane)]);
    if (lands)
      land(w, c);
    return lands;
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
