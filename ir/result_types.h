// What the result types of an op must be: one rule for parser and verifier.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/op.h"

namespace gradc {

/// The types that the op's rule gives. An op with a region has the types that its region yields; where an
/// attribute names a constant of the module, the rule sees the constant.
Rule<std::vector<Type>> resultTypesOf(const Module &module, const Function &fn, const OpDef &def,
                                      std::span<const Type> operands, const Dict &attrs,
                                      std::span<const RegionId> regions);

/// Why the written types do not agree with those of the rule, or nothing. Elementwise and structural ops
/// determine the layout of their results; other ops may write their results in any legal layout.
std::optional<std::string> checkResultTypes(const OpDef &def, std::span<const Type> written,
                                            std::span<const Type> inferred);

} // namespace gradc
