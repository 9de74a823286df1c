// Numbers and shapes of a model file as tensors, types and attributes.
#pragma once

#include <optional>
#include <vector>

#include "frontend/json.h"
#include "ir/tensor.h"
#include "ir/type.h"

namespace gradc {

/// The shape of nested lists of numbers; nothing if they are ragged, empty or deeper than kMaxRank.
std::optional<Shape> shapeOf(const Json &values);
/// Writes the numbers of nested lists into a tensor of their shape, or one number everywhere.
void fill(Tensor &tensor, const Json &values);
/// The numbers of nested lists in order.
void flatten(const Json &values, std::vector<double> &into);
/// A list of integers whose first may be "N", which stands for `batch`.
std::vector<int64_t> sizes(const Json &list, int64_t batch);
/// Whether a list of sizes begins with "N".
bool hasBatch(const Json &list);
/// The shape that numpy's broadcasting gives two shapes, or nothing where it refuses.
std::optional<Shape> broadcastShapes(const Shape &a, const Shape &b);
/// Whether `text` matches a pattern in which * stands for any text and ? for any character.
bool matchesGlob(std::string_view text, std::string_view pattern);

} // namespace gradc
