// The model that was compiled into this executable, as the commands take it.
#pragma once

#include <memory>
#include <string>

#include "runtime/commands/host.h"
#include "runtime/image.h"
#include "runtime/model_image.h"

namespace gradc {

/// The tables as a source of programs.
class TablePrograms final : public ProgramSource {
public:
  explicit TablePrograms(const gradc_version &version) : version_(&version) {}
  /// Takes them from another version. All have the same.
  void use(const gradc_version &version) { version_ = &version; }
  StatusOr<const gradc_program *> get(ProgramKind kind, int64_t batch) override;
  /// Says all that is missing, with the flags that add it.
  Status check(std::span<const InstanceKey> needed) const override;
  bool has(ProgramKind kind) const;

private:
  const gradc_program *find(const InstanceKey &key) const;
  std::vector<int64_t> batches(ProgramKind kind) const;
  std::vector<int64_t> missingBatches(ProgramKind kind, std::span<const InstanceKey> needed) const;

  const gradc_version *version_;
};

/// The best version for this processor. Device (6) where it lacks what all of them need.
StatusOr<const gradc_version *> processorVersion(const gradc_image &image);

class Executable final : public Host {
public:
  /// Device (6) where there is only code for processors, and this one lacks what it needs.
  static StatusOr<std::unique_ptr<Executable>> open(const gradc_image &image);

  HostFlags flags;
  std::optional<uint64_t> seed; // --seed, instead of the model's

  /// Of executables that are not for processors alone.
  bool choosesDevice() const { return image_.backend != nullptr; }
  std::string deviceName = "cuda"; // --device

  /// Starts the threads and the device; flags are final from here on.
  Status start();

  /// "sapphirerapids", "sm_80, sm_90 and later, sapphirerapids"
  std::string targets() const;

  const ModelFacts &facts() const override { return model_.facts; }
  const HostFlags &hostFlags() const override { return flags; }
  TablePrograms &programs() override { return programs_; }
  ThreadPool &threads() override { return *pool_; }
  Device &device() override { return *device_; }
  StatusOr<std::vector<VariableSpec>> slots() override { return model_.slots; }
  StatusOr<std::string> identity() override { return model_.identity; }
  std::string summary() const override { return model_.summary; }
  std::string processor() const override { return version_->processor; }
  std::string processorFeatures() const override { return ""; }
  std::string dataFolder() const override { return flags.data; }
  /// Those embedded, else those beside the executable.
  StatusOr<SafeTensors> ownWeights() override;
  bool hasOwnWeights() const { return image_.weights || !model_.weightsFile.empty(); }

private:
  Executable(const gradc_image &image, const gradc_version &version, ModelImage model)
      : image_(image), version_(&version), model_(std::move(model)), programs_(version) {}

  const gradc_image &image_;
  const gradc_version *version_;
  ModelImage model_;
  TablePrograms programs_;
  std::unique_ptr<ThreadPool> pool_;
  std::unique_ptr<Device> device_;
};

} // namespace gradc
