// gradc as a library: read a model, differentiate it, compile and run its functions, train it. Errors are values that
// hold the text which the command prints. Needs C++23 and nothing but the standard library's headers.
//
//   find_package(gradc REQUIRED)
//   target_link_libraries(program PRIVATE gradc::gradc)
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradc::api {

/// What went wrong: the exit code that the command would have (docs/command-line.md), and its text, for a file with
/// its line and a caret.
struct Error {
  int code = 1;
  std::string text;
};
template <class T> using Expected = std::expected<T, Error>;

enum class ElementType { F32, F64, BF16, F16, I8, U8, I32, I64, Bool };

/// Elements in row-major order.
struct Tensor {
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;

  /// Of float, double, int32_t or int64_t; as many as the shape says.
  template <class T> static Tensor of(std::vector<int64_t> shape, std::span<const T> values) {
    Tensor tensor{elementType<T>(), std::move(shape), std::vector<std::byte>(values.size_bytes())};
    if (!values.empty())
      std::memcpy(tensor.bytes.data(), values.data(), values.size_bytes());
    return tensor;
  }
  template <class T> std::span<const T> as() const {
    return {reinterpret_cast<const T *>(bytes.data()), bytes.size() / sizeof(T)};
  }

private:
  template <class T> static constexpr ElementType elementType();
};
template <> constexpr ElementType Tensor::elementType<float>() { return ElementType::F32; }
template <> constexpr ElementType Tensor::elementType<double>() { return ElementType::F64; }
template <> constexpr ElementType Tensor::elementType<int32_t>() { return ElementType::I32; }
template <> constexpr ElementType Tensor::elementType<int64_t>() { return ElementType::I64; }

/// An argument or a result of a function, or an input of a model (whose first dimension is -1: the examples).
struct Port {
  std::string name;
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
};

/// Machine code of one function, for this processor. Calls of one object go one after another.
class Function {
public:
  const std::vector<Port> &arguments() const;
  const std::vector<Port> &results() const;
  /// As many tensors as arguments, of their types and shapes.
  Expected<std::vector<Tensor>> run(std::span<const Tensor> arguments) const;

  struct Impl;
  explicit Function(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

private:
  std::shared_ptr<Impl> impl_;
};

struct CompileOptions {
  int threads = 1; // that run it; the results do not depend on it
};

/// Functions in gradc's IR (docs/ir.md). Immutable: what changes one returns another.
class Module {
public:
  /// `name` stands in messages.
  static Expected<Module> parse(std::string_view text, std::string name = "module");
  std::string text() const;
  std::vector<std::string> functions() const;

  /// With @FUNCTION.grad, which has the function's results and then the gradients of its first result with respect to
  /// these arguments; none: to all parameters.
  Expected<Module> differentiate(std::string_view function,
                                 const std::vector<std::string> &withRespectTo = {}) const;
  /// What `gradc opt --passes` does: "expand,cse,dce".
  Expected<Module> transform(std::string_view passes) const;
  Expected<Function> compile(std::string_view function, const CompileOptions &options = {}) const;

  struct Impl;
  explicit Module(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

private:
  std::shared_ptr<const Impl> impl_;
};

/// What the command line says instead of the file.
struct ModelOptions {
  std::vector<std::string> set; // "/train/epochs=3"
  std::optional<int64_t> batchSize;
  std::optional<uint64_t> seed;
  std::string data; // folder of the data; empty: that of the file
  int threads = 0;  // 0: the cores that this process may use
};

struct Step {
  int64_t epoch = 0, epochs = 0; // from 1
  int64_t batch = 0, batches = 0;
  int64_t step = 0; // since the start of training
  double loss = 0, learningRate = 0, examplesPerSecond = 0;
};
using Values = std::vector<std::pair<std::string, double>>; // "train_loss", "val_accuracy", …
struct Epoch {
  int64_t epoch = 0, epochs = 0, step = 0;
  Values values;
  double learningRate = 0, seconds = 0;
  bool isBest = false; // by train.monitor: best.safetensors holds these weights
};

struct TrainOptions {
  std::string out;     // folder of weights, checkpoint, log and report; empty: runs/<name>
  std::string weights; // start from this file; empty: initialise
  bool resume = false; // go on from the checkpoint in `out`, if there is one
  std::optional<int64_t> epochs;
  int64_t limitBatches = 0; // per epoch; 0: all
  /// Called after every step and every epoch, in the calling thread. false stops the training: the checkpoint is
  /// written first, and a later call with `resume` goes on, bit for bit.
  std::function<bool(const Step &)> onStep;
  std::function<bool(const Epoch &)> onEpoch;
};

struct Trained {
  int64_t epochs = 0, steps = 0; // complete ones, those before a resume, too
  bool stopped = false;          // by a callback
  Values last;                   // of the last complete epoch
  Values test;                   // loss and metrics on the test data; empty where it has none or was stopped
};

/// A model with weights that classifies.
class Predictor {
public:
  const std::vector<Port> &inputs() const;
  const std::vector<Port> &outputs() const;
  /// One tensor for each input, with the same number of examples; code for each number is made once.
  Expected<std::vector<Tensor>> run(std::span<const Tensor> inputs) const;

  struct Impl;
  explicit Predictor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

private:
  std::shared_ptr<Impl> impl_;
};

/// A model file (docs/model-file.md).
class Model {
public:
  static Expected<Model> read(const std::string &file, const ModelOptions &options = {});
  /// `name` stands in messages; relative names of data are looked up in options.data.
  static Expected<Model> parse(std::string text, std::string name = "model.json",
                               const ModelOptions &options = {});

  const std::string &name() const;
  /// Nodes, shapes and parameters as a table.
  std::string summary() const;
  /// @infer, @eval and @loss for a batch size; 0: that of training.
  Expected<Module> module(int64_t batch = 0) const;
  /// As `gradc train`, with the same files and bits; prints nothing and leaves signals alone.
  Expected<Trained> train(const TrainOptions &options = {}) const;
  Expected<Predictor> predictor(const std::string &weights) const;

  struct Impl;
  explicit Model(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

private:
  std::shared_ptr<const Impl> impl_;
};

} // namespace gradc::api
