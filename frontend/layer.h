// Layers: what a node's "op" may be beside the primitives of the op table. One row per layer with its keys and
// the function that builds it out of ops; errors, schema and documentation derive from the keys.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "frontend/json.h"
#include "frontend/keys.h"
#include "ir/builder.h"
#include "ir/op.h"

namespace gradc {

class FunctionBuilder;
struct LayerDef;

/// Number of inputs and outputs of each unit of a weight; what initialisers scale by.
struct Fans {
  int64_t in = 0, out = 0;
};

/// Something to build: a node, or a term of the loss or of the metrics. Its keys were checked already.
struct LayerUse {
  std::string name;               // of the node; values and parameters are called after it
  std::string_view what = "node"; // or "loss", "metric"
  const Json *json = nullptr;     // its object, with block arguments put in
  const LayerDef *layer = nullptr;
  const OpDef *op = nullptr;      // of a primitive: layer is null
  const Json *operands = nullptr; // the list "inputs", or null
};

/// What a layer builds with. An empty optional or ValueId means: an error was reported.
class LayerContext {
public:
  LayerContext(FunctionBuilder &parent, Builder &b, const LayerUse &use, std::vector<ValueId> x,
               std::vector<std::string> names)
      : b(b), x(std::move(x)), parent_(parent), use_(use), names_(std::move(names)) {}

  Builder &b;
  std::vector<ValueId> x; // the node's inputs

  const std::string &name() const { return use_.name; }
  const LayerUse &use() const { return use_; }
  Type type(size_t input) const { return b.type(x[input]); }
  /// Whether the function is built for training steps.
  bool training() const;
  /// What "N" stands for.
  int64_t batch() const;

  /// The values of keys; `fallback` where the file has none.
  const Json *find(std::string_view key) const { return use_.json->find(key); }
  int64_t integer(std::string_view key, int64_t fallback) const;
  double number(std::string_view key, double fallback) const;
  /// A number or [h, w].
  std::array<int64_t, 2> pair(std::string_view key, std::array<int64_t, 2> fallback) const;

  /// The parameter <node>.<key>, or the one it is tied to. Nothing after an error. `init` is the initialiser where
  /// the file names none; empty: uniform within 1/sqrt(fan_in).
  std::optional<ValueId> parameter(std::string_view key, const Shape &shape, Fans fans,
                                   std::string_view init = {});
  /// The buffer <node>.<key>, which is saved with the weights. Nothing after an error.
  std::optional<ValueId> buffer(std::string_view key, const Shape &shape, std::string_view init);
  /// What a training step leaves in the buffer.
  void updateBuffer(std::string_view key, ValueId value);
  /// Whether the file wants a bias; `true` by default.
  bool wantsBias() const;
  /// A scheduled number: the hyper-parameter <node>.<key>.
  ValueId hyper(std::string_view key);
  ValueId seed();
  ValueId step();
  ValueId row0();

  /// Builds an op, or reports what its rule says, at the node. Elementwise ops broadcast their operands.
  std::optional<ValueId> op(std::string_view name, std::vector<ValueId> operands, Dict attrs = {});

  /// An error about the node; the place is that of `key`'s value where it is given.
  template <class... Args>
  std::nullopt_t fail(std::string_view key, fmt::format_string<Args...> format, Args &&...args) {
    return report(key, fmt::format(format, std::forward<Args>(args)...));
  }
  /// "'pool1' is f32[64,20,12,12]"
  std::string inputText(size_t input) const;

private:
  std::nullopt_t report(std::string_view key, std::string text);

  FunctionBuilder &parent_;
  const LayerUse &use_;
  std::vector<std::string> names_; // of the inputs, as the file has them
};

struct LayerDef {
  ObjectSpec spec;
  int minInputs = 1, maxInputs = 1;
  bool isLoss = false;   // gives f32[N], one number per example, and may stand as "loss"
  bool isMetric = false; // the same for "metrics"
  std::optional<ValueId> (*build)(LayerContext &) = nullptr;
};

/// All rows, sorted by name.
const std::vector<LayerDef> &layerTable();
const LayerDef *findLayer(std::string_view name);
/// Whether a row of the op table may stand as a node.
bool isNodeOp(const OpDef &def);
/// The node's attributes as the op's; text of the error where they cannot be. `batch` is what "N" stands for.
Dict opAttrs(const OpDef &def, const Json &node, int64_t batch);

// The rows by file.
std::vector<LayerDef> denseLayers();
std::vector<LayerDef> spatialLayers();
std::vector<LayerDef> normLayers();
std::vector<LayerDef> embeddingLayers();
std::vector<LayerDef> dropoutLayers();
std::vector<LayerDef> lossLayers();
std::vector<LayerDef> sourceLayers();

} // namespace gradc
