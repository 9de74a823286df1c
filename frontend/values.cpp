#include "frontend/values.h"

#include <algorithm>

namespace gradc {

std::optional<Shape> shapeOf(const Json &values) {
  if (values.isNumber())
    return Shape{};
  if (values.items.empty())
    return std::nullopt;
  std::optional<Shape> inner = shapeOf(values.items[0]);
  if (!inner || inner->rank() >= kMaxRank)
    return std::nullopt;
  for (size_t i = 1; i < values.items.size(); ++i)
    if (shapeOf(values.items[i]) != inner)
      return std::nullopt;
  Shape shape{static_cast<int64_t>(values.items.size())};
  for (int64_t size : *inner)
    shape.push(size);
  return shape;
}

void flatten(const Json &values, std::vector<double> &into) {
  if (values.isNumber())
    into.push_back(values.number);
  for (const Json &item : values.items)
    flatten(item, into);
}

void fill(Tensor &tensor, const Json &values) {
  std::vector<double> numbers;
  flatten(values, numbers);
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, numbers.size() == 1 ? numbers[0] : numbers[i]);
}

bool hasBatch(const Json &list) { return !list.items.empty() && list.items[0].isString(); }

std::vector<int64_t> sizes(const Json &list, int64_t batch) {
  std::vector<int64_t> result;
  for (const Json &item : list.items)
    result.push_back(item.isString() ? batch : *item.integer());
  return result;
}

std::optional<Shape> broadcastShapes(const Shape &a, const Shape &b) {
  int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims(rank);
  for (int i = 0; i < rank; ++i) {
    int64_t x = i < a.rank() ? a[a.rank() - 1 - i] : 1, y = i < b.rank() ? b[b.rank() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1)
      return std::nullopt;
    dims[rank - 1 - i] = std::max(x, y);
  }
  return Shape(dims);
}

bool matchesGlob(std::string_view text, std::string_view pattern) {
  // The classic linear walk: on a mismatch go back to the latest * and let it take one character more.
  size_t t = 0, p = 0, star = pattern.npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++t, ++p;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != pattern.npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  return std::ranges::all_of(pattern.substr(p), [](char c) { return c == '*'; });
}

} // namespace gradc
