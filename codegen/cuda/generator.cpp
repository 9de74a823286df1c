// Ops without tensor operands: constants, counting, random numbers.
#include <cstring>

#include "codegen/cuda/element.h"
#include "ir/op.h"
#include "ir/tensor.h"
#include "support/check.h"
#include "support/philox.h"

namespace gradc {
namespace {

bool isSplat(const Tensor &tensor) {
  const size_t size = dtypeSize(tensor.type().dtype);
  const std::span<const std::byte> bytes = tensor.bytes();
  return std::memcmp(bytes.data(), bytes.data() + size, bytes.size() - size) == 0;
}

/// The literal of one element, to the bit.
std::string literal(const Tensor &tensor, int64_t i) {
  const DType dtype = tensor.type().dtype;
  if (dtype == DType::F32 && tensor.get(i) != tensor.get(i))
    return fmt::format("__int_as_float({})", tensor.as<int32_t>()[static_cast<size_t>(i)]);
  if (dtype == DType::F64 && tensor.get(i) != tensor.get(i))
    return fmt::format("__longlong_as_double({}LL)", tensor.as<int64_t>()[static_cast<size_t>(i)]);
  if (dtype == DType::BF16 || dtype == DType::F16)
    return std::to_string(tensor.as<uint16_t>()[static_cast<size_t>(i)]);
  if (isFloat(dtype))
    return cudaLiteral(dtype, tensor.get(i));
  if (dtype == DType::Bool)
    return tensor.getInt(i) != 0 ? "true" : "false";
  return cudaLiteral(tensor.getInt(i)) +
         (dtype == DType::I64 && std::abs(tensor.getInt(i)) < INT32_MAX ? "LL" : "");
}

std::string constant(CudaElements &m, OpId id, const CudaIndices &at) {
  const OpData &op = m.fn[id];
  const Dense *dense = op.attrs.find("value")->as<Dense>();
  CHECK(dense, "a module's constant by name");
  const Tensor &tensor = **dense;
  const Type &type = tensor.type();
  if (isSplat(tensor))
    return literal(tensor, 0);
  std::string list;
  for (int64_t i = 0; i < tensor.elements(); ++i)
    list += (i == 0 ? "" : ", ") + literal(tensor, i);
  const std::string table = m.text.name(m.fn[op.results[0]].name + "_table");
  m.text.line("static const {} {}[{}] = {{{}}};", cudaMemoryType(type.dtype), table, tensor.elements(), list);
  const std::string element = fmt::format("{}[{}]", table, m.math.text(m.math.linear(type.shape, at)));
  return m.text.define(cudaType(type.dtype), m.fn[op.results[0]].name,
                       type.dtype == DType::Bool ? element + " != 0" : element);
}

std::string iota(CudaElements &m, OpId id, const CudaIndices &at) {
  const OpData &op = m.fn[id];
  const DType dtype = m.fn.type(op.results[0]).dtype;
  const CudaIndex counted = at[static_cast<size_t>(withDefaults(*op.def, op.attrs).i64("axis"))];
  return m.text.define(cudaType(dtype), m.fn[op.results[0]].name,
                       fmt::format("({})({})", cudaType(dtype), m.math.text(counted)));
}

/// The four words of the group that an element belongs to; one evaluation for all neighbours that are asked for.
std::string randomWords(CudaElements &m, const OpData &op, const CudaIndex &row, const CudaIndex &group,
                        int64_t groups) {
  const uint64_t stream = streamHash(withDefaults(*op.def, op.attrs).str("stream"));
  const std::string seed = m.emit(op.operands[0], {}), step = m.emit(op.operands[1], {}),
                    row0 = m.emit(op.operands[2], {});
  const CudaIndex within = m.math.add(m.math.mul(row, groups), group);
  return m.text.define("uint4", m.fn[op.results[0]].name + "_words",
                       fmt::format("philox({} ^ {}ull, {}, {} * {}ull + {})", cudaOperand(seed), stream, step,
                                   cudaOperand(row0), groups, m.math.text(within)));
}

std::string randomUniform(CudaElements &m, OpId id, const CudaIndices &at) {
  const OpData &op = m.fn[id];
  const Type &type = m.fn.type(op.results[0]);
  constexpr auto kWords = static_cast<int64_t>(kPhiloxWords);
  const int64_t rowSize = type.rank() == 0 ? 1 : type.elements() / type.shape[0];
  const CudaIndex number = m.math.linear(type.shape, at);
  const CudaIndex row = m.math.div(number, rowSize), column = m.math.mod(number, rowSize);
  const CudaIndex group = m.math.div(column, kWords), place = m.math.atLane(m.math.mod(column, kWords));
  const std::string words = m.once(id, {row, group}, [&] {
    return randomWords(m, op, row, group, static_cast<int64_t>(randomGroups(static_cast<uint64_t>(rowSize))));
  });
  const std::string word = place.isConstant() ? fmt::format("{}.{}", words, "xyzw"[place.constant])
                                              : fmt::format("philox_word({}, {})", words, m.math.text(place));
  return m.text.define(
      cudaType(type.dtype), m.fn[op.results[0]].name,
      fmt::format("{}({} >> 8) * {}", cudaType(type.dtype), word, cudaLiteral(type.dtype, 0x1p-24)));
}

} // namespace

std::span<const CudaElementRule> cudaGeneratorRules() {
  static constexpr CudaElementRule rules[] = {
      {"constant", constant}, {"iota", iota}, {"random_uniform", randomUniform}};
  return rules;
}

} // namespace gradc
