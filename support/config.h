// What a model file says about training and data, as plain values: the frontend fills them, the runtime obeys
// them, a stand-alone executable carries them. Names and defaults are those of docs/model-file.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace gradc {

/// A number that is constant or follows a schedule over epochs or steps.
struct Schedule {
  enum class Kind : uint8_t {
    Constant,
    Step,
    Milestones,
    Exponential,
    Cosine,
    Polynomial,
    OneCycle,
    Plateau
  };
  enum class Unit : uint8_t { Epoch, Step };
  Kind kind = Kind::Constant;
  Unit unit = Unit::Epoch;
  int64_t every = 1;                // step
  std::vector<int64_t> at;          // milestones
  double factor = 0.1;              // step, milestones, exponential, plateau
  int64_t length = 0;               // cosine, polynomial, one_cycle, in units
  double power = 1;                 // polynomial
  double min = 0;                   // cosine, polynomial, plateau
  double max = 0;                   // one_cycle
  std::string monitor = "val_loss"; // plateau
  int64_t patience = 10;            // plateau: more than this many bad epochs in a row
  double minDelta = 1e-4;           // plateau: relative improvement that counts
  int64_t cooldown = 0;             // plateau
  int64_t warmupLength = 0;         // in units; 0: none
  double warmupFrom = 0;            // factor of the base value at the start of the warm-up
};

/// A scheduled hyper-parameter: an argument {hyper} of the compiled functions.
struct HyperParameter {
  std::string name; // "learning_rate", "momentum", "drop.rate"
  double base = 0;
  Schedule schedule;
};

struct InitSpec {
  enum class Kind : uint8_t {
    Zeros,
    Ones,
    Constant,
    Normal,
    Uniform,
    GlorotUniform,
    GlorotNormal,
    HeUniform,
    HeNormal,
    LecunNormal,
    Orthogonal,
    SparseNormal,
    Values,
    Npy,
    FanInUniform, // FanInUniform: U(±1/√fan_in), PyTorch's default
  };
  Kind kind = Kind::FanInUniform;
  double a = 0; // constant: value; normal: mean; uniform: low; sparse_normal: density
  double b = 0; // normal: std; uniform: high; sparse_normal: std
  int64_t fanIn = 0,
          fanOut = 0; // where they are not those of the tensor's own shape (a bias has its weight's)
  std::vector<double> values;
  std::string file;
};

struct VariableSpec {
  enum class Kind : uint8_t { Param, Buffer, Slot };
  Kind kind = Kind::Param;
  std::string name;
  std::vector<int64_t> shape; // f32
  InitSpec init;
  bool trainable = true;
};

struct StopRule {
  bool enabled = false;
  std::string monitor = "val_loss";
  int64_t patience = 10;
  double minDelta = 0;
};

struct TrainConfig {
  int64_t batchSize = 64;
  int64_t epochs = 10;
  uint64_t seed = 0;
  bool shuffle = true;
  std::string monitor = "val_loss"; // what best.safetensors goes by
  StopRule stop;
  std::vector<HyperParameter> hyper; // learning_rate first
  std::vector<std::string> metrics;  // names in the order of the functions' results
};

/// Where examples come from.
struct DataSource {
  enum class Kind : uint8_t { None, Idx, Npy, Npz, Csv, Cifar10, Images, Synthetic };
  Kind kind = Kind::None;
  std::map<std::string, std::string> files;               // "images" → path, "labels" → path, "file" → path
  std::map<std::string, std::vector<std::string>> fields; // csv: field → columns
  int64_t examples = 0;                                   // synthetic
  std::vector<int64_t> size;                              // images: [h, w]
};

struct InputSpec {
  std::string name;
  std::vector<int64_t> shape; // without the batch dimension
  std::string dtype;          // "f32", "i32"
  std::string field;          // which field of the data feeds it
  int64_t classes = 0;        // for labels: values must be in 0 .. classes-1; 0: no check
};

struct DataConfig {
  DataSource train, validation, test;
  double validationSplit = 0; // the last ⌊split · n⌋ training examples; 0: none
  std::vector<InputSpec> inputs;
  std::vector<std::string> classNames;
};

} // namespace gradc
