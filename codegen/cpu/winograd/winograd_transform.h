// The transforms of Winograd's F(m×n, r×r) (ir/winograd.h) on vectors of 16 lanes. The expressions are the order of
// operations: whoever changes one changes bits.
#pragma once

#include <functional>

#include "codegen/cpu/emit.h"
#include "ir/winograd.h"

namespace gradc {

/// Element (row, column) of what is transformed.
using MatrixElement = std::function<llvm::Value *(int row, int column)>;
/// Takes element (row, column) of what comes out.
using MatrixSink = std::function<void(int row, int column, llvm::Value *)>;

/// Bᵀ d B of a patch. Goes through the result in bands of one or two rows and asks for an element in each band
/// that needs it, so that what lives between the columns and the rows fits the registers.
void winogradOperand(Emit &e, Winograd algorithm, const MatrixElement &patch, const MatrixSink &sink);
/// G g Gᵀ of a kernel: r×r → a patch. Asks once for each element.
void winogradWeights(Emit &e, Winograd algorithm, const MatrixElement &kernel, const MatrixSink &sink);
/// Aᵀ M A of the products: a patch → a tile. Asks once for each element.
void winogradResult(Emit &e, Winograd algorithm, const MatrixElement &products, const MatrixSink &sink);

} // namespace gradc
