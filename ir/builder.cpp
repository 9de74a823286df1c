#include "ir/builder.h"

#include <numeric>

#include "ir/op.h"
#include "support/check.h"

namespace gradc {

OpId Builder::createOp(std::string_view op, std::vector<ValueId> operands, Dict attrs) {
  const OpDef &def = opDef(op);
  Rule<Dict> normal = normalizeAttrs(def, attrs);
  CHECK(normal, "{}: {}", op, normal.error());
  std::vector<Type> operandTypes;
  for (ValueId v : operands)
    operandTypes.push_back(fn_[v].type);
  Rule<std::vector<Type>> types = inferTypes(def, operandTypes, *normal);
  CHECK(types, "{}: {}", op, types.error());
  std::vector<std::string> names(types->size(), name_);
  OpId id = fn_.makeOp(region_, &def, std::move(operands), std::move(*normal), *types, names, loc_);
  append(id);
  return id;
}

ValueId Builder::constant(Tensor value) { return create("constant", {}, {{"value", std::move(value)}}); }

ValueId Builder::splat(Type type, double value) {
  ValueId scalar = constant(Tensor::scalar(type.dtype, value));
  return type.rank() == 0 ? scalar : broadcast(scalar, type.shape, {});
}

ValueId Builder::broadcast(ValueId a, Shape shape, std::vector<int64_t> axes) {
  if (type(a).shape == shape)
    return a;
  return create("broadcast", {a}, {{"axes", axes}, {"shape", shape}});
}

ValueId Builder::broadcastTo(ValueId a, Shape shape) {
  const Shape from = type(a).shape;
  if (from == shape)
    return a;
  int lead = shape.rank() - from.rank();
  CHECK(lead >= 0, "cannot broadcast {} to {}", toString(from), toString(shape));
  Shape kept;
  std::vector<int64_t> axes;
  for (int axis = 0; axis < from.rank(); ++axis) {
    if (from[axis] == 1 && shape[axis + lead] != 1)
      continue;
    CHECK(from[axis] == shape[axis + lead], "cannot broadcast {} to {}", toString(from), toString(shape));
    kept.push(from[axis]);
    axes.push_back(axis + lead);
  }
  return broadcast(reshape(a, kept), shape, std::move(axes));
}

ValueId Builder::sumTo(ValueId a, Shape shape) {
  const Shape from = type(a).shape;
  if (from == shape)
    return a;
  int lead = from.rank() - shape.rank();
  std::vector<int64_t> axes;
  for (int axis = 0; axis < from.rank(); ++axis)
    if (axis < lead || (shape[axis - lead] == 1 && from[axis] != 1))
      axes.push_back(axis);
  return reshape(axes.empty() ? a : reduceSum(a, std::move(axes)), shape);
}

ValueId Builder::reshape(ValueId a, Shape shape) {
  if (type(a).shape == shape)
    return a;
  return create("reshape", {a}, {{"shape", shape}});
}

ValueId Builder::transpose(ValueId a, std::vector<int64_t> permutation) {
  std::vector<int64_t> identity(permutation.size());
  std::iota(identity.begin(), identity.end(), 0);
  if (permutation == identity)
    return a;
  return create("transpose", {a}, {{"permutation", permutation}});
}

ValueId Builder::reduceSum(ValueId a, std::vector<int64_t> axes, bool keepDims) {
  return create("reduce_sum", {a}, {{"axes", axes}, {"keep_dims", keepDims}});
}

ValueId Builder::cast(ValueId a, DType dtype) {
  if (type(a).dtype == dtype)
    return a;
  return create("cast", {a}, {{"dtype", dtype}});
}

ValueId Builder::matmul(ValueId a, ValueId b, bool transposeA, bool transposeB) {
  return create("matmul", {a, b}, {{"transpose_a", transposeA}, {"transpose_b", transposeB}});
}

namespace {
ValueId mapped(const Function &source, const ValueMap &map, ValueId v) {
  CHECK(index(v) < map.size() && map[index(v)] != kNoValue, "%{} is used before it is cloned",
        source[v].name);
  return map[index(v)];
}
} // namespace

OpId cloneOp(const Function &source, OpId op, Builder &into, ValueMap &map) {
  Function &fn = into.function();
  // Copied up front: source and target may be the same function, whose arenas grow below.
  const OpData data = source[op];
  std::vector<ValueId> operands;
  for (ValueId v : data.operands)
    operands.push_back(mapped(source, map, v));
  std::vector<Type> types;
  std::vector<std::string> names;
  for (ValueId v : data.results) {
    types.push_back(source[v].type);
    names.push_back(source[v].name);
  }
  OpId clone = fn.makeOp(into.region(), data.def, std::move(operands), data.attrs, types, names, data.loc);
  map.resize(std::max(map.size(), source.numValues()), kNoValue);
  for (size_t i = 0; i < data.results.size(); ++i)
    map[index(data.results[i])] = fn[clone].results[i];
  for (RegionId region : data.regions) {
    const RegionData from = source[region];
    RegionId to = fn.addRegion(clone);
    Builder inner(fn, to);
    map.resize(std::max(map.size(), source.numValues()), kNoValue);
    for (ValueId arg : from.args) {
      const ValueData argData = source[arg];
      map[index(arg)] = fn.addArg(to, argData.type, argData.name, argData.attrs, argData.loc);
    }
    for (OpId innerOp : from.ops)
      cloneOp(source, innerOp, inner, map);
    for (ValueId v : from.yields)
      fn[to].yields.push_back(mapped(source, map, v));
    fn[to].yieldLoc = from.yieldLoc;
  }
  into.append(clone);
  return clone;
}

} // namespace gradc
