#include "codegen/kernel_symbol.h"

#include <map>

#include "ir/op.h"
#include "support/hash.h"

namespace gradc {
namespace {

/// Hashes a region by position: values by the order of their definition, never by name.
void hashRegion(Hasher &hasher, const Function &fn, RegionId region) {
  std::map<ValueId, uint32_t> number;
  auto define = [&](ValueId value) {
    number.emplace(value, static_cast<uint32_t>(number.size()));
    hasher.add(toString(fn.type(value)));
  };
  for (ValueId arg : fn[region].args)
    define(arg);
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    hasher.add(op.def->name).add(toString(op.attrs)).add(op.operands.size());
    for (ValueId operand : op.operands)
      hasher.add(number.at(operand));
    for (ValueId result : op.results)
      define(result);
  }
  for (ValueId value : fn[region].yields)
    hasher.add(number.at(value));
}

/// The op that names the kernel: the contraction, reduction or window if it has one, else the last op.
const OpData *mainOp(const Function &fn, RegionId region) {
  for (uint32_t trait : {uint32_t{kContraction}, uint32_t{kReduction}, uint32_t{kWindow}})
    for (OpId id : fn[region].ops)
      if ((fn[id].def->traits & trait) != 0)
        return &fn[id];
  return fn[region].ops.empty() ? nullptr : &fn[fn[region].ops.back()];
}

/// "64x512x784": the result's shape, and the length of a product's sum.
std::string sizes(const Function &fn, const OpData &op) {
  const Shape &shape = fn.type(op.results[0]).shape;
  std::string text;
  for (int64_t dim : shape)
    text += (text.empty() ? "" : "x") + std::to_string(dim);
  if (op.def->name == "matmul") {
    const Shape &a = fn.type(op.operands[0]).shape;
    text += "x" + std::to_string(a[a.rank() - (withDefaults(*op.def, op.attrs).flag("transpose_a") ? 2 : 1)]);
  }
  return text.empty() ? "scalar" : text;
}

} // namespace

std::string kernelSymbol(const Function &fn, OpId kernel, std::string_view generator) {
  RegionId region = fn[kernel].regions[0];
  Hasher hasher;
  hasher.add(generator).add(fn[kernel].attrs.str("kind"));
  if (const Attr *schedule = fn[kernel].attrs.find("schedule"))
    hasher.add(toString(*schedule));
  hashRegion(hasher, fn, region);
  const OpData *main = mainOp(fn, region);
  if (!main)
    return "copy_" + hex(hasher.digest64());
  std::string name = std::string(main->def->name) + "_" + sizes(fn, *main);
  constexpr int kMaxNamed = 4;
  int named = 0;
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    if (&op != main && !op.def->is(kCheap) && !op.def->is(kMovement) && named++ < kMaxNamed)
      name += "_" + std::string(op.def->name);
  }
  return name + "_" + hex(hasher.digest64());
}

const Location &kernelPlace(const Function &fn, OpId kernel) {
  const OpData *main = mainOp(fn, fn[kernel].regions[0]);
  return main && main->loc.known() ? main->loc : fn[kernel].loc;
}

} // namespace gradc
