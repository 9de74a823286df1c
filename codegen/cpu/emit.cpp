#include "codegen/cpu/emit.h"

#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/MDBuilder.h"

#include "codegen/cpu/debug_places.h"
#include "ir/tensor.h"
#include "support/check.h"

namespace gradc {
namespace {

void setCommonAttributes(llvm::Function *fn) {
  fn->addFnAttr(llvm::Attribute::NoUnwind);
  // Without it LLVM splits 512-bit vectors on processors that it believes to clock down.
  fn->addFnAttr("prefer-vector-width", "512");
  fn->addFnAttr("frame-pointer", "none");
}

} // namespace

Emit::At::At(Emit &e, const Location &place) : e_(e), before_(e.b.getCurrentDebugLocation()) {
  if (e.debug)
    e.b.SetCurrentDebugLocation(e.debug->at(place));
}

llvm::Function *Emit::beginKernel(const std::string &name) {
  llvm::Type *pointer = b.getPtrTy();
  auto *type =
      llvm::FunctionType::get(b.getVoidTy(), {pointer, pointer, b.getInt64Ty(), b.getInt64Ty()}, false);
  auto *fn = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module);
  setCommonAttributes(fn);
  const char *names[] = {"ctx", "buffers", "begin", "end"};
  for (unsigned i = 0; i < 4; ++i)
    fn->getArg(i)->setName(names[i]);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", fn));
  return fn;
}

llvm::Function *Emit::beginHelper(const std::string &name, std::span<llvm::Type *const> args) {
  auto *type = llvm::FunctionType::get(b.getVoidTy(), llvm::ArrayRef(args.data(), args.size()), false);
  auto *fn = llvm::Function::Create(type, llvm::Function::InternalLinkage, name, module);
  setCommonAttributes(fn);
  fn->addFnAttr(llvm::Attribute::NoInline);
  b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", fn));
  return fn;
}

llvm::Value *Emit::buffer(int number) {
  return b.CreateAlignedLoad(b.getPtrTy(), offset(argument(1), 8 * int64_t{number}), llvm::Align(8));
}

llvm::Value *Emit::scratch() {
  return b.CreateAlignedLoad(b.getPtrTy(), argument(0), llvm::Align(8), "scratch");
}

llvm::Value *Emit::stack(int64_t bytes, uint64_t alignment) {
  llvm::BasicBlock &entry = function()->getEntryBlock();
  llvm::IRBuilder<> first(&entry, entry.begin());
  llvm::AllocaInst *memory = first.CreateAlloca(first.getInt8Ty(), i64(bytes));
  memory->setAlignment(llvm::Align(alignment));
  return memory;
}

llvm::Type *Emit::scalarType(DType dtype) { return dtype == DType::Bool ? b.getInt1Ty() : memoryType(dtype); }

llvm::Type *Emit::memoryType(DType dtype) {
  switch (dtype) {
  case DType::F32: return b.getFloatTy();
  case DType::F64: return b.getDoubleTy();
  case DType::BF16:
    return b.getInt16Ty(); // converted by integer operations: older processors lack instructions
  case DType::F16: return b.getHalfTy();
  case DType::I8:
  case DType::U8:
  case DType::Bool: return b.getInt8Ty();
  case DType::I32: return b.getInt32Ty();
  case DType::I64: return b.getInt64Ty();
  }
  CHECK(false, "element type {}", static_cast<int>(dtype));
}

llvm::FixedVectorType *Emit::vectorType(DType dtype) {
  return llvm::FixedVectorType::get(scalarType(dtype), kVectorLanes);
}

llvm::FixedVectorType *Emit::maskType() { return llvm::FixedVectorType::get(b.getInt1Ty(), kVectorLanes); }

llvm::Constant *Emit::constant(DType dtype, double value) {
  llvm::Type *type = vectorType(dtype);
  if (dtype == DType::BF16)
    return llvm::ConstantInt::get(type, bf16FromFloat(static_cast<float>(value)));
  if (isFloat(dtype))
    return llvm::ConstantFP::get(type, value);
  if (dtype == DType::Bool)
    return llvm::ConstantInt::get(type, value != 0);
  return llvm::ConstantInt::get(type, static_cast<uint64_t>(static_cast<int64_t>(value)), true);
}

llvm::Value *Emit::fma(llvm::Value *x, llvm::Value *y, llvm::Value *z) {
  // Without the instruction llvm.fma is a call per lane: such processors form a class of their own bits.
  if (!target.fma)
    return b.CreateFAdd(b.CreateFMul(x, y), z);
  return b.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, z});
}

llvm::Constant *Emit::laneMask(int count) {
  std::vector<llvm::Constant *> lanes;
  for (int i = 0; i < kVectorLanes; ++i)
    lanes.push_back(b.getInt1(i < count));
  return llvm::ConstantVector::get(lanes);
}

// Constants stay outermost, (x + y) + C, so that addresses of neighbouring elements share x + y as a common
// subexpression of instruction selection and differ in their displacement only.

namespace {

/// value = rest + constant
struct Sum {
  llvm::Value *rest;
  llvm::ConstantInt *constant = nullptr;
};

Sum split(llvm::Value *value) {
  if (auto *constant = llvm::dyn_cast<llvm::ConstantInt>(value))
    return {nullptr, constant};
  auto *add = llvm::dyn_cast<llvm::BinaryOperator>(value);
  if (add && add->getOpcode() == llvm::Instruction::Add)
    if (auto *constant = llvm::dyn_cast<llvm::ConstantInt>(add->getOperand(1)))
      return {add->getOperand(0), constant};
  return {value};
}

int64_t constantOf(const Sum &sum) { return sum.constant ? sum.constant->getSExtValue() : 0; }

} // namespace

llvm::Value *Emit::offset(llvm::Value *pointer, llvm::Value *bytes) {
  Sum sum = split(bytes);
  if (sum.rest)
    pointer = b.CreateGEP(b.getInt8Ty(), pointer, sum.rest);
  int64_t constant = constantOf(sum);
  return constant == 0 ? pointer : b.CreateGEP(b.getInt8Ty(), pointer, i64(constant));
}

llvm::Value *Emit::offset(llvm::Value *pointer, int64_t bytes) { return offset(pointer, i64(bytes)); }

llvm::Value *Emit::add(llvm::Value *a, llvm::Value *c) {
  if (a->getType()->isVectorTy())
    return b.CreateAdd(a, c);
  Sum x = split(a), y = split(c);
  llvm::Value *rest = x.rest && y.rest ? b.CreateAdd(x.rest, y.rest) : x.rest ? x.rest : y.rest;
  int64_t constant = constantOf(x) + constantOf(y);
  if (!rest)
    return i64(constant);
  return constant == 0 ? rest : b.CreateAdd(rest, i64(constant));
}

llvm::Value *Emit::mul(llvm::Value *a, int64_t factor) {
  if (factor == 1)
    return a;
  if (factor == 0)
    return llvm::Constant::getNullValue(a->getType());
  if (a->getType()->isVectorTy())
    return b.CreateMul(a, llvm::ConstantInt::get(a->getType(), static_cast<uint64_t>(factor)));
  Sum x = split(a);
  llvm::Value *rest = x.rest ? b.CreateMul(x.rest, i64(factor)) : i64(0);
  return add(rest, i64(constantOf(x) * factor));
}

llvm::Value *Emit::div(llvm::Value *a, int64_t divisor) {
  return divisor == 1 ? a
                      : b.CreateUDiv(a, llvm::ConstantInt::get(a->getType(), static_cast<uint64_t>(divisor)));
}

llvm::Value *Emit::mod(llvm::Value *a, int64_t divisor) {
  return divisor == 1 ? llvm::Constant::getNullValue(a->getType())
                      : b.CreateURem(a, llvm::ConstantInt::get(a->getType(), static_cast<uint64_t>(divisor)));
}

llvm::Value *Emit::atMost(llvm::Value *value, llvm::Value *high) {
  return b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, value, high);
}

llvm::Value *Emit::atLeast(llvm::Value *value, llvm::Value *low) {
  return b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, value, low);
}

void Emit::clear(llvm::Value *pointer, llvm::Value *vectors, uint64_t alignment) {
  llvm::Constant *zero = llvm::Constant::getNullValue(vectorType(DType::F32));
  loop(i64(0), vectors, 1, [&](llvm::Value *i) {
    b.CreateAlignedStore(zero, offset(pointer, mul(i, kVectorLanes * 4)), llvm::Align(alignment));
  });
}

Values Emit::loop(llvm::Value *low, llvm::Value *high, int64_t step, const Values &carried, const Body &body,
                  bool mayBeEmpty) {
  llvm::Function *fn = function();
  llvm::LLVMContext &context = module.getContext();
  llvm::BasicBlock *before = b.GetInsertBlock();
  auto *head = llvm::BasicBlock::Create(context, "loop", fn);
  auto *exit = llvm::BasicBlock::Create(context, "done", fn);
  auto *lowConstant = llvm::dyn_cast<llvm::ConstantInt>(low);
  auto *highConstant = llvm::dyn_cast<llvm::ConstantInt>(high);
  if (lowConstant && highConstant)
    mayBeEmpty = lowConstant->getSExtValue() >= highConstant->getSExtValue();
  if (mayBeEmpty)
    b.CreateCondBr(b.CreateICmpSLT(low, high), head, exit);
  else
    b.CreateBr(head);

  b.SetInsertPoint(head);
  llvm::PHINode *index = b.CreatePHI(b.getInt64Ty(), 2, "i");
  index->addIncoming(low, before);
  Values phis;
  for (llvm::Value *value : carried) {
    llvm::PHINode *phi = b.CreatePHI(value->getType(), 2);
    phi->addIncoming(value, before);
    phis.push_back(phi);
  }
  Values next = body(index, phis);
  CHECK(next.size() == carried.size());
  llvm::Value *following = b.CreateAdd(index, i64(step), "", true, true);
  llvm::BasicBlock *latch = b.GetInsertBlock();
  index->addIncoming(following, latch);
  for (size_t i = 0; i < phis.size(); ++i)
    llvm::cast<llvm::PHINode>(phis[i])->addIncoming(next[i], latch);
  b.CreateCondBr(b.CreateICmpSLT(following, high), head, exit);

  b.SetInsertPoint(exit);
  if (!mayBeEmpty)
    return next;
  Values results;
  for (size_t i = 0; i < phis.size(); ++i) {
    llvm::PHINode *phi = b.CreatePHI(next[i]->getType(), 2);
    phi->addIncoming(carried[i], before);
    phi->addIncoming(next[i], latch);
    results.push_back(phi);
  }
  return results;
}

void Emit::loop(llvm::Value *low, llvm::Value *high, int64_t step,
                const std::function<void(llvm::Value *)> &body, bool mayBeEmpty) {
  loop(
      low, high, step, {},
      [&](llvm::Value *i, const Values &) {
        body(i);
        return Values{};
      },
      mayBeEmpty);
}

void Emit::count(int64_t iterations, const std::function<void(llvm::Value *)> &body) {
  count(iterations, {}, [&](llvm::Value *i, const Values &) {
    body(i);
    return Values{};
  });
}

Values Emit::count(int64_t iterations, const Values &carried, const Body &body) {
  if (iterations == 1)
    return body(i64(0), carried);
  return loop(i64(0), i64(iterations), 1, carried, body);
}

Values emitChoice(Emit &e, llvm::Value *condition, const std::function<Values()> &then,
                  const std::function<Values()> &otherwise, bool thenIsRare) {
  llvm::LLVMContext &context = e.module.getContext();
  auto *thenBlock = llvm::BasicBlock::Create(context, "then", e.function());
  auto *elseBlock = llvm::BasicBlock::Create(context, "else", e.function());
  auto *done = llvm::BasicBlock::Create(context, "endif", e.function());
  e.b.CreateCondBr(condition, thenBlock, elseBlock,
                   thenIsRare ? llvm::MDBuilder(context).createUnlikelyBranchWeights() : nullptr);
  auto branch = [&](llvm::BasicBlock *block, const std::function<Values()> &body) {
    e.b.SetInsertPoint(block);
    Values values = body();
    block = e.b.GetInsertBlock();
    e.b.CreateBr(done);
    return std::pair{block, values};
  };
  const auto [thenEnd, left] = branch(thenBlock, then);
  const auto [elseEnd, right] = branch(elseBlock, otherwise);
  CHECK(left.size() == right.size());
  e.b.SetInsertPoint(done);
  Values results;
  for (size_t i = 0; i < left.size(); ++i) {
    llvm::PHINode *phi = e.b.CreatePHI(left[i]->getType(), 2);
    phi->addIncoming(left[i], thenEnd);
    phi->addIncoming(right[i], elseEnd);
    results.push_back(phi);
  }
  return results;
}

void emitIf(Emit &e, llvm::Value *condition, const std::function<void()> &then,
            const std::function<void()> &otherwise) {
  auto nothing = [](const std::function<void()> &body) {
    body();
    return Values{};
  };
  emitChoice(
      e, condition, [&] { return nothing(then); }, [&] { return nothing(otherwise); });
}

void emitPrefetch(Emit &e, llvm::Value *address, Cache cache, bool forWriting) {
  constexpr uint32_t kData = 1;
  e.b.CreateIntrinsic(
      llvm::Intrinsic::prefetch, {address->getType()},
      {address, e.b.getInt32(forWriting), e.b.getInt32(cache == Cache::L1 ? 3 : 2), e.b.getInt32(kData)});
}

} // namespace gradc
