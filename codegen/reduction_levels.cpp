#include "codegen/reduction_levels.h"

#include <algorithm>

#include "ir/op.h"

namespace gradc {
namespace {

/// For each dimension of a value the axis of the reduced shape that it goes along.
using Places = std::vector<int>;
constexpr int kAny = -1;    // the value is the same all along
constexpr int kLinear = -2; // in all dimensions: the kept elements in order, under another shape

/// Where sums, and what is made of them, are. A row has only its own at hand, so they must stay in it.
class RowPlaces {
public:
  RowPlaces(const Function &fn, const ReductionLevels &levels) : fn_(fn), levels_(levels) {}

  /// False where the op may bring a sum to another row.
  bool follow(const OpData &op) {
    const bool moved = std::ranges::any_of(op.operands, [&](ValueId v) { return places_.contains(v); });
    if (op.def->is(kReduction)) {
      placeSums(op);
      return std::ranges::all_of(op.operands, [&](ValueId v) { return isInPlace(v); });
    }
    if (!moved)
      return true;
    if (op.def->is(kElementwise))
      return merge(op);
    const Places from = places_[op.operands[0]];
    const Shape &operand = shapeOf(op.operands[0]);
    Places &to = places_[op.results[0]];
    to.assign(static_cast<size_t>(shapeOf(op.results[0]).rank()), kAny);
    if (op.def->name == "relayout")
      to = from;
    else if (op.def->name == "reshape")
      return reshape(operand, from, shapeOf(op.results[0]), to);
    else if (isLinear(from))
      return false;
    else if (op.def->name == "broadcast")
      for (size_t i = 0; i < from.size(); ++i)
        to[static_cast<size_t>(op.attrs.ints("axes")[i])] =
            operand[static_cast<int>(i)] == 1 ? kAny : from[i];
    else if (op.def->name == "transpose")
      for (size_t i = 0; i < to.size(); ++i)
        to[i] = from[static_cast<size_t>(op.attrs.ints("permutation")[i])];
    else
      return false;
    return true;
  }

  /// Of the reduced shape or the kept one, and in its own row.
  bool isResult(ValueId value) {
    const int64_t kept = keptElements(levels_.shape, levels_.order);
    if (!places_.contains(value) || (shapeOf(value) == levels_.shape && shapeOf(value).elements() != kept))
      return isInPlace(value);
    return shapeOf(value).elements() == kept &&
           (isLinear(places_[value]) || isKept(shapeOf(value), places_[value]));
  }

private:
  const Shape &shapeOf(ValueId value) const { return fn_.type(value).shape; }
  static bool isLinear(const Places &places) { return !places.empty() && places[0] == kLinear; }

  bool isInPlace(ValueId value) {
    if (!places_.contains(value))
      return true;
    const Places &places = places_[value];
    for (size_t i = 0; i < places.size(); ++i)
      if (places[i] != kAny && places[i] != static_cast<int>(i))
        return false;
    return true;
  }

  Places keptAxes() const {
    Places kept;
    for (int axis = 0; axis < levels_.shape.rank(); ++axis)
      if (std::ranges::find(levels_.order.axes, axis) == levels_.order.axes.end())
        kept.push_back(axis);
    return kept;
  }

  /// The dimensions of more than one element are the kept axes' in order.
  bool isKept(const Shape &shape, const Places &places) const {
    Places is, should = keptAxes();
    for (size_t i = 0; i < places.size(); ++i)
      if (shape[static_cast<int>(i)] != 1)
        is.push_back(places[i]);
    std::erase_if(should, [&](int axis) { return levels_.shape[axis] == 1; });
    return is == should;
  }

  void placeSums(const OpData &op) {
    Places kept = keptAxes();
    for (ValueId result : op.results) {
      Places places = kept;
      if (shapeOf(result).rank() == levels_.shape.rank()) { // keep_dims
        places.assign(static_cast<size_t>(levels_.shape.rank()), kAny);
        for (int axis : kept)
          places[static_cast<size_t>(axis)] = axis;
      }
      places_[result] = std::move(places);
    }
  }

  bool merge(const OpData &op) {
    Places merged(static_cast<size_t>(shapeOf(op.results[0]).rank()), kAny);
    for (ValueId operand : op.operands)
      if (const auto found = places_.find(operand); found != places_.end())
        for (size_t i = 0; i < merged.size(); ++i) {
          const int from = found->second[i];
          if (merged[i] == kAny)
            merged[i] = from;
          else if (from != kAny && from != merged[i])
            return false;
        }
    places_[op.results[0]] = std::move(merged);
    return true;
  }

  bool reshape(const Shape &operand, const Places &from, const Shape &result, Places &to) const {
    std::vector<std::pair<int64_t, int>> moved; // size, place
    for (size_t i = 0; i < from.size(); ++i)
      if (operand[static_cast<int>(i)] != 1)
        moved.emplace_back(operand[static_cast<int>(i)], from[i]);
    size_t next = 0;
    bool same = !isLinear(from);
    for (int i = 0; same && i < result.rank(); ++i)
      if (result[i] != 1) {
        same = next < moved.size() && moved[next].first == result[i];
        if (same)
          to[static_cast<size_t>(i)] = moved[next++].second;
      }
    if (same)
      return true;
    to.assign(to.size(), kLinear);
    return isLinear(from) || isKept(operand, from);
  }

  const Function &fn_;
  const ReductionLevels &levels_;
  std::map<ValueId, Places> places_; // of what sums are in
};

} // namespace

std::optional<ReductionLevels> reductionLevels(const Function &fn, RegionId region) {
  ReductionLevels found;
  RowPlaces places(fn, found);
  for (OpId id : fn[region].ops) {
    const OpData &op = fn[id];
    size_t depth = 0;
    for (ValueId operand : op.operands)
      depth = std::max(depth, found.depth[operand]);
    if (op.def->is(kReduction)) {
      const ReductionOrder order = reductionOrder(fn, id);
      const Shape &shape = fn.type(op.operands[0]).shape;
      if (found.levels.empty()) {
        found.shape = shape;
        found.order = order;
      }
      if (!(found.shape == shape) || !(found.order == order))
        return std::nullopt;
      found.levels.resize(std::max(found.levels.size(), depth + 1));
      found.levels[depth++].push_back(id);
    }
    if (!places.follow(op))
      return std::nullopt;
    for (ValueId result : op.results)
      found.depth[result] = depth;
  }
  if (found.levels.empty() ||
      !std::ranges::all_of(fn[region].yields, [&](ValueId v) { return places.isResult(v); }))
    return std::nullopt;
  return found;
}

int64_t keptElements(const Shape &shape, const ReductionOrder &order) {
  int64_t kept = shape.elements();
  for (int axis : order.axes)
    kept /= shape[axis];
  return kept;
}

} // namespace gradc
