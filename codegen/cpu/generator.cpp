// Ops without tensor operands: constants, counting, random numbers.
#include "codegen/cpu/element.h"
#include "ir/op.h"
#include "support/check.h"
#include "support/philox.h"

namespace gradc {
namespace {

bool isSplat(const Tensor &tensor) {
  size_t size = dtypeSize(tensor.type().dtype);
  std::span<const std::byte> bytes = tensor.bytes();
  return std::memcmp(bytes.data(), bytes.data() + size, bytes.size() - size) == 0;
}

llvm::Value *constant(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const OpData &op = m.fn[id];
  const Dense *dense = op.attrs.find("value")->as<Dense>();
  CHECK(dense, "a module's constant by name");
  const Tensor &tensor = **dense;
  DType dtype = tensor.type().dtype;
  if (isSplat(tensor)) {
    if (isInteger(dtype))
      return llvm::ConstantInt::get(m.e.vectorType(dtype), static_cast<uint64_t>(tensor.getInt(0)), true);
    return m.e.constant(dtype, tensor.get(0));
  }
  auto bytes = tensor.bytes();
  llvm::StringRef text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  llvm::Constant *data = llvm::ConstantDataArray::getString(m.e.module.getContext(), text, false);
  auto *global = new llvm::GlobalVariable(m.e.module, data->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, data, "constant");
  global->setAlignment(llvm::Align(64));
  return m.load(tensor.type(), global, index);
}

llvm::Value *iota(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const OpData &op = m.fn[id];
  const Type &type = m.fn.type(op.results[0]);
  LaneValue at = m.dims(type.shape, index)[withDefaults(*op.def, op.attrs).i64("axis")];
  DType counted = m.math.wide ? DType::I64 : DType::I32;
  return emitCast(m.e, m.math.lanes(at), counted, type.dtype);
}

/// 64-bit numbers as vectors of low and high words.
struct Words {
  llvm::Value *low, *high;
};

Words words(Emit &e, llvm::Value *i64) {
  llvm::Type *i32 = e.vectorType(DType::I32);
  llvm::Value *shift = llvm::ConstantInt::get(i64->getType(), 32);
  return {e.b.CreateTrunc(i64, i32), e.b.CreateTrunc(e.b.CreateLShr(i64, shift), i32)};
}

Words product(Emit &e, llvm::Value *a, uint32_t factor) {
  llvm::Type *i64 = e.vectorType(DType::I64);
  return words(e, e.b.CreateMul(e.b.CreateZExt(a, i64), llvm::ConstantInt::get(i64, factor)));
}

/// Word 0 of philox4x32 (support/philox.h).
llvm::Value *philox(Emit &e, Words element, Words step, Words key) {
  llvm::IRBuilder<> &b = e.b;
  llvm::Value *c[] = {element.low, element.high, step.low, step.high}, *k[] = {key.low, key.high};
  auto *i32 = e.vectorType(DType::I32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    Words p0 = product(e, c[0], kPhiloxMultiplier0), p1 = product(e, c[2], kPhiloxMultiplier1);
    c[0] = b.CreateXor(b.CreateXor(p1.high, c[1]), k[0]);
    c[1] = p1.low;
    c[2] = b.CreateXor(b.CreateXor(p0.high, c[3]), k[1]);
    c[3] = p0.low;
    k[0] = b.CreateAdd(k[0], llvm::ConstantInt::get(i32, kPhiloxWeyl0));
    k[1] = b.CreateAdd(k[1], llvm::ConstantInt::get(i32, kPhiloxWeyl1));
  }
  return c[0];
}

llvm::Value *randomUniform(ElementEmitter &m, OpId id, const LaneIndex &index) {
  const OpData &op = m.fn[id];
  llvm::IRBuilder<> &b = m.e.b;
  const Type &type = m.fn.type(op.results[0]);
  int64_t rowSize = type.rank() == 0 ? 1 : type.elements() / type.shape[0];
  llvm::Value *seed = m.emit(op.operands[0], LaneIndex{}), *step = m.emit(op.operands[1], LaneIndex{});
  llvm::Value *row0 = m.emit(op.operands[2], LaneIndex{});
  llvm::Type *i64 = m.e.vectorType(DType::I64);
  llvm::Value *within = b.CreateZExt(m.math.lanes(m.linear(type.shape, index)), i64);
  llvm::Value *element = b.CreateAdd(m.e.mul(row0, rowSize), within);
  uint64_t stream = streamHash(withDefaults(*op.def, op.attrs).str("stream"));
  llvm::Value *key = b.CreateXor(seed, llvm::ConstantInt::get(i64, stream));
  llvm::Value *bits = philox(m.e, words(m.e, element), words(m.e, step), words(m.e, key));
  llvm::Type *real = m.e.vectorType(type.dtype);
  llvm::Value *number = b.CreateSIToFP(b.CreateLShr(bits, llvm::ConstantInt::get(bits->getType(), 8)), real);
  return b.CreateFMul(number, llvm::ConstantFP::get(real, 0x1p-24));
}

} // namespace

std::span<const ElementRule> generatorEmitters() {
  static constexpr ElementRule rules[] = {
      {"constant", constant}, {"iota", iota}, {"random_uniform", randomUniform}};
  return rules;
}

} // namespace gradc
