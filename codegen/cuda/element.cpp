#include "codegen/cuda/element.h"

#include <algorithm>

#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

const CudaElementRule *findRule(std::string_view op) {
  for (std::span<const CudaElementRule> rules : {cudaMovementRules(), cudaGeneratorRules(), cudaWindowRules(),
                                                 cudaReductionRules(), cudaContractionRules()})
    for (const CudaElementRule &rule : rules)
      if (rule.op == op)
        return &rule;
  return nullptr;
}

/// Addresses, windows that reach beyond an image and the threads of the last block stay below 2^31.
bool needsWideIndices(const Function &fn, RegionId region) {
  auto large = [&](ValueId value) { return storageBytes(fn.type(value)) >= int64_t{1} << 31; };
  if (std::ranges::any_of(fn[region].args, large))
    return true;
  return std::ranges::any_of(fn[region].ops,
                             [&](OpId op) { return std::ranges::any_of(fn[op].results, large); });
}

/// "float4", "ushort4", "uchar2"; empty where there is none or an access would be wider than 16 bytes.
std::string vectorType(DType dtype, int width) {
  if (width != 2 && width != 4)
    return "";
  if (dtypeSize(dtype) * static_cast<size_t>(width) > 16)
    return "";
  switch (dtype) {
  case DType::F32: return fmt::format("float{}", width);
  case DType::F64: return fmt::format("double{}", width);
  case DType::BF16:
  case DType::F16: return fmt::format("ushort{}", width);
  case DType::I8: return fmt::format("char{}", width);
  case DType::U8:
  case DType::Bool: return fmt::format("uchar{}", width);
  case DType::I32: return fmt::format("int{}", width);
  case DType::I64: return fmt::format("longlong{}", width);
  }
  CHECK(false, "dtype {}", static_cast<int>(dtype));
}

} // namespace

CudaElements::CudaElements(CudaText &text, const Function &fn, RegionId region)
    : text(text), math(text, needsWideIndices(fn, region)), fn(fn) {}

void CudaElements::bindBuffer(ValueId arg, std::string pointer) { buffers_[arg] = std::move(pointer); }

void CudaElements::bindValue(ValueId value, ValueAt at) {
  bound_[value] = std::move(at);
  values_.clear();
}

void CudaElements::bindFinished(ValueId value, std::string expression) {
  bound_[value] = [expression = std::move(expression)](const CudaIndices &) { return expression; };
}

void CudaElements::unbind(ValueId value) {
  bound_.erase(value);
  values_.clear();
}

std::string CudaElements::remembered(uint32_t id, bool shared, const CudaIndices &at,
                                     const std::function<std::string()> &compute) {
  const bool varies = std::ranges::any_of(at, [&](const CudaIndex &i) { return math.laneFactor(i) != 0; });
  const Key key{id, shared, varies ? math.lane : -1, at};
  if (auto known = values_.find(key); known != values_.end())
    return known->second;
  std::string result = compute();
  values_[key] = result;
  return result;
}

std::string CudaElements::emit(ValueId value, const CudaIndices &at) {
  return remembered(index(value), false, at, [&] { return compute(value, at); });
}

std::string CudaElements::once(OpId op, const CudaIndices &at, const std::function<std::string()> &compute) {
  return remembered(index(op), true, at, compute);
}

std::string CudaElements::compute(ValueId value, const CudaIndices &at) {
  if (auto bound = bound_.find(value); bound != bound_.end())
    return bound->second(at);
  if (auto buffer = buffers_.find(value); buffer != buffers_.end())
    return load(value, buffer->second, at);
  const OpId op = fn[value].def;
  CHECK(op != kNoOp, "no memory is bound to %{}", fn[value].name);
  if (fn[op].def->scalar)
    return elementwise(op, at);
  const CudaElementRule *rule = findRule(fn[op].def->name);
  CHECK(rule, "no code is known for {}", fn[op].def->name);
  return rule->emit(*this, op, at);
}

CudaIndex CudaElements::address(const Type &type, const CudaIndices &at) {
  if (type.layout.empty())
    return math.linear(type.shape, at);
  // [N/16][rest][16]: the position within the block is the innermost dimension.
  CHECK(type.layout == kLayoutN16, "layout {}", type.layout);
  CudaIndices blocks = at;
  blocks[0] = math.div(at[0], kLanes);
  Shape shape = type.shape;
  shape[0] = laneBlocks(shape[0]);
  return math.add(math.mul(math.linear(shape, blocks), kLanes), math.mod(at[0], kLanes));
}

std::string CudaElements::load(ValueId arg, const std::string &pointer, const CudaIndices &at) {
  const Type &type = fn.type(arg);
  const CudaIndex place = address(type, at);
  const std::string vector = vectorType(type.dtype, lanes);
  const CudaIndex first = math.withoutLane(place);
  // Neighbours whose first one is aligned: the buffer begins at a multiple of every vector's size.
  const bool together =
      !vector.empty() && math.laneFactor(place) == 1 && first.constant % lanes == 0 &&
      std::ranges::all_of(first.digits, [&](const CudaDigit &d) { return d.factor % lanes == 0; });
  std::string element;
  if (together) {
    std::string &known = vectors_[{pointer, first}];
    if (known.empty())
      known = text.define(vector, pointer + std::to_string(lanes),
                          fmt::format("*(const {} *)({})", vector,
                                      first == CudaIndex(0) ? pointer : pointer + " + " + math.text(first)));
    element = fmt::format("{}.{}", known, "xyzw"[math.lane]);
  } else {
    element = fmt::format("{}[{}]", pointer, math.text(place));
  }
  if (type.dtype == DType::Bool)
    element += " != 0";
  else if (together)
    return element;
  return text.define(cudaType(type.dtype), fn[arg].name, element);
}

void CudaElements::store(const Type &type, std::string_view pointer, const CudaIndices &at,
                         std::string_view value) {
  text.line("{}[{}] = {};", pointer, math.text(address(type, at)), value);
}

void CudaElements::storeLanes(const Type &type, std::string_view pointer, const CudaIndices &at,
                              std::span<const std::string> values) {
  const std::string vector = vectorType(type.dtype, lanes);
  const CudaIndex place = address(type, at);
  if (lanes > 1 && !vector.empty() && math.laneFactor(place) == 1) {
    std::string all;
    for (const std::string &value : values)
      all += (all.empty() ? "" : ", ") + value;
    text.line("*({} *)({} + {}) = make_{}({});", vector, pointer, math.text(math.withoutLane(place)), vector,
              all);
    return;
  }
  for (math.lane = 0; math.lane < lanes; ++math.lane)
    store(type, pointer, at, values[static_cast<size_t>(math.lane)]);
  math.lane = 0;
}

void CudaElements::block(std::string_view head, const std::function<void()> &body) {
  text.open(head);
  const auto values = values_;
  const auto vectors = vectors_;
  const auto indices = math.known;
  body();
  values_ = values;
  vectors_ = vectors;
  math.known = indices;
  text.close();
}

void CudaElements::loop(std::string_view name, int64_t count,
                        const std::function<void(const CudaIndex &)> &body, bool unroll) {
  if (count <= 0)
    return;
  if (count == 1)
    return body(0);
  const std::string counter = text.name(name);
  if (unroll)
    text.line("#pragma unroll");
  block(fmt::format("for ({} {} = 0; {} < {}; ++{})", math.indexType(), counter, counter, count, counter),
        [&] { body(math.counter(counter, count)); });
}

void CudaElements::when(std::string_view condition, const std::function<void()> &body) {
  if (condition.empty())
    return body();
  if (condition != "false")
    block(fmt::format("if ({})", condition), body);
}

std::string CudaElements::variable(DType dtype, std::string_view base, std::string_view start) {
  std::string name = text.name(base);
  text.line("{} {} = {};", cudaType(dtype), name, start);
  return name;
}

void CudaCondition::require(const std::string &condition) {
  if (condition.empty() || never())
    return;
  text_ = condition == "false" || text_.empty() ? condition : text_ + " && " + condition;
}

} // namespace gradc
