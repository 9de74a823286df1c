// What train, eval and predict work on: a model, its programs, the threads and memory that run them. gradc makes one
// over its compiler, a stand-alone executable over the tables that were compiled into it; the commands are the same.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/programs.h"
#include "runtime/variables.h"
#include "support/model_facts.h"
#include "support/safetensors.h"

namespace gradc {

/// The flags that all of them have.
struct HostFlags {
  std::string data, progress = "auto";
  int64_t threads = 0; // 0: the cores that this process may use
  int64_t limitBatches = 0;
};

class Host {
public:
  virtual ~Host() = default;

  virtual const ModelFacts &facts() const = 0;
  virtual const HostFlags &hostFlags() const = 0;
  virtual ProgramSource &programs() = 0;
  virtual ThreadPool &threads() = 0;
  virtual Device &device() = 0;

  /// The variables that the optimizer adds.
  virtual StatusOr<std::vector<VariableSpec>> slots() = 0;
  /// The model and its training as text, one fact a line. Two runs with equal texts compute the same.
  virtual StatusOr<std::string> identity() = 0;
  /// Nodes, shapes and parameters as a table.
  virtual std::string summary() const = 0;
  /// Processor and extra features that the code is made for, for run.json.
  virtual std::string processor() const = 0;
  virtual std::string processorFeatures() const = 0;
  /// Where relative file names of the model are looked up.
  virtual std::string dataFolder() const = 0;
  /// Weights that come with the model, for commands that were given none.
  virtual StatusOr<SafeTensors> ownWeights() { return failure(ExitCode::Usage, "--weights is required"); }
};

/// Parameters, buffers and, for training, slots.
StatusOr<VariableStore> makeVariables(Host &host, bool train);
/// Parameters and buffers, only to be read: from a file, or the model's own where `path` is empty, which stay where they
/// are. `partial` takes what fits.
StatusOr<VariableStore> loadVariables(Host &host, const std::string &path, bool partial);

/// A pass over this many examples.
struct DataPass {
  ProgramKind kind;
  int64_t examples;
};
/// Refuses the passes that meet a batch for which the host has no program.
Status checkBatches(Host &host, std::initializer_list<DataPass> passes);

/// run.json
std::string runDescription(Host &host, std::string_view identity);
/// Metadata of weights: format, model hash, class names; nothing of time, host, path or threads.
std::map<std::string, std::string> weightsMetadata(const ModelFacts &model, std::string_view identity);
/// The command line of this process with --resume auto, quoted for a shell.
std::string resumeCommand(const std::string &outFolder);

} // namespace gradc
