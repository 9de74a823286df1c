// Elementwise ops: their scalar programs leaf by leaf, and casts.
#include <limits>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/elements/element.h"
#include "codegen/cpu/math.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

using llvm::Intrinsic::ID;

bool isMask(llvm::Value *value) { return value->getType()->getScalarType()->isIntegerTy(1); }
bool isFloatValue(llvm::Value *value) { return value->getType()->isFPOrFPVectorTy(); }

/// A constant operand that is certainly no NaN.
bool isNumber(llvm::Value *value) {
  auto *constant = llvm::dyn_cast<llvm::Constant>(value);
  auto *splat = constant && constant->getType()->isVectorTy() ? constant->getSplatValue() : constant;
  auto *number = llvm::dyn_cast_or_null<llvm::ConstantFP>(splat);
  return number && !number->isNaN();
}

/// NaN where either is NaN; the first where they are equal. x86's instruction answers with its second operand
/// where one is NaN, so that with a constant as its first it is all that is needed.
llvm::Value *extremum(Emit &e, llvm::Value *a, llvm::Value *c, bool maximum) {
  llvm::IRBuilder<> &b = e.b;
  if (!isFloatValue(a))
    return b.CreateBinaryIntrinsic(maximum ? llvm::Intrinsic::smax : llvm::Intrinsic::smin, a, c);
  if (isNumber(c))
    std::swap(a, c);
  llvm::Value *wins = maximum ? b.CreateFCmpOGT(a, c) : b.CreateFCmpOLT(a, c);
  llvm::Value *best = b.CreateSelect(wins, a, c);
  return isNumber(a) ? best : b.CreateSelect(b.CreateFCmpUNO(a, a), a, best);
}

llvm::Value *sign(Emit &e, llvm::Value *x) {
  llvm::IRBuilder<> &b = e.b;
  if (!isFloatValue(x)) {
    llvm::Type *type = x->getType();
    llvm::Value *zero = llvm::Constant::getNullValue(type);
    return b.CreateSub(b.CreateZExt(b.CreateICmpSGT(x, zero), type),
                       b.CreateZExt(b.CreateICmpSLT(x, zero), type));
  }
  llvm::Value *zero = llvm::ConstantFP::get(x->getType(), 0), *one = llvm::ConstantFP::get(x->getType(), 1);
  llvm::Value *unit = b.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, one, x);
  llvm::Value *flat = b.CreateSelect(b.CreateFCmpOEQ(x, zero), zero, unit);
  return b.CreateSelect(b.CreateFCmpUNO(x, x), x, flat);
}

llvm::Value *compare(Emit &e, Leaf leaf, llvm::Value *a, llvm::Value *c) {
  using P = llvm::CmpInst::Predicate;
  struct Row {
    Leaf leaf;
    P real, integer;
  };
  constexpr Row rows[] = {{Leaf::Eq, P::FCMP_OEQ, P::ICMP_EQ},  {Leaf::Ne, P::FCMP_UNE, P::ICMP_NE},
                          {Leaf::Lt, P::FCMP_OLT, P::ICMP_SLT}, {Leaf::Le, P::FCMP_OLE, P::ICMP_SLE},
                          {Leaf::Gt, P::FCMP_OGT, P::ICMP_SGT}, {Leaf::Ge, P::FCMP_OGE, P::ICMP_SGE}};
  for (const Row &row : rows)
    if (row.leaf == leaf)
      return e.b.CreateCmp(isFloatValue(a) ? row.real : row.integer, a, c);
  CHECK(false, "leaf {} compares nothing", leafName(leaf));
}

bool isComparison(Leaf leaf) { return leaf >= Leaf::Eq && leaf <= Leaf::Ge; }

llvm::Value *arithmetic(Emit &e, Leaf leaf, llvm::Value *a, llvm::Value *c) {
  llvm::IRBuilder<> &b = e.b;
  bool real = isFloatValue(a);
  switch (leaf) {
  case Leaf::Add: return real ? b.CreateFAdd(a, c) : b.CreateAdd(a, c);
  case Leaf::Sub: return real ? b.CreateFSub(a, c) : b.CreateSub(a, c);
  case Leaf::Mul: return real ? b.CreateFMul(a, c) : b.CreateMul(a, c);
  case Leaf::Div: return b.CreateFDiv(a, c);
  case Leaf::Pow: return emitPow(e, a, c);
  case Leaf::Maximum: return extremum(e, a, c, true);
  case Leaf::Minimum: return extremum(e, a, c, false);
  case Leaf::Neg: return real ? b.CreateFNeg(a) : b.CreateNeg(a);
  case Leaf::Abs:
    return real ? b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a)
                : b.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a, b.getFalse());
  case Leaf::Sign: return sign(e, a);
  case Leaf::Exp: return emitExp(e, a);
  case Leaf::Log: return emitLog(e, a);
  case Leaf::Sqrt: return b.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a);
  case Leaf::Tanh: return emitTanh(e, a);
  case Leaf::Erf: return emitErf(e, a);
  case Leaf::Floor: return b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, a);
  case Leaf::And: return b.CreateAnd(a, c);
  case Leaf::Or: return b.CreateOr(a, c);
  case Leaf::Not: return b.CreateNot(a);
  default: CHECK(false, "leaf {} is no function", leafName(leaf));
  }
}

/// Comparisons give masks; where a number is wanted they are 0 or 1, and the other way round.
llvm::Value *asNumber(Emit &e, llvm::Value *value, DType dtype) {
  return isMask(value) && dtype != DType::Bool ? emitCast(e, value, DType::Bool, dtype) : value;
}
llvm::Value *asMask(Emit &e, llvm::Value *value, DType dtype) {
  return isMask(value) ? value : emitCast(e, value, dtype, DType::Bool);
}

} // namespace

llvm::Value *emitRoundToBf16(Emit &e, llvm::Value *value) {
  llvm::IRBuilder<> &b = e.b;
  auto *i32 = e.vectorType(DType::I32);
  auto c = [&](uint64_t k) { return llvm::ConstantInt::get(i32, k); };
  llvm::Value *bits = b.CreateBitCast(value, i32);
  llvm::Value *odd = b.CreateAnd(b.CreateLShr(bits, c(16)), c(1));
  llvm::Value *rounded = b.CreateAdd(bits, b.CreateAdd(odd, c(0x7fff)));
  llvm::Value *quiet = b.CreateOr(bits, c(0x400000));
  return b.CreateSelect(b.CreateFCmpUNO(value, value), quiet, rounded);
}

namespace {

llvm::Value *floatToBf16(Emit &e, llvm::Value *value) {
  llvm::Value *upper =
      e.b.CreateLShr(emitRoundToBf16(e, value), llvm::ConstantInt::get(e.vectorType(DType::I32), 16));
  return e.b.CreateTrunc(upper, e.vectorType(DType::BF16));
}

llvm::Value *bf16ToFloat(Emit &e, llvm::Value *value) {
  llvm::Type *i32 = e.vectorType(DType::I32);
  llvm::Value *bits = e.b.CreateShl(e.b.CreateZExt(value, i32), llvm::ConstantInt::get(i32, 16));
  return e.b.CreateBitCast(bits, e.vectorType(DType::F32));
}

llvm::Value *floatToFloat(Emit &e, llvm::Value *value, DType from, DType to) {
  llvm::Type *type = e.vectorType(to);
  return dtypeSize(from) < dtypeSize(to) ? e.b.CreateFPExt(value, type) : e.b.CreateFPTrunc(value, type);
}

} // namespace

llvm::Value *emitCast(Emit &e, llvm::Value *value, DType from, DType to) {
  llvm::IRBuilder<> &b = e.b;
  if (from == to)
    return value;
  if (from == DType::BF16)
    return emitCast(e, bf16ToFloat(e, value), DType::F32, to);
  if (to == DType::BF16)
    return floatToBf16(e, emitCast(e, value, from, DType::F32));
  llvm::Type *type = e.vectorType(to);
  bool isUnsigned = from == DType::U8 || from == DType::Bool;
  if (to == DType::Bool)
    return isFloat(from) ? b.CreateFCmpUNE(value, llvm::Constant::getNullValue(value->getType()))
                         : b.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType()));
  if (isFloat(from) && isFloat(to))
    return floatToFloat(e, value, from, to);
  if (isFloat(from)) // truncates, saturates, NaN becomes 0
    return b.CreateIntrinsic(to == DType::U8 ? llvm::Intrinsic::fptoui_sat : llvm::Intrinsic::fptosi_sat,
                             {type, value->getType()}, {value});
  if (isFloat(to))
    return isUnsigned ? b.CreateUIToFP(value, type) : b.CreateSIToFP(value, type);
  if (type->getScalarSizeInBits() <= value->getType()->getScalarSizeInBits())
    return b.CreateTrunc(value, type);
  return isUnsigned ? b.CreateZExt(value, type) : b.CreateSExt(value, type);
}

llvm::Value *emitLeaf(Emit &e, Leaf leaf, DType dtype, std::span<llvm::Value *const> args) {
  if (leaf == Leaf::Select)
    return e.b.CreateSelect(asMask(e, args[0], dtype), asNumber(e, args[1], dtype),
                            asNumber(e, args[2], dtype));
  llvm::Value *a = asNumber(e, args[0], dtype), *c = args.size() > 1 ? asNumber(e, args[1], dtype) : nullptr;
  return isComparison(leaf) ? compare(e, leaf, a, c) : arithmetic(e, leaf, a, c);
}

llvm::Value *ElementEmitter::elementwise(OpId op, const LaneIndex &index) {
  const OpData &data = fn[op];
  DType dtype = fn.type(data.operands.back()).dtype, result = fn.type(data.results[0]).dtype;
  ScalarProgram program = scalarProgram(*data.def, withDefaults(*data.def, data.attrs));
  Values values;
  for (const ScalarNode &node : program.nodes) {
    Values args;
    for (int i = 0; i < leafArity(node.leaf); ++i)
      args.push_back(values[node.args[i]]);
    if (node.leaf == Leaf::Operand)
      values.push_back(emit(data.operands[node.number], index));
    else if (node.leaf == Leaf::Constant)
      values.push_back(e.constant(dtype, node.value));
    else
      values.push_back(emitLeaf(e, node.leaf, dtype, args));
  }
  llvm::Value *value = values.back();
  return isMask(value) ? asNumber(e, value, result) : emitCast(e, value, dtype, result);
}

} // namespace gradc
