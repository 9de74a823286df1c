#include "codegen/cpu/math.h"

#include <cmath>
#include <limits>
#include <span>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/Sequence.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/IntrinsicsX86.h"

#include "codegen/elementary.h"

namespace gradc {
namespace {

namespace el = elementary;

/// Short names for the vector operations of one element type.
struct Vector {
  Emit &e;
  DType dtype = DType::F32;
  int lanes = kVectorLanes;

  llvm::IRBuilder<> &b() { return e.b; }
  llvm::Type *of(DType element) { return llvm::FixedVectorType::get(e.scalarType(element), lanes); }
  llvm::Type *type() { return of(dtype); }
  llvm::Type *intType() { return of(dtype == DType::F32 ? DType::I32 : DType::I64); }
  llvm::Value *c(double v) {
    return llvm::ConstantFP::get(type(), dtype == DType::F32 ? static_cast<float>(v) : v);
  }
  llvm::Value *i(int64_t v) { return llvm::ConstantInt::get(intType(), static_cast<uint64_t>(v), true); }
  llvm::Value *add(llvm::Value *x, llvm::Value *y) { return b().CreateFAdd(x, y); }
  llvm::Value *sub(llvm::Value *x, llvm::Value *y) { return b().CreateFSub(x, y); }
  llvm::Value *mul(llvm::Value *x, llvm::Value *y) { return b().CreateFMul(x, y); }
  llvm::Value *fma(llvm::Value *x, llvm::Value *y, llvm::Value *z) { return e.fma(x, y, z); }
  llvm::Value *select(llvm::Value *m, llvm::Value *x, llvm::Value *y) { return b().CreateSelect(m, x, y); }
  llvm::Value *fabs(llvm::Value *x) { return b().CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  llvm::Value *rint(llvm::Value *x) { return b().CreateUnaryIntrinsic(llvm::Intrinsic::rint, x); }
  llvm::Value *copysign(llvm::Value *x, llvm::Value *s) {
    return b().CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x, s);
  }
  llvm::Value *bits(llvm::Value *x) { return b().CreateBitCast(x, intType()); }
  llvm::Value *fromBits(llvm::Value *x) { return b().CreateBitCast(x, type()); }
  // The constant comes first: the instruction returns its second operand where one is NaN.
  llvm::Value *atMost(double bound, llvm::Value *x) {
    return select(b().CreateFCmpOLT(c(bound), x), c(bound), x);
  }
  llvm::Value *atLeast(double bound, llvm::Value *x) {
    return select(b().CreateFCmpOGT(c(bound), x), c(bound), x);
  }
  /// Horner's scheme, highest power first.
  llvm::Value *poly(llvm::Value *x, std::span<const double> coefficients) {
    llvm::Value *p = nullptr;
    for (double k : coefficients)
      p = p ? fma(p, x, c(k)) : c(k);
    return p;
  }
};

llvm::Value *perLane(Emit &e, const char *name, std::initializer_list<llvm::Value *> args) {
  llvm::Type *f64 = e.b.getDoubleTy();
  std::vector<llvm::Type *> types(args.size(), f64);
  llvm::FunctionCallee callee =
      e.module.getOrInsertFunction(name, llvm::FunctionType::get(f64, types, false));
  llvm::Value *result = llvm::PoisonValue::get(e.vectorType(DType::F64));
  for (int lane = 0; lane < kVectorLanes; ++lane) {
    Values operands;
    for (llvm::Value *arg : args)
      operands.push_back(e.b.CreateExtractElement(arg, lane));
    result = e.b.CreateInsertElement(result, e.b.CreateCall(callee, operands), lane);
  }
  return result;
}

bool isF64(llvm::Value *x) { return x->getType()->getScalarType()->isDoubleTy(); }

/// n = rint(factor · x), and what elementary.h says of kRounder.
struct Nearest {
  llvm::Value *n, *rounder;

  Nearest(Vector v, llvm::Value *x, double factor) : rounder(v.fma(x, v.c(factor), v.c(el::kRounder))) {
    n = v.sub(rounder, v.c(el::kRounder));
  }
};

/// p · 2^n for any n, rounded once: by the instruction for that, or by two factors, the first of which stays normal.
llvm::Value *scaleByPowerOfTwo(Vector v, llvm::Value *p, const Nearest &nearest) {
  llvm::IRBuilder<> &b = v.b();
  if (v.e.target.vectorBits == 512)
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                             {p, nearest.n, p, b.getInt16(0xffff), b.getInt32(4)}); // 4: rounds as everywhere
  llvm::Value *sum =
      b.CreateSub(v.bits(nearest.rounder), v.i(el::kRounderBits - 254)); // of both exponents' bits
  llvm::Value *half = b.CreateLShr(sum, v.i(1));
  auto power = [&](llvm::Value *bits) { return v.fromBits(b.CreateShl(bits, v.i(23))); };
  return v.mul(v.mul(p, power(half)), power(b.CreateSub(sum, half)));
}

/// e^x = 2^n · e^r with |r| <= ln 2 / 2. A NaN goes through p.
llvm::Value *expF32(Vector v, llvm::Value *x) {
  x = v.atLeast(el::kExpLowest, v.atMost(el::kExpHighest, x));
  const Nearest nearest(v, x, el::kLog2E);
  llvm::Value *r = v.fma(nearest.n, v.c(-el::kLn2High), x);
  r = v.fma(nearest.n, v.c(-el::kLn2Low), r);
  return scaleByPowerOfTwo(v, v.poly(r, el::kExp), nearest);
}

/// log x = log m + k · log 2 with m in [√½, √2).
llvm::Value *logF32(Vector v, llvm::Value *x) {
  llvm::IRBuilder<> &b = v.b();
  llvm::Value *denormal = b.CreateFCmpOLT(x, v.c(el::kSmallestNormal));
  llvm::Value *scaled = v.select(denormal, v.mul(x, v.c(el::kDenormalScale)), x);
  llvm::Value *i = b.CreateSub(v.bits(scaled), v.i(el::kSqrtHalfBits));
  llvm::Value *m = v.fromBits(b.CreateAdd(b.CreateAnd(i, v.i(0x7fffff)), v.i(el::kSqrtHalfBits)));
  llvm::Value *k = b.CreateSIToFP(b.CreateAShr(i, v.i(23)), v.type());
  k = v.select(denormal, v.sub(k, v.c(el::kDenormalShift)), k);
  llvm::Value *f = v.sub(m, v.c(1)), *z = v.mul(f, f);
  llvm::Value *y = v.poly(f, el::kLog);
  y = v.mul(v.mul(f, z), y);
  y = v.fma(k, v.c(el::kLn2Low), y);
  y = v.fma(z, v.c(-0.5), y);
  llvm::Value *r = v.fma(k, v.c(el::kLn2High), v.add(f, y));
  constexpr double kInf = std::numeric_limits<double>::infinity();
  r = v.select(b.CreateFCmpOEQ(x, v.c(kInf)), x, r);
  r = v.select(b.CreateFCmpOEQ(x, v.c(0)), v.c(-kInf), r);
  return v.select(b.CreateFCmpULT(x, v.c(0)), v.c(std::numeric_limits<double>::quiet_NaN()), r);
}

/// The numbers of a table's row at the lanes' segments, which the low bits of an integer say.
class Lookup {
public:
  Lookup(Vector v, llvm::Value *bits) : v_(v), bits_(bits) {}

  llvm::Value *operator()(std::span<const float> row) {
    const CpuTarget &target = v_.e.target;
    if (target.vectorBits == 512)
      return permuted(llvm::Intrinsic::x86_avx512_permvar_sf_512, row);
    if (target.vectorBits != 256 || !target.fma) // no AVX2
      return fromMemory(row);
    llvm::Value *low = permuted(llvm::Intrinsic::x86_avx2_permps, row.first(8));
    if (row.size() == 8)
      return low;
    llvm::Value *isUpper = v_.b().CreateICmpSLT(v_.b().CreateShl(bits_, v_.i(28)), v_.i(0));
    return v_.select(isUpper, permuted(llvm::Intrinsic::x86_avx2_permps, row.last(8)), low);
  }

private:
  llvm::Value *permuted(llvm::Intrinsic::ID instruction, std::span<const float> row) {
    std::vector<float> numbers;
    while (std::ssize(numbers) < v_.lanes)
      numbers.insert(numbers.end(), row.begin(), row.end());
    llvm::Constant *source = llvm::ConstantDataVector::get(v_.b().getContext(), numbers);
    return v_.b().CreateIntrinsic(instruction, {}, {source, bits_});
  }

  llvm::Value *fromMemory(std::span<const float> row) {
    llvm::IRBuilder<> &b = v_.b();
    llvm::GlobalVariable *numbers = inMemory(row);
    llvm::Value *segments = b.CreateAnd(bits_, v_.i(std::ssize(row) - 1));
    llvm::Value *result = llvm::PoisonValue::get(v_.type());
    for (int lane = 0; lane < v_.lanes; ++lane) {
      llvm::Value *place =
          b.CreateInBoundsGEP(b.getFloatTy(), numbers, b.CreateExtractElement(segments, lane));
      result = b.CreateInsertElement(result, b.CreateLoad(b.getFloatTy(), place), lane);
    }
    return result;
  }
  /// Once in the module.
  llvm::GlobalVariable *inMemory(std::span<const float> row) {
    llvm::Module &module = v_.e.module;
    llvm::Constant *numbers =
        llvm::ConstantDataArray::get(module.getContext(), llvm::ArrayRef(row.data(), row.size()));
    for (llvm::GlobalVariable &global : module.globals())
      if (global.hasInitializer() && global.getInitializer() == numbers)
        return &global;
    return new llvm::GlobalVariable(module, numbers->getType(), true, llvm::GlobalValue::PrivateLinkage,
                                    numbers, "segments");
  }

  Vector v_;
  llvm::Value *bits_;
};

/// A NaN goes through all, whatever its segment.
template <size_t kSegments>
llvm::Value *piecewise(Vector v, llvm::Value *x, const el::Piecewise<kSegments> &f) {
  llvm::Value *t = v.atMost(f.highest, v.fabs(x)), *root = v.fma(t, v.c(f.slope), v.c(-f.offset));
  Lookup at(v, v.bits(v.fma(v.b().CreateFNeg(root), root, v.c(f.kLowBits))));
  llvm::Value *r = v.sub(t, at(f.rows[0])), *p = at(f.rows[1]);
  for (const auto &row : f.rows.subspan(2, f.rows.size() - 3))
    p = v.fma(p, r, at(row));
  llvm::Value *lowest = at(f.rows.back());
  return v.copysign(v.fma(p, r, f.addsT ? v.add(t, lowest) : lowest), x);
}

/// By halves where registers have eight lanes: LLVM would take turns with both, and run out of registers.
template <size_t kSegments>
llvm::Value *piecewiseF32(Emit &e, llvm::Value *x, const el::Piecewise<kSegments> &f) {
  if (e.target.vectorBits != 256)
    return piecewise({e}, x, f);
  constexpr int kHalf = kVectorLanes / 2;
  llvm::Value *halves[2];
  for (int i = 0; i < 2; ++i)
    halves[i] =
        piecewise({e, DType::F32, kHalf},
                  e.b.CreateShuffleVector(x, llvm::to_vector(llvm::seq(i * kHalf, (i + 1) * kHalf))), f);
  return e.b.CreateShuffleVector(halves[0], halves[1], llvm::to_vector(llvm::seq(0, kVectorLanes)));
}

/// log2 of a positive f64 to about 1e-13: 2·artanh(s), s = (m - 1) / (m + 1).
llvm::Value *log2F64(Vector v, llvm::Value *x) {
  llvm::IRBuilder<> &b = v.b();
  llvm::Value *i = b.CreateSub(v.bits(x), v.i(el::kSqrtHalfBitsF64));
  llvm::Value *m = v.fromBits(b.CreateAdd(b.CreateAnd(i, v.i(el::kMantissaF64)), v.i(el::kSqrtHalfBitsF64)));
  llvm::Value *k = b.CreateSIToFP(b.CreateAShr(i, v.i(52)), v.type());
  llvm::Value *f = v.sub(m, v.c(1));
  llvm::Value *s = b.CreateFDiv(f, v.add(f, v.c(2))), *z = v.mul(s, s);
  llvm::Value *p = v.poly(z, el::kLog2F64);
  return v.fma(v.mul(s, p), v.c(el::kTwoLog2E), k);
}

/// 2^t for |t| <= 1000, to about 1e-12.
llvm::Value *exp2F64(Vector v, llvm::Value *t) {
  llvm::IRBuilder<> &b = v.b();
  llvm::Value *n = v.rint(t);
  llvm::Value *r = v.mul(v.sub(t, n), v.c(el::kLn2));
  llvm::Value *p = v.poly(r, el::kExp2F64);
  llvm::Value *exponent = b.CreateShl(b.CreateFPToSI(n, v.intType()), v.i(52));
  return v.fromBits(b.CreateAdd(v.bits(p), exponent));
}

/// |x|^y in f64 precision, then the sign and the cases that C's pow names.
llvm::Value *powF32(Vector v, llvm::Value *x, llvm::Value *y) {
  llvm::IRBuilder<> &b = v.b();
  Vector d{v.e, DType::F64};
  constexpr double kInf = std::numeric_limits<double>::infinity();
  llvm::Value *magnitude = v.fabs(x);
  llvm::Value *isZero = b.CreateFCmpOEQ(magnitude, v.c(0)), *isInf = b.CreateFCmpOEQ(magnitude, v.c(kInf));
  llvm::Value *log = log2F64(d, b.CreateFPExt(magnitude, d.type()));
  log = d.select(isZero, d.c(-kInf), d.select(isInf, d.c(kInf), log));
  llvm::Value *t = d.mul(b.CreateFPExt(y, d.type()), log);
  llvm::Value *isNumber = b.CreateFCmpORD(t, t);
  t = d.atLeast(-el::kPowBound, d.atMost(el::kPowBound, d.select(isNumber, t, d.c(0))));
  llvm::Value *r = b.CreateFPTrunc(exp2F64(d, t), v.type());

  llvm::Value *nan = v.c(std::numeric_limits<double>::quiet_NaN());
  llvm::Value *whole = v.b().CreateUnaryIntrinsic(llvm::Intrinsic::floor, y);
  llvm::Value *isWhole = b.CreateFCmpOEQ(whole, y);
  llvm::Value *half = v.mul(y, v.c(0.5));
  llvm::Value *isOdd =
      b.CreateAnd(isWhole, b.CreateFCmpONE(b.CreateUnaryIntrinsic(llvm::Intrinsic::floor, half), half));
  r = v.select(isOdd, v.copysign(r, x), r);
  llvm::Value *outside = b.CreateAnd(b.CreateFCmpOLT(x, v.c(0)), b.CreateNot(b.CreateOr(isWhole, isInf)));
  r = v.select(b.CreateOr(outside, b.CreateFCmpUNO(x, y)), nan, r);
  llvm::Value *minusOneToInf =
      b.CreateAnd(b.CreateFCmpOEQ(x, v.c(-1)), b.CreateFCmpOEQ(v.fabs(y), v.c(kInf)));
  llvm::Value *one =
      b.CreateOr(b.CreateOr(b.CreateFCmpOEQ(x, v.c(1)), b.CreateFCmpOEQ(y, v.c(0))), minusOneToInf);
  return v.select(one, v.c(1), r);
}

} // namespace

llvm::Value *emitExp(Emit &e, llvm::Value *x) { return isF64(x) ? perLane(e, "exp", {x}) : expF32({e}, x); }

llvm::Value *emitLog(Emit &e, llvm::Value *x) { return isF64(x) ? perLane(e, "log", {x}) : logF32({e}, x); }

llvm::Value *emitPow(Emit &e, llvm::Value *x, llvm::Value *y) {
  return isF64(x) ? perLane(e, "pow", {x, y}) : powF32({e}, x, y);
}

llvm::Value *emitTanh(Emit &e, llvm::Value *x) {
  return isF64(x) ? perLane(e, "tanh", {x}) : piecewiseF32(e, x, el::kTanh);
}

llvm::Value *emitErf(Emit &e, llvm::Value *x) {
  return isF64(x) ? perLane(e, "erf", {x}) : piecewiseF32(e, x, el::kErf);
}

} // namespace gradc
