#include "codegen/cpu/amx/tile_matmul.h"

#include "codegen/cpu/amx/tile_matmul_emulated.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

template <class Walk>
KernelCode emitWalk(KernelContext &k, const TileMatmul &plan, EpilogueStore &store, int rowBuffer,
                    int columnBuffer) {
  Walk walk(k, plan, store);
  KernelCode code;
  code.workspaceBytes = walk.workspaceBytes();
  code.steps = {walk.emitPacking(columnBuffer), walk.emitProduct(rowBuffer)};
  return code;
}

} // namespace

ValueId packedFrom(const Function &fn, ValueId factor) {
  const OpId def = fn[factor].def;
  return def != kNoOp && fn[def].def->name == "cast" ? fn[def].operands[0] : factor;
}

KernelCode emitTileMatmul(KernelContext &k, const TileMatmul &plan, EpilogueStore &store, int rowBuffer,
                          int columnBuffer) {
  switch (plan.walk) {
  case TileMatmul::Walk::Flat: return emitWalk<FlatMatmul>(k, plan, store, rowBuffer, columnBuffer);
  case TileMatmul::Walk::Deep: return emitWalk<DeepMatmul>(k, plan, store, rowBuffer, columnBuffer);
  case TileMatmul::Walk::Shallow: return emitWalk<ShallowMatmul>(k, plan, store, rowBuffer, columnBuffer);
  case TileMatmul::Walk::Strips: return emitWalk<StripMatmul>(k, plan, store, rowBuffer, columnBuffer);
  case TileMatmul::Walk::Rows: return emitWalk<RowMatmul>(k, plan, store, rowBuffer, columnBuffer);
  }
  CHECK(false, "a way to walk through a product");
}

} // namespace gradc
