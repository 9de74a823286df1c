// Packed variables: weights that lie in layout n16 from step to step, so that the kernels of a dense layer read and write
// them as one piece of memory each.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "ir/ir.h"

namespace gradc {

using VariableNames = std::set<std::string, std::less<>>;

/// Whether a dense layer's weights [units, inputs], shared by so many examples, gain by n16.
bool packingPays(const Type &weights, int64_t batch);

/// The variables of a function that gain by n16 and can lie in it: large weights of dense layers that few examples,
/// `batch`, share, and what is updated together with them. All that is done with them is elementwise, or a product with
/// the batch.
VariableNames variablesToPack(const Function &fn, int64_t batch);

/// By value: which lie in n16 where these variables do: their arguments, their gradients, what is elementwise.
std::vector<bool> valuesInPackedForm(const Function &fn, const VariableNames &packed);

} // namespace gradc
