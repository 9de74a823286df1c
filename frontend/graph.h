// The model file as a graph: blocks expanded, names resolved, nodes in an order in which each stands after what
// it depends on. Everything is still untyped JSON with places; shapes come when functions are built.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "frontend/layer.h"

namespace gradc {

/// What an operand, an output or a tied parameter stands for.
struct Reference {
  enum class Kind : uint8_t { Number, Input, Param, Node };
  Kind kind = Kind::Number;
  size_t index = 0; // into the graph's inputs, params or nodes
  int result = 0;   // of a node: name:result
  double number = 0;
  const Json *json = nullptr; // where it was written
};

struct GraphNode {
  LayerUse use;
  std::vector<Reference> inputs;
  /// Parameters that belong to others: "weight" → "encoder.weight", with the node they belong to, if any.
  struct Tie {
    std::string key, parameter;
    std::optional<size_t> owner;
  };
  std::vector<Tie> ties;
};

struct GraphInput {
  std::string name;
  const Json *json = nullptr;
  DType dtype = DType::F32;
  bool hasBatch = false;
};

struct GraphParam {
  std::string name;
  const Json *json = nullptr;
};

/// A part of the loss, or a metric.
struct GraphTerm {
  LayerUse use;
  std::vector<Reference> inputs;
  double weight = 1;
};

struct Graph {
  std::string name;
  std::vector<GraphInput> inputs;
  std::vector<GraphParam> params;
  std::vector<GraphNode> nodes;
  std::vector<size_t> order; // of nodes
  std::vector<Reference> outputs;
  std::vector<std::string> outputNames;
  std::vector<GraphTerm> losses, metrics;
  std::map<std::string, JsonPlace, std::less<>> names; // of inputs, params, nodes and blocks in use
  std::deque<Json> expanded;                           // nodes of blocks with their arguments put in
};

inline constexpr size_t kMaxNodes = 20'000; // after blocks are expanded

/// Reads everything but "train" and "data". The graph points into the document.
Result<Graph> readGraph(const JsonDocument &document, Diagnostics &diag);

} // namespace gradc
