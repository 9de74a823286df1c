// What the commands that run a model have in common: flags, compiled programs, threads, data.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "codegen/object_cache.h"
#include "driver/compile_flags.h"
#include "driver/identity.h"
#include "driver/load_model.h"
#include "driver/model_programs.h"
#include "runtime/commands/host.h"

namespace gradc {

struct SessionFlags : HostFlags {
  ModelFlags model;
  CompileFlags compile;
  std::string device = "cpu", mcpu = "native";
  bool noCache = false;
};

/// A model's options, --threads, --device, --mcpu, --no-cache and the compilation's. `flags` must outlive the parse.
Options sessionOptions(SessionFlags &flags);

/// A model, its compiler and the threads that run it: the host of commands. Lives at one place: programs refer to it.
class Session final : public Host {
public:
  /// Nothing where that failed, with the message on stderr and the code in `exit`.
  static std::unique_ptr<Session> open(const SessionFlags &flags, ExitCode &exit);
  /// Of a model that was loaded already. Prints nothing.
  static StatusOr<std::unique_ptr<Session>> make(const SessionFlags &flags, LoadedModel model);

  LoadedModel model;
  SessionFlags flags;
  CodeTarget target;
  std::optional<ObjectCache> cache;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Device> runsOn;
  std::unique_ptr<ModelPrograms> compiler;

  /// The batch size that was asked for.
  int64_t batchSize() const { return model.train.batchSize; }

  const ModelFacts &facts() const override { return facts_; }
  const HostFlags &hostFlags() const override { return flags; }
  ProgramSource &programs() override { return *compiler; }
  ThreadPool &threads() override { return *pool; }
  Device &device() override { return *runsOn; }
  StatusOr<std::vector<VariableSpec>> slots() override { return compiler->slots(batchSize()); }
  StatusOr<std::string> identity() override { return modelIdentity(model, flags.compile.precision); }
  std::string summary() const override { return modelSummary(model); }
  std::string processor() const override;
  std::string processorFeatures() const override;
  /// --data, else the model file's folder.
  std::string dataFolder() const override;

private:
  Status chooseDevice();
  Session(LoadedModel loaded, const SessionFlags &given)
      : model(std::move(loaded)), flags(given), facts_(factsOf(model)) {}

  ModelFacts facts_;
};

} // namespace gradc
