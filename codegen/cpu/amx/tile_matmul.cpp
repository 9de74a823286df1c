#include "codegen/cpu/amx/tile_matmul.h"

#include "codegen/cpu/amx/tile_matmul_parts.h"
#include "ir/op.h"

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
  return plan.isDeep() ? emitWalk<DeepMatmul>(k, plan, store, rowBuffer, columnBuffer)
                       : emitWalk<FlatMatmul>(k, plan, store, rowBuffer, columnBuffer);
}

} // namespace gradc
