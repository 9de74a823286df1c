// Transposed copies of matrices, 16 by 16 elements in registers.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// target[k][row] = source[row][k] for f32: at most 16 rows by 16 elements, the pitches in bytes. `lanes` elements of a
/// target's row are stored; those beyond the rows are zeros.
void emitBlockTranspose(Emit &e, llvm::Value *source, int64_t sourcePitch, int rows, int depth,
                        llvm::Value *target, int64_t targetPitch, int lanes = kVectorLanes);

/// target[k][row] = source[row][k] for f32: `rows` rows of `depth` elements, `sourcePitch` and `targetPitch` bytes
/// from one to the next. Rows of the target are filled up with zeros to a multiple of 16 elements; the target has
/// room for that.
void emitPanelTranspose(Emit &e, llvm::Value *source, int64_t sourcePitch, int64_t rows, int64_t depth,
                        llvm::Value *target, int64_t targetPitch);

/// target[k][column] = source[k][column] for f32: `depth` rows of `columns` elements. Where there is room in the target,
/// its rows are filled up with zeros to a multiple of 16 elements.
void emitPanelCopy(Emit &e, llvm::Value *source, int64_t sourcePitch, int64_t depth, int64_t columns,
                   llvm::Value *target, int64_t targetPitch);

} // namespace gradc
