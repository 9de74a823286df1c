// Puts the batch into the vector lanes: gives layout n16 (ir/layout.h) to the activations and inserts
// relayouts where a consumer needs row-major.
//
//   func @f(%x: f32[64,784] {input}, %w: f32[512,784] {var = @w}) -> f32[64,512] {
//     %h = matmul(%x, %w) {transpose_b = true} : f32[64,512]
//     %y = relu(%h) : f32[64,512]
//     return %y
// becomes
//     %x~1 = relayout(%x) {layout = n16} : f32[64,784]<n16>
//     %h = matmul(%x~1, %w) {transpose_b = true} : f32[64,512]<n16>
//     %y = relu(%h) : f32[64,512]<n16>
//     %y~1 = relayout(%y) {layout = row_major} : f32[64,512]
//     return %y~1
//
// Why: with 16 images in the lanes every op of a network vectorises alike, whatever its channels and its
// map's size are; weights are scalar operands and need no packing. Applies to functions whose {input}
// arguments agree in dimension 0; others stay row-major throughout. So do functions of 8 examples or fewer, of which
// lanes would be idle, unless convolutions are faster in n16 nevertheless, by Winograd's algorithm or where row-major forms
// are slow, or are of bf16, which only n16 has fast code for: there, convolutions and what reads their results are in n16,
// and matrix products are not.
//
// Functions without pictures that multiply tokens, [N, T, D], by a matrix stay row-major: all tokens are the rows of
// one product there, the matrix' columns lie in the lanes, and so do the features of normalizations and softmax.
//
// A value carries the batch if its dimension 0 is the batch by descent from an {input} argument (one that
// happens to have as many rows does not). Choices, per op:
//   elementwise, window ops, movement that keeps dimension 0,
//     reductions of other dimensions                             n16 in, n16 out
//   conv2d, conv2d_grad_input, matmul of a batch by a matrix      batch n16, weights row-major; n16 out
//   conv2d_grad_weight                                            both n16, row-major out (lanes are partial
//   sums) matmul over the batch (dW = dY^T X)                           vector operand X row-major, dY as it
//   is reductions over the batch                                     as it is, row-major out everything else,
//   arguments, results                           row-major
// Weights of large dense layers that few examples share are read and written once a step, which memory delivers fastest
// in one piece: with the option pack they and their optimizer state lie in n16 (units in the lanes), from step to step,
// and so do their gradients; the variables' declarations say so.
//
// Constants, iota, random bits, broadcasts of things without the batch, and elementwise ops on these, are
// computed in the layout that their consumers want, each layout once; other values get at most one relayout
// per layout.
//
// A product of few rows by a large matrix that lies transposed, in any function, has its rows in the lanes: so the matrix
// is read in its order, each element once, where lanes of its columns would have to be transposed first.
//
// Runs on primitives (after expand) and before fuse, which fuses only within one layout. Exact.
#include <algorithm>
#include <map>

#include "ir/cost.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/winograd.h"
#include "passes/packing_util.h"
#include "passes/pass.h"
#include "passes/rewrite_util.h"
#include "passes/small_batch_util.h"

namespace gradc {
namespace {

enum class Want : uint8_t { AsIs, RowMajor, Lanes };

ValueId createRelayout(Builder &b, ValueId v, Want want, PassContext &context) {
  ++context.statistics["relayouts"];
  return b.create("relayout", {v},
                  {{"layout", Keyword{std::string(want == Want::Lanes ? kLayoutN16 : "row_major")}}});
}

/// Speed of a row-major convolution, or of a gradient of it, as a share of the processor's: pixels are in the lanes. Forward
/// a stride takes as many loads for a vector, backward it scatters the stores.
double speedByPixels(const Function &fn, const OpData &op) {
  constexpr double kUsual = 0.8, kSingle = 0.4; // where an image is a single vector
  const bool ofWeights = op.def->name == "conv2d_grad_weight";
  const std::vector<int64_t> stride = withDefaults(*op.def, op.attrs).ints("stride");
  if (const int64_t most = std::max(stride[0], stride[1]); !ofWeights && most > 1)
    return kUsual / static_cast<double>(most);
  const Shape &map = fn.type(ofWeights ? op.operands[1] : op.results[0]).shape;
  const int64_t pixels = map[2] * map[3], vectors = laneBlocks(pixels);
  return (vectors == 1 ? kSingle : kUsual) * static_cast<double>(pixels) /
         static_cast<double>(vectors * kLanes);
}

/// Whether convolutions of a small batch take less time in n16, though lanes are idle there: only n16 has Winograd's
/// algorithm, and fast code for bf16.
bool gainsByLanes(const Function &fn, int64_t batch) {
  constexpr double kDirect = 0.9, kWinograd = 2.3; // speeds with all lanes full
  const double share = static_cast<double>(batch) / static_cast<double>(laneBlocks(batch) * kLanes);
  double lanes = 0, pixels = 0;
  for (OpId op : fn.body().ops) {
    if (!fn[op].def->is(kContraction) || fn[op].def->name == "matmul")
      continue;
    if (fn.type(fn[op].operands[0]).dtype == DType::BF16)
      return true;
    const double flops = costOf(fn, op).flops;
    lanes += flops / (share * (winogradWouldPay(fn, op) ? kWinograd : kDirect));
    pixels += flops / speedByPixels(fn, fn[op]);
  }
  return lanes < pixels;
}

/// The batch: what all {input} arguments have as dimension 0, where it suits n16; else 0.
int64_t batchOf(const Function &fn) {
  int64_t batch = 0;
  for (ValueId arg : fn.body().args) {
    if (!fn[arg].attrs.has("input"))
      continue;
    const Shape &shape = fn.type(arg).shape;
    if (shape.rank() == 0 || (batch != 0 && shape[0] != batch))
      return 0;
    batch = shape[0];
  }
  return batch > kSmallBatch || gainsByLanes(fn, batch) ? batch : 0;
}

/// Whether a product takes all tokens of the batch as rows, and no convolution or window is there.
bool seesTokensOnly(const Function &fn) {
  auto isPicture = [&](OpId op) {
    return fn[op].def->is(kWindow) || (fn[op].def->is(kContraction) && fn[op].def->name != "matmul");
  };
  auto isTokens = [&](OpId op) {
    return fn[op].def->name == "matmul" &&
           fn.type(fn[op].operands[0]).rank() > fn.type(fn[op].operands[1]).rank();
  };
  const std::vector<OpId> &ops = fn.body().ops;
  return std::ranges::any_of(ops, isTokens) && std::ranges::none_of(ops, isPicture);
}

/// The batch that goes into the lanes; 0: none does.
int64_t lanesOf(const Function &fn) { return seesTokensOnly(fn) ? 0 : batchOf(fn); }

class LayoutAssigner {
public:
  /// `packed`: variables that lie in n16.
  LayoutAssigner(Function &fn, PassContext &context, const VariableNames &packed)
      : fn_(fn), context_(context), b_(fn), names_(packed), batch_(lanesOf(fn)),
        packed_(valuesInPackedForm(fn, packed)) {}

  bool run() {
    const bool anyPacked = std::ranges::find(packed_, true) != packed_.end();
    if (batch_ == 0 && !anyPacked)
      return false;
    for (ValueId arg : fn_.body().args) {
      mark(carries_, arg, batch_ != 0 && fn_[arg].attrs.has("input"));
      if (marked(packed_, arg))
        setLanes(arg);
    }
    std::vector<OpId> ops = std::exchange(fn_.body().ops, {});
    for (OpId op : ops)
      visit(op);
    std::vector<ValueId> &yields = fn_.body().yields;
    for (size_t i = 0; i < yields.size(); ++i) {
      const SymbolRef *variable = i < fn_.resultAttrs.size() ? variableOf(fn_.resultAttrs[i]) : nullptr;
      yields[i] =
          inLayout(yields[i], variable && names_.contains(variable->name) ? Want::Lanes : Want::RowMajor);
    }
    if (!changed_)
      return false;
    nameCopies();
    dropDeadOps(fn_);
    fn_.compact();
    return true;
  }

private:
  // What an op asks of its operands, and whether its result carries the batch and lies in lanes.
  struct Choice {
    std::vector<Want> operands;
    bool carries = false;
    bool lanes = true; // of what carries
  };

  static void mark(std::vector<bool> &set, ValueId v, bool value) {
    set.resize(std::max<size_t>(set.size(), index(v) + 1));
    set[index(v)] = value;
  }
  static bool marked(const std::vector<bool> &set, ValueId v) {
    return index(v) < set.size() && set[index(v)];
  }
  bool carries(ValueId v) const { return marked(carries_, v); }

  bool readsPacked(const OpData &op) const {
    return std::ranges::any_of(op.operands, [&](ValueId v) { return marked(packed_, v); });
  }

  void visit(OpId id) {
    Choice choice = choose(fn_[id]);
    if (batch_ <= kSmallBatch)
      stayRowMajor(fn_[id], choice);
    for (size_t i = 0; i < choice.operands.size(); ++i) {
      ValueId v = inLayout(fn_[id].operands[i], choice.operands[i]);
      fn_[id].operands[i] = v;
    }
    b_.append(id);
    for (ValueId v : fn_[id].results) {
      mark(carries_, v, choice.carries);
      mark(free_, v, !choice.carries && isFree(fn_[id]));
      if ((choice.carries && choice.lanes && !fn_[id].def->is(kStructural)) || marked(packed_, v))
        setLanes(v);
    }
  }

  void setLanes(ValueId v) {
    Type &type = fn_[v].type;
    if (type.rank() < 2 || !type.layout.empty())
      return;
    type.layout = kLayoutN16;
    changed_ = true;
    ++context_.statistics["values in n16"];
  }

  /// True for values that can be computed in any layout at no cost.
  bool isFree(const OpData &op) const {
    if (op.def->is(kStructural) || op.results.size() != 1)
      return false;
    if (op.def->is(kElementwise))
      return std::ranges::all_of(op.operands, [&](ValueId v) { return marked(free_, v); });
    return op.def->is(kCheap) || op.operands.empty();
  }

  Choice choose(const OpData &op) const {
    const OpDef &def = *op.def;
    const bool any = std::ranges::any_of(op.operands, [&](ValueId v) { return carries(v); });
    if (def.is(kStructural))
      return {std::vector(op.operands.size(), Want::AsIs), op.def->name == "relayout" && any};
    const bool packed = std::ranges::any_of(op.results, [&](ValueId v) { return marked(packed_, v); });
    if (packed)
      return def.is(kElementwise) ? Choice{std::vector(op.operands.size(), Want::Lanes)} : all(op, false);
    if (batch_ == 0 && !readsPacked(op))
      return {std::vector(op.operands.size(), Want::AsIs)};
    if (!any) // elementwise operands agree as they are
      return def.is(kElementwise) ? Choice{std::vector(op.operands.size(), Want::AsIs)} : rowMajor(op);
    if (def.is(kElementwise) || def.is(kWindow))
      return all(op);
    if (def.is(kContraction))
      return def.name == "matmul" ? chooseMatmul(op) : chooseConv(op);
    return keepsBatch(op) ? chooseKept(op) : chooseMixed(op);
  }

  /// In a small batch only convolutions ask for lanes, and what reads lanes already.
  void stayRowMajor(const OpData &op, Choice &choice) const {
    auto inLanes = [&](ValueId v) { return !fn_.type(v).layout.empty(); };
    const bool matmul = op.def->name == "matmul";
    if (!choice.carries || (op.def->is(kContraction) && !matmul) || op.def->is(kStructural) ||
        (!matmul && std::ranges::any_of(op.operands, inLanes)))
      return;
    choice = rowMajor(op);
    choice.carries = true;
    choice.lanes = false;
  }

  static Choice all(const OpData &op, bool carries = true) {
    return {std::vector(op.operands.size(), Want::Lanes), carries};
  }
  static Choice rowMajor(const OpData &op) { return {std::vector(op.operands.size(), Want::RowMajor)}; }

  Choice chooseConv(const OpData &op) const {
    if (op.def->name == "conv2d_grad_weight")
      return {{Want::Lanes, Want::Lanes}};
    return carries(op.operands[0]) ? Choice{{Want::Lanes, Want::RowMajor}, true} : rowMajor(op);
  }

  Choice chooseMatmul(const OpData &op) const {
    if (fn_.type(op.operands[0]).rank() != 2)
      return rowMajor(op);
    const bool rows = carries(op.operands[0]) && !op.attrs.flag("transpose_a");
    if (!rows && fn_.type(op.operands[0]).dtype == DType::BF16) // tiles are packed from any layout
      return {{Want::AsIs, Want::AsIs}};
    const Want matrix = marked(packed_, op.operands[1]) ? Want::AsIs : Want::RowMajor;
    return rows ? Choice{{Want::Lanes, matrix}, true} : Choice{{Want::AsIs, Want::RowMajor}};
  }

  /// gather by a batch of indices reads a table that has no batch; all other operands carry it.
  Choice chooseKept(const OpData &op) const {
    if (op.def->name != "gather")
      return all(op);
    return carries(op.operands[0]) ? Choice{{Want::Lanes, Want::RowMajor}, true}
                                   : Choice{{Want::RowMajor, Want::Lanes}, true};
  }

  static Choice chooseMixed(const OpData &op) {
    return op.def->is(kReduction) && op.operands.size() == 1 ? Choice{{Want::AsIs}} : rowMajor(op);
  }

  static bool contains0(const std::vector<int64_t> &axes) { return std::ranges::find(axes, 0) != axes.end(); }

  /// True when dimension 0 of the result is still dimension 0 of the operand that carries the batch.
  bool keepsBatch(const OpData &op) const {
    const std::string_view name = op.def->name;
    const Dict attrs = withDefaults(*op.def, op.attrs);
    const Shape &result = fn_.type(op.results[0]).shape;
    if (result.rank() == 0 || result[0] != batch_)
      return false;
    if (name == "broadcast")
      return attrs.ints("axes").front() == 0;
    if (name == "reshape")
      return true; // same first dimension, same order
    if (name == "transpose")
      return attrs.ints("permutation")[0] == 0;
    if (name == "slice")
      return attrs.ints("start")[0] == 0 && (!attrs.has("stride") || attrs.ints("stride")[0] == 1);
    if (name == "pad")
      return attrs.ints("low")[0] == 0 && attrs.ints("high")[0] == 0;
    if (name == "reverse")
      return !contains0(attrs.ints("axes"));
    if (name == "concat" || name == "argmax")
      return attrs.i64("axis") != 0;
    if (name == "gather")
      return carries(op.operands[0]) != carries(op.operands[1]) &&
             carries(op.operands[1]) == (attrs.i64("axis") == 0);
    if (op.def->is(kReduction) && attrs.has("axes"))
      return !contains0(attrs.ints("axes"));
    return false;
  }

  /// The value in the wanted layout, computed or moved once.
  ValueId inLayout(ValueId v, Want want) {
    const Type type = fn_.type(v);
    const bool lanes = !type.layout.empty();
    if (want == Want::AsIs || type.rank() < 2 || lanes == (want == Want::Lanes))
      return v;
    auto [it, fresh] = moved_.try_emplace(v, kNoValue);
    if (!fresh)
      return it->second;
    ValueId copy = marked(free_, v) && want == Want::Lanes ? computeInLanes(v) : relayout(v, want);
    changed_ = true;
    return moved_[v] = copy;
  }

  ValueId relayout(ValueId v, Want want) {
    const ValueData &data = fn_[v];
    b_.named(data.name).at(fn_.location(v));
    ValueId copy = createRelayout(b_, v, want, context_);
    mark(carries_, copy, carries(v));
    return copy;
  }

  ValueId computeInLanes(ValueId v) {
    const OpId def = fn_[v].def;
    ValueMap map(fn_.numValues(), kNoValue);
    for (ValueId operand : std::vector(fn_[def].operands)) {
      ValueId moved = fn_[def].def->is(kElementwise) ? inLayout(operand, Want::Lanes) : operand;
      map.resize(fn_.numValues(), kNoValue);
      map[index(operand)] = moved;
    }
    ValueId copy = fn_[cloneOp(fn_, def, b_, map)].results[0];
    setLanes(copy);
    copies_.emplace_back(v, copy);
    return copy;
  }

  /// A copy in lanes takes over the name of a value that is dead now. Copies stand after those they read.
  void nameCopies() {
    std::vector<uint32_t> uses = fn_.countUses();
    for (size_t i = copies_.size(); i-- > 0;) {
      const auto [from, to] = copies_[i];
      if (uses[index(from)] != 0)
        continue;
      takeName(fn_, from, to);
      for (ValueId operand : fn_[fn_[from].def].operands)
        --uses[index(operand)];
    }
  }

  Function &fn_;
  PassContext &context_;
  Builder b_;
  const VariableNames &names_; // of packed variables
  int64_t batch_;              // 0: nothing else is put into lanes
  bool changed_ = false;
  std::vector<bool> carries_, free_, packed_; // by value
  std::map<ValueId, ValueId> moved_;          // to the other layout
  std::vector<std::pair<ValueId, ValueId>> copies_;
};

/// Vectors of rows should be full, and the relayouts of rows and result little beside the product.
bool isOfFewRows(const Function &fn, const OpData &op) {
  constexpr int64_t kMostRows = 64, kManyColumns = 128;
  if (op.def->name != "matmul" || !op.attrs.flag("transpose_b") || op.attrs.flag("transpose_a"))
    return false;
  const Type &a = fn.type(op.operands[0]), &b = fn.type(op.operands[1]);
  return a.rank() == 2 && b.rank() == 2 && a.dtype == DType::F32 && a.layout.empty() && b.layout.empty() &&
         fn.type(op.results[0]).layout.empty() && a.shape[0] % kLanes == 0 && a.shape[0] <= kMostRows &&
         std::min(b.shape[0], b.shape[1]) >= kManyColumns;
}

bool putRowsInLanes(Function &fn, PassContext &context) {
  return rewriteOps(fn, [&](OpId id, Builder &b) -> std::optional<std::vector<ValueId>> {
    if (!isOfFewRows(fn, fn[id]))
      return std::nullopt;
    const ValueId matrix = fn[id].operands[1];
    const ValueId rows = createRelayout(b, fn[id].operands[0], Want::Lanes, context);
    const ValueId product = b.create("matmul", {rows, matrix}, fn[id].attrs);
    fn[product].type.layout = kLayoutN16;
    return std::vector{createRelayout(b, product, Want::RowMajor, context)};
  });
}

Result<bool> run(Module &module, PassContext &context) {
  VariableNames packed;
  for (const Variable &variable : module.variables)
    if (variable.type.layout == kLayoutN16)
      packed.insert(variable.name);
  if (context.options.flag("pack"))
    for (const auto &fn : module.functions)
      packed.merge(variablesToPack(*fn, lanesOf(*fn)));
  context.statistics["packed variables"] += static_cast<int64_t>(packed.size());
  bool changed = false;
  for (const std::string &name : packed)
    changed |= std::exchange(module.variable(name)->type.layout, kLayoutN16) != kLayoutN16;
  for (auto &fn : module.functions) {
    changed |= LayoutAssigner(*fn, context, packed).run();
    changed |= putRowsInLanes(*fn, context);
  }
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(layout) {
  return {.name = "layout",
          .doc = "put the batch into the vector lanes",
          .options = {{.name = "pack",
                       .doc = "keep large weights of dense layers with few examples in n16, too",
                       .defaultValue = false}},
          .run = run};
}
