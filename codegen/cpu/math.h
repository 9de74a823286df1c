// Elementary functions as LLVM IR.
//
// f32: polynomials on 16 lanes, the same bits on every processor that has fused multiply-add; at most 2 ULP, right
// for zeros, denormals, infinities and NaN. Coefficients of log are Cephes' (S. Moshier), the others minimax fits.
// f64: the C library's functions, lane by lane; f64 is for gradient checks.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// All take and return vectors of 16 f32 or f64.
llvm::Value *emitExp(Emit &e, llvm::Value *x);
llvm::Value *emitLog(Emit &e, llvm::Value *x);
llvm::Value *emitTanh(Emit &e, llvm::Value *x);
llvm::Value *emitErf(Emit &e, llvm::Value *x);
llvm::Value *emitPow(Emit &e, llvm::Value *x, llvm::Value *y);

} // namespace gradc
