// bra ret exit trap bar barrier membar fence nanosleep.
#include "machine/block.h"
#include "machine/decoder.h"

namespace cudasim {
namespace {

void nothing(Warp &, const Inst &) {}
void syncWarp(Warp &w, const Inst &) { ++w.syncEpoch; }
void fence(Warp &w, const Inst &) { w.block->fenced = true; }
void trap(Warp &w, const Inst &) { w.fault(kLaunchFailed, std::countr_zero(w.mask), "trap"); }

void decodeBranch(Form &f) {
  f.skip({"uni"});
  f.inst.flow = Flow::Branch;
}

void decodeExit(Form &f) {
  f.skip({"uni"});
  f.expectOperands(0);
  f.inst.flow = Flow::Exit;
}

void decodeTrap(Form &f) {
  f.expectOperands(0);
  f.inst.run = trap;
}

void decodeWarpBarrier(Form &f) {
  if (!f.take("sync"))
    f.fail(".sync is missing");
  f.expectOperands(1);
  f.inst.flow = Flow::Sync;
  f.inst.mask = f.source(0, Type::B32);
  f.inst.run = syncWarp;
}

// bar.red: 1 popc, 2 or, 3 and, of a predicate over the block.
void decodeReduction(Form &f) {
  int what = f.takeOneOf({"popc", "or", "and"});
  f.takeType({what == 0 ? Type::U32 : Type::Pred});
  f.expectOperands(3);
  f.inst.a = static_cast<uint8_t>(what + 1);
  f.inst.slots[0] = what == 0 ? f.destination(0, Type::U32) : f.predicateDestination(0);
  bool negated = false;
  f.inst.slots[1] = f.predicateSource(2, negated);
  f.inst.b = negated;
}

void decodeBarrier(Form &f) {
  if (f.take("warp"))
    return decodeWarpBarrier(f);
  f.skip({"cta", "aligned"});
  f.inst.flow = Flow::Barrier;
  bool reduces = f.take("red");
  if (!reduces && !f.take("sync"))
    f.fail("only .sync and .red are supported");
  if (reduces)
    decodeReduction(f);
  else
    f.expectOperands(1); // a thread count is not supported: all threads of the block take part
  if (f.operand(reduces ? 1 : 0).kind != ptx::Operand::Kind::Integer)
    f.fail("the barrier's number is no literal");
}

void decodeFence(Form &f) {
  f.skip({"gl", "cta", "sys", "gpu", "sc", "acq_rel", "acquire", "release"});
  f.expectOperands(0);
  f.inst.run = fence;
}

void decodeSleep(Form &f) {
  f.takeType({Type::U32});
  f.source(0, Type::U32);
  f.inst.run = nothing;
}

} // namespace

std::span<const Family> controlFamilies() {
  static constexpr Family kFamilies[] = {
      {"bra", Data::Any, OpClass::Branch, decodeBranch},
      {"ret", Data::Any, OpClass::Branch, decodeExit},
      {"exit", Data::Any, OpClass::Branch, decodeExit},
      {"trap", Data::Any, OpClass::Branch, decodeTrap},
      {"bar", Data::Any, OpClass::Barrier, decodeBarrier},
      {"barrier", Data::Any, OpClass::Barrier, decodeBarrier},
      {"membar", Data::Any, OpClass::Barrier, decodeFence},
      {"fence", Data::Any, OpClass::Barrier, decodeFence},
      {"nanosleep", Data::Any, OpClass::Branch, decodeSleep},
  };
  return kFamilies;
}

} // namespace cudasim
