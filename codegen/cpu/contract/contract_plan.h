// From a matmul or convolution op to the nest that computes it fast, where there is one.
#pragma once

#include <optional>
#include <variant>

#include "codegen/cpu/contract/blocked_nest.h"
#include "codegen/cpu/contract/conv_nest.h"
#include "codegen/cpu/contract/conv_pixel_nest.h"
#include "codegen/cpu/contract/conv_planes.h"
#include "codegen/cpu/contract/conv_taps_nest.h"
#include "codegen/cpu/contract/conv_weight_nest.h"
#include "codegen/cpu/contract/dot_nest.h"
#include "codegen/cpu/contract/matmul_nest.h"
#include "codegen/cpu/target.h"
#include "ir/contraction.h"

namespace gradc {

struct ContractPlan {
  std::variant<MatmulNest, BlockedNest, DotNest, ConvNest, ConvPixelNest, ConvWeightNest, ConvTapsNest> nest;
  /// Operands of the contraction that feed the tile's rows and columns.
  int rowOperand = 1, columnOperand = 0;
  /// The nest reads copies of the operands, the row operand's first.
  std::optional<ConvPlanes> planes = std::nullopt;
};

/// The plan with the given tile, or nothing for ContractionForm::Generic. A tile that does not fit the registers
/// would be slow, not wrong. `target` says how large the caches of a core are.
std::optional<ContractPlan> planContraction(const Function &fn, OpId op, RegisterTile tile,
                                            const CpuTarget &target);
/// Of a weight gradient by the algorithm `pixels`.
ContractPlan planPixels(const Function &fn, OpId op, RegisterTile tile, const CpuTarget &target);

} // namespace gradc
