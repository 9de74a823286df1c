#include "passes/rewrite_util.h"

#include <algorithm>

#include "support/check.h"

namespace gradc {
namespace {

class Rewriter {
public:
  Rewriter(Function &fn, const Rewrite &rewrite) : fn_(fn), rewrite_(rewrite) {}

  void run(RegionId region) {
    std::vector<OpId> ops = std::move(fn_[region].ops);
    fn_[region].ops.clear();
    Builder b(fn_, region);
    for (OpId op : ops)
      visit(op, b);
    substitute(fn_[region].yields);
  }

  bool changed() const { return changed_; }

private:
  void substitute(std::vector<ValueId> &values) {
    for (ValueId &v : values)
      if (index(v) < map_.size() && map_[index(v)] != kNoValue)
        v = map_[index(v)];
  }

  void visit(OpId op, Builder &b) {
    substitute(fn_[op].operands);
    for (RegionId inner : std::vector(fn_[op].regions))
      run(inner);
    size_t mark = fn_.numValues();
    b.at(fn_[op].loc).named(fn_[op].results.empty() ? "t" : fn_[fn_[op].results[0]].name);
    auto values = rewrite_(op, b);
    if (!values)
      return b.append(op);
    changed_ = true;
    const std::vector<ValueId> results = fn_[op].results;
    CHECK(values->size() == results.size(), "{} has {} results but {} stand for it", fn_[op].def->name,
          results.size(), values->size());
    map_.resize(fn_.numValues(), kNoValue);
    for (size_t i = 0; i < results.size(); ++i) {
      ValueId to = (*values)[i];
      CHECK(fn_.type(to) == fn_.type(results[i]), "%{} is {} but {} stands for it", fn_[results[i]].name,
            toString(fn_.type(results[i])), toString(fn_.type(to)));
      map_[index(results[i])] = to;
      if (index(to) >= mark)
        takeName(fn_, results[i], to);
    }
  }

  Function &fn_;
  const Rewrite &rewrite_;
  ValueMap map_;
  bool changed_ = false;
};

} // namespace

bool rewriteOps(Function &fn, const Rewrite &rewrite) {
  Rewriter rewriter(fn, rewrite);
  rewriter.run(Function::kBody);
  if (rewriter.changed())
    fn.compact();
  return rewriter.changed();
}

bool isResultOf(const Function &fn, ValueId v, std::string_view op) {
  return fn[v].def != kNoOp && fn[fn[v].def].def->name == op;
}

void takeName(Function &fn, ValueId from, ValueId to) {
  if (fn[to].def == kNoOp)
    return;
  std::string name = fn[from].name;
  fn.rename(from, name + "~1");
  fn.rename(to, name);
}

std::vector<ValueId> expandOp(Function &fn, OpId op, Builder &b) {
  const OpData data = fn[op]; // a copy: the arena grows
  CHECK(data.def->expand, "{} has no expansion", data.def->name);
  const Dict attrs = withDefaults(*data.def, data.attrs);
  const std::string name = fn[data.results[0]].name;
  ExpandArgs args{b, data.operands, attrs, *data.def, name};
  return data.def->expand(args);
}

const Tensor *constantOf(const Function &fn, ValueId v) {
  OpId def = fn[v].def;
  if (def == kNoOp || fn[def].def->name != "constant")
    return nullptr;
  const Attr *value = fn[def].attrs.find("value");
  const Dense *dense = value ? value->as<Dense>() : nullptr;
  return dense ? dense->get() : nullptr;
}

std::optional<Tensor> splatOf(const Function &fn, ValueId v) {
  if (const Tensor *tensor = constantOf(fn, v)) {
    size_t size = dtypeSize(tensor->type().dtype);
    auto bytes = tensor->bytes();
    // Equal bytes one element apart: all elements are the same.
    if (!std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(size), bytes.end(), bytes.begin()))
      return std::nullopt;
    Tensor one(Type{tensor->type().dtype, {}, {}});
    std::copy_n(bytes.begin(), size, one.bytes().begin());
    return one;
  }
  OpId def = fn[v].def;
  if (def == kNoOp)
    return std::nullopt;
  std::string_view op = fn[def].def->name;
  bool copies = op == "broadcast" || op == "reshape" || op == "transpose";
  return copies ? splatOf(fn, fn[def].operands[0]) : std::nullopt;
}

namespace {

int64_t dropDeadIn(Function &fn, RegionId region, std::vector<uint32_t> &uses) {
  std::vector<OpId> kept;
  std::vector<OpId> ops = fn[region].ops;
  int64_t dropped = 0;
  for (auto it = ops.rbegin(); it != ops.rend(); ++it) {
    OpData &op = fn[*it];
    bool used = std::ranges::any_of(op.results, [&](ValueId v) { return uses[index(v)] != 0; });
    if (used || op.def->is(kOrdered)) {
      for (RegionId inner : op.regions)
        dropped += dropDeadIn(fn, inner, uses);
      kept.push_back(*it);
      continue;
    }
    for (ValueId v : op.operands)
      --uses[index(v)];
    ++dropped;
  }
  std::ranges::reverse(kept);
  fn[region].ops = std::move(kept);
  return dropped;
}

} // namespace

int64_t dropDeadOps(Function &fn) {
  std::vector<uint32_t> uses = fn.countUses();
  int64_t dropped = dropDeadIn(fn, Function::kBody, uses);
  if (dropped)
    fn.compact();
  return dropped;
}

Location fuseLocations(const Location &a, const Location &b) {
  Location fused;
  auto add = [&](const Location &loc) {
    if (loc.known() && std::ranges::find(fused.fused, loc) == fused.fused.end())
      fused.fused.push_back(loc);
  };
  for (const Location *loc : {&a, &b}) {
    if (loc->line != 0)
      add(*loc);
    for (const Location &part : loc->fused)
      add(part);
  }
  return fused.fused.size() == 1 ? fused.fused[0] : fused;
}

} // namespace gradc
