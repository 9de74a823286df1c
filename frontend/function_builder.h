// Builds one function of a model: its nodes as ops, its inputs, parameters and hyper-parameters as arguments in
// the order they are asked for, put into the agreed order at the end.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "frontend/graph.h"
#include "frontend/parameters.h"
#include "ir/builder.h"

namespace gradc {

/// What every function of one model shares.
struct BuildContext {
  const JsonDocument &document;
  const Graph &graph;
  const ParameterRules &rules;
  const std::optional<Normalization> &normalization;
  Module &module; // gets the declarations
  int64_t batch = 1;
  Diagnostics &diag;
  std::optional<Reported> reported = {};
};

class FunctionBuilder {
public:
  FunctionBuilder(BuildContext &context, Function &fn, bool training);

  /// Builds the nodes that the references need (all of them: buildAll). A node whose input failed is skipped.
  void build(const std::vector<const Reference *> &roots);
  void buildAll();
  std::optional<ValueId> value(const Reference &reference);
  /// One number per example, f32[N].
  std::optional<ValueId> term(const GraphTerm &term);
  /// Adds %seed, %step and %row0 even where nothing asked for them.
  void addRandomArgs();
  /// Orders the arguments: parameters as declared, inputs, hyper-parameters, seed, step, row0.
  void orderArgs();

  Builder &builder() { return b_; }
  /// Buffers and the values that they have after the function.
  const std::vector<std::pair<std::string, ValueId>> &updates() const { return updates_; }
  /// The numbers of the ops that were built for a node: first, one past the last.
  std::pair<uint32_t, uint32_t> opsOf(size_t node) const { return ops_[node]; }

private:
  friend class LayerContext;
  enum class ArgClass : uint8_t { Variable, Input, Hyper, Random };
  struct Arg {
    ValueId value;
    ArgClass kind;
    size_t rank; // within its class
  };

  void buildNode(size_t index);
  std::optional<ValueId> buildUse(const LayerUse &use, const std::vector<Reference> &inputs);
  std::optional<std::vector<ValueId>> operands(const LayerUse &use, const std::vector<Reference> &inputs);
  std::optional<ValueId> activate(const LayerUse &use, ValueId x);
  /// The number as a scalar of the other operands' type.
  ValueId scalar(double number, const std::vector<Reference> &inputs);
  ValueId input(size_t index);
  ValueId normalized(ValueId image, size_t index);
  ValueId arg(const std::string &name, Type type, Dict attrs, ArgClass kind, size_t rank);
  /// seed, step or row0; 0 outside training.
  ValueId randomArg(const char *name);
  ValueId variableArg(const std::string &name);
  std::optional<ValueId> parameter(const LayerUse &use, std::string_view key, const Shape &shape, Fans fans,
                                   std::string_view init);
  std::optional<ValueId> buffer(const LayerUse &use, std::string_view key, const Shape &shape,
                                std::string_view init);
  /// Whether a variable of the node's may get that name; reports it where not.
  bool isFree(const LayerUse &use, const std::string &name);
  std::optional<ValueId> tied(const LayerUse &use, const GraphNode::Tie &tie, const Shape &shape);
  void giveName(ValueId value, const std::string &name, size_t firstNew);
  std::nullopt_t report(const Json &at, std::string text);

  BuildContext &context_;
  Function &fn_;
  Builder b_;
  bool training_;
  const GraphNode *current_ = nullptr;
  std::vector<std::vector<ValueId>> results_; // by node; empty: not built
  std::vector<std::pair<uint32_t, uint32_t>> ops_;
  std::map<std::string, Arg> args_;
  std::map<size_t, ValueId> normalized_; // by input
  std::vector<std::pair<std::string, ValueId>> updates_;
};

/// Declares the entries of "params".
void declareParams(BuildContext &context);

} // namespace gradc
