#include "codegen/cuda/tile_operand.h"

#include <algorithm>

#include "ir/op.h"

namespace gradc {
namespace {

/// A matrix whose index and depth are `indexStride` and `depthStride` elements apart.
TileOperand matrix(std::string pointer, int64_t extent, int64_t depth, int64_t indexStride,
                   int64_t depthStride) {
  const std::string_view type = tileNumberType(std::max(extent * indexStride, depth * depthStride));
  auto scaled = [type](CudaText &text, std::string_view base, const std::string &i, int64_t stride) {
    return TilePart{
        .at = stride == 1
                  ? i
                  : text.define(type, base, tileTimes(type == "int" ? i : "(long long)" + i, stride))};
  };
  return {.pointer = std::move(pointer),
          .extent = extent,
          .loops = {depth},
          .acrossDepth = depthStride == 1 && indexStride != 1,
          .vectors = indexStride == 1 && depthStride % kTileVector == 0 && extent % kTileVector == 0,
          .index = [=](CudaText &text, const std::string &i) { return scaled(text, "at", i, indexStride); },
          .depth = [=](CudaText &text,
                       std::span<const std::string> k) { return scaled(text, "deep", k[0], depthStride); }};
}

TileOperands matmulOperands(CudaText &text, const Function &fn, OpId id, const TileFactors &from) {
  const OpData &op = fn[id];
  ImplicitProduct p = *implicitProduct(fn, id);
  if (from.whole)
    p = withoutPartials(fn, id, p);
  const Dict attrs = withDefaults(*op.def, op.attrs);
  const bool shared = fn.type(op.operands[1]).rank() < fn.type(op.results[0]).rank();
  const bool split = p.partials > 1; // of one product, whose operands lie as they are (ir/order.h)
  const std::string number = p.batch == 1 && !split ? "0" : from.product;
  const std::string lhs = tilePointer(text, from.a, number, split ? p.depth : p.rows * p.depth),
                    rhs = shared ? from.b : tilePointer(text, from.b, number, p.columns * p.depth);
  return {.columns = attrs.flag("transpose_b") ? matrix(rhs, p.columns, p.depth, p.depth, 1)
                                               : matrix(rhs, p.columns, p.depth, 1, p.columns),
          .rows = attrs.flag("transpose_a") ? matrix(lhs, p.rows, p.depth, 1, p.rows)
                                            : matrix(lhs, p.rows, p.depth, p.depth * p.partials, 1)};
}

} // namespace

std::string tilePointer(CudaText &text, const std::string &pointer, const std::string &products,
                        int64_t stride) {
  if (products == "0" || stride == 0)
    return pointer;
  return text.define(
      "float *", pointer + "_here",
      fmt::format("{} + {} * {}{}", pointer, products, stride, stride < (1 << 20) ? "" : "LL"));
}

TileOperands tileOperands(CudaText &text, const Function &fn, OpId id, const TileFactors &from) {
  return fn[id].def->name == "matmul" ? matmulOperands(text, fn, id, from)
                                      : convolutionOperands(text, fn, id, from);
}

} // namespace gradc
