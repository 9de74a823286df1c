// What the commands that run a model on the CPU have in common: flags, compiled programs, threads, data.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "codegen/object_cache.h"
#include "driver/compile_flags.h"
#include "driver/load_model.h"
#include "driver/model_programs.h"
#include "runtime/data/dataset.h"
#include "runtime/programs.h"
#include "runtime/variables.h"

namespace gradc {

struct SessionFlags {
  ModelFlags model;
  CompileFlags compile;
  std::string data, device = "cpu", mcpu = "native", progress = "auto";
  int threads = 0; // 0: the cores that this process may use
  int64_t limitBatches = 0;
  bool noCache = false;
};

/// Declares --threads, --device, --mcpu, --no-cache and the compilation flags.
void addSessionFlags(CLI::App &command, SessionFlags &flags);
/// Declares --data, --limit-batches and --progress.
void addDataFlags(CLI::App &command, SessionFlags &flags);

/// A model, its compiler and the threads that run it. Lives at one place: programs refer to it.
class Session {
public:
  /// Nothing where that failed, with the message on stderr and the code in `exit`.
  static std::unique_ptr<Session> open(const SessionFlags &flags, ExitCode &exit);

  LoadedModel model;
  SessionFlags flags;
  CpuTarget target;
  std::optional<ObjectCache> cache;
  std::unique_ptr<ThreadPool> pool;
  Workspace workspace;
  std::unique_ptr<ModelPrograms> programs;

  /// Where relative file names of the model are looked up: --data, else the model file's folder.
  std::string dataFolder() const;
  /// Parameters, buffers and, for training, slots.
  StatusOr<VariableStore> makeVariables(bool train);
  /// The batch size that was asked for.
  int64_t batchSize() const { return model.train.batchSize; }

private:
  Session(LoadedModel loaded, const SessionFlags &given) : model(std::move(loaded)), flags(given) {}
};

/// Parameters and buffers from a file. `partial` takes what fits.
Status loadWeightsFile(VariableStore &variables, const std::string &path, bool partial);

/// The data that a command needs. Views refer into this object.
struct ModelData {
  std::optional<Dataset> train, validation, test;

  DatasetView trainView() const;
  DatasetView validationView() const;
  DatasetView testView() const;

  double validationSplit = 0;
};

struct DataNeeds {
  bool train = false, validation = false, test = false;
};
StatusOr<ModelData> loadModelData(const LoadedModel &model, const std::string &folder, DataNeeds needs);

/// Seconds of "90", "30s", "10m", "2h", "1d".
std::optional<double> parseSeconds(std::string_view text);

} // namespace gradc
