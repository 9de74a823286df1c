// Ops without tensor operands: constants, counting, random numbers.
#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/elements/random_stream.h"
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

llvm::Value *wordsOf(Emit &e, llvm::Value *wide) {
  return e.b.CreateBitCast(wide, llvm::FixedVectorType::get(e.b.getInt32Ty(), 2 * kVectorLanes));
}

/// The low words of 64-bit numbers, side by side.
llvm::Value *lowWords(Emit &e, llvm::Value *wide) {
  std::vector<int> lanes;
  for (int lane = 0; lane < kVectorLanes; ++lane)
    lanes.push_back(2 * lane);
  return e.b.CreateShuffleVector(wordsOf(e, wide), lanes);
}

/// The high words in the places of the low ones. A shuffle, because the unit that shifts is busy with products.
llvm::Value *highWords(Emit &e, llvm::Value *wide) {
  std::vector<int> lanes;
  for (int lane = 0; lane < kVectorLanes; ++lane)
    lanes.insert(lanes.end(), {2 * lane + 1, 2 * lane + 1});
  return e.b.CreateBitCast(e.b.CreateShuffleVector(wordsOf(e, wide), lanes), wide->getType());
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
  step_ = m.emit(data.operands[1], LaneIndex{});
  row0_ = m.emit(data.operands[2], LaneIndex{});
  auto constant = [&](uint64_t value) { return llvm::ConstantInt::get(seed->getType(), value); };
  llvm::Value *low = b.CreateXor(seed, constant(stream)), *high = b.CreateLShr(low, constant(32));
  for (int round = 0; round < kPhiloxRounds; ++round) {
    keys_.emplace_back(low, high);
    low = b.CreateAdd(low, constant(kPhiloxWeyl0));
    high = b.CreateAdd(high, constant(kPhiloxWeyl1));
  }
}

/// Words are the low halves of 64-bit numbers whose high halves hold anything: a product's high word then costs a
/// shuffle and its low word nothing, and a round takes 7 cycles from its words to the next ones' instead of 10.
Values RandomStream::group(LaneValue row, LaneValue group) const {
  llvm::IRBuilder<> &b = m_.e.b;
  const int64_t rowSize = type_.rank() == 0 ? 1 : type_.elements() / type_.shape[0];
  const auto groups = static_cast<int64_t>(randomGroups(static_cast<uint64_t>(rowSize)));
  llvm::Type *wide = m_.e.vectorType(DType::I64);
  auto constant = [&](uint64_t value) { return llvm::ConstantInt::get(wide, value); };
  auto product = [&](llvm::Value *word, uint32_t factor) {
    return b.CreateMul(b.CreateAnd(word, constant(0xFFFFFFFF)), constant(factor));
  };
  llvm::Value *within = m_.math.lanes(m_.math.add(m_.math.mul(row, groups), group));
  llvm::Value *counter = b.CreateAdd(m_.e.mul(row0_, groups), b.CreateZExt(within, wide));
  llvm::Value *c[] = {counter, highWords(m_.e, counter), step_, highWords(m_.e, step_)};
  for (const auto &[low, high] : keys_) {
    llvm::Value *p0 = product(c[0], kPhiloxMultiplier0), *p1 = product(c[2], kPhiloxMultiplier1);
    c[0] = b.CreateXor(b.CreateXor(highWords(m_.e, p1), c[1]), low);
    c[1] = p1;
    c[2] = b.CreateXor(b.CreateXor(highWords(m_.e, p0), c[3]), high);
    c[3] = p0;
  }
  llvm::Type *real = m_.e.vectorType(type_.dtype);
  Values numbers;
  for (llvm::Value *word : c) {
    llvm::Value *bits = lowWords(m_.e, word);
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
