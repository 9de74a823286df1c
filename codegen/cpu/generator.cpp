// Ops without tensor operands: constants, counting, random numbers.
#include "codegen/cpu/element.h"
#include "codegen/cpu/random_stream.h"
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

/// The low and the high words of 64-bit numbers.
Words words(Emit &e, llvm::Value *i64) {
  llvm::Type *i32 = e.vectorType(DType::I32);
  llvm::Value *shift = llvm::ConstantInt::get(i64->getType(), 32);
  return {e.b.CreateTrunc(i64, i32), e.b.CreateTrunc(e.b.CreateLShr(i64, shift), i32)};
}

/// a · factor: the products of even lanes and those of odd lanes, each 64 bits wide where its lane and the next one
/// lie, then put together. Widening all lanes first would take twice the shuffles.
Words product(Emit &e, llvm::Value *a, uint32_t factor) {
  auto *pairs = llvm::FixedVectorType::get(e.b.getInt64Ty(), kVectorLanes / 2);
  llvm::Type *i32 = e.vectorType(DType::I32);
  llvm::Value *wide = e.b.CreateBitCast(a, pairs), *by = llvm::ConstantInt::get(pairs, factor);
  llvm::Value *even = e.b.CreateAnd(wide, llvm::ConstantInt::get(pairs, 0xFFFFFFFF));
  llvm::Value *odd = e.b.CreateLShr(wide, llvm::ConstantInt::get(pairs, 32));
  even = e.b.CreateBitCast(e.b.CreateMul(even, by), i32);
  odd = e.b.CreateBitCast(e.b.CreateMul(odd, by), i32);
  std::vector<int> low, high;
  for (int lane = 0; lane < kVectorLanes; lane += 2) {
    low.insert(low.end(), {lane, lane + kVectorLanes});
    high.insert(high.end(), {lane + 1, lane + 1 + kVectorLanes});
  }
  return {e.b.CreateShuffleVector(even, odd, low), e.b.CreateShuffleVector(even, odd, high)};
}

/// Word `column` mod 4 of the group that the element belongs to.
llvm::Value *randomUniform(ElementEmitter &m, OpId id, const LaneIndex &index) {
  llvm::IRBuilder<> &b = m.e.b;
  const Type &type = m.fn.type(m.fn[id].results[0]);
  const std::vector<LaneValue> dims = m.dims(type.shape, index);
  LaneValue row = m.math.constant(0), column = row;
  for (size_t i = 0; i < dims.size(); ++i)
    if (i == 0)
      row = dims[0];
    else
      column = m.math.add(m.math.mul(column, type.shape[static_cast<int>(i)]), dims[i]);
  constexpr auto kWords = static_cast<int64_t>(kPhiloxWords);
  const Values numbers = RandomStream(m, id).group(row, m.math.div(column, kWords));
  llvm::Value *word = m.math.lanes(m.math.mod(column, kWords)), *number = numbers[0];
  for (uint64_t i = 1; i < kPhiloxWords; ++i)
    number =
        b.CreateSelect(b.CreateICmpEQ(word, llvm::ConstantInt::get(word->getType(), i)), numbers[i], number);
  return number;
}

} // namespace

RandomStream::RandomStream(ElementEmitter &m, OpId op) : m_(m), type_(m.fn.type(m.fn[op].results[0])) {
  llvm::IRBuilder<> &b = m.e.b;
  const OpData &data = m.fn[op];
  const uint64_t stream = streamHash(withDefaults(*data.def, data.attrs).str("stream"));
  llvm::Value *seed = m.emit(data.operands[0], LaneIndex{});
  step_ = words(m.e, m.emit(data.operands[1], LaneIndex{}));
  row0_ = m.emit(data.operands[2], LaneIndex{});
  Words key = words(m.e, b.CreateXor(seed, llvm::ConstantInt::get(seed->getType(), stream)));
  auto *i32 = m.e.vectorType(DType::I32);
  for (int round = 0; round < kPhiloxRounds; ++round) {
    keys_.push_back(key);
    key.low = b.CreateAdd(key.low, llvm::ConstantInt::get(i32, kPhiloxWeyl0));
    key.high = b.CreateAdd(key.high, llvm::ConstantInt::get(i32, kPhiloxWeyl1));
  }
}

Values RandomStream::group(LaneValue row, LaneValue group) const {
  llvm::IRBuilder<> &b = m_.e.b;
  const int64_t rowSize = type_.rank() == 0 ? 1 : type_.elements() / type_.shape[0];
  const auto groups = static_cast<int64_t>(randomGroups(static_cast<uint64_t>(rowSize)));
  llvm::Type *i64 = m_.e.vectorType(DType::I64);
  llvm::Value *within = m_.math.lanes(m_.math.add(m_.math.mul(row, groups), group));
  Words counter = words(m_.e, b.CreateAdd(m_.e.mul(row0_, groups), b.CreateZExt(within, i64)));
  llvm::Value *c[] = {counter.low, counter.high, step_.low, step_.high};
  for (const Words &key : keys_) {
    Words p0 = product(m_.e, c[0], kPhiloxMultiplier0), p1 = product(m_.e, c[2], kPhiloxMultiplier1);
    c[0] = b.CreateXor(b.CreateXor(p1.high, c[1]), key.low);
    c[1] = p1.low;
    c[2] = b.CreateXor(b.CreateXor(p0.high, c[3]), key.high);
    c[3] = p0.low;
  }
  llvm::Type *real = m_.e.vectorType(type_.dtype);
  Values numbers;
  for (llvm::Value *bits : c) {
    llvm::Value *number =
        b.CreateSIToFP(b.CreateLShr(bits, llvm::ConstantInt::get(bits->getType(), 8)), real);
    numbers.push_back(b.CreateFMul(number, llvm::ConstantFP::get(real, 0x1p-24)));
  }
  return numbers;
}

std::span<const ElementRule> generatorEmitters() {
  static constexpr ElementRule rules[] = {
      {"constant", constant}, {"iota", iota}, {"random_uniform", randomUniform}};
  return rules;
}

} // namespace gradc
