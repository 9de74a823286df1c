#include "standalone/executable.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/packed.h"
#include "standalone/backend.h"
#include "support/cpu_features.h"

namespace gradc {
namespace {

constexpr std::string_view kFeatureNames[] = {
#define GRADC_NAME(bit, name, leaf, subleaf, reg, position, state) name,
    GRADC_X86_FEATURES(GRADC_NAME)
#undef GRADC_NAME
};

std::string featureNames(uint64_t features) {
  std::vector<std::string_view> names;
  for (size_t bit = 0; bit < std::size(kFeatureNames); ++bit)
    if (features >> bit & 1)
      names.push_back(kFeatureNames[bit]);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string_view commandOf(ProgramKind kind) {
  switch (kind) {
  case ProgramKind::TrainStep: return "training steps";
  case ProgramKind::Eval: return "evaluation";
  case ProgramKind::Infer: return "inference";
  }
  return "";
}

std::string listed(const std::vector<int64_t> &sizes) {
  return sizes.empty() ? "none" : fmt::format("{}", fmt::join(sizes, ", "));
}

/// Appends what is not there yet.
void addEach(std::vector<int64_t> &sizes, const std::vector<int64_t> &more) {
  for (int64_t size : more)
    if (std::ranges::find(sizes, size) == sizes.end())
      sizes.push_back(size);
}

} // namespace

std::vector<int64_t> TablePrograms::batches(ProgramKind kind) const {
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < version_->num_instances; ++i)
    if (version_->instances[i].kind == static_cast<int32_t>(kind))
      sizes.push_back(version_->instances[i].batch);
  return sizes;
}

bool TablePrograms::has(ProgramKind kind) const { return !batches(kind).empty(); }

const gradc_program *TablePrograms::find(const InstanceKey &key) const {
  for (int64_t i = 0; i < version_->num_instances; ++i)
    if (const gradc_instance &instance = version_->instances[i];
        instance.kind == static_cast<int32_t>(key.kind) && instance.batch == key.batch)
      return instance.program;
  return nullptr;
}

std::vector<int64_t> TablePrograms::missingBatches(ProgramKind kind,
                                                   std::span<const InstanceKey> needed) const {
  std::vector<int64_t> sizes;
  for (const InstanceKey &key : needed)
    if (key.kind == kind && !find(key))
      addEach(sizes, {key.batch});
  return sizes;
}

StatusOr<const gradc_program *> TablePrograms::get(ProgramKind kind, int64_t batch) {
  const InstanceKey key{kind, batch};
  if (const gradc_program *program = find(key))
    return program;
  return std::unexpected(check({&key, 1}));
}

Status TablePrograms::check(std::span<const InstanceKey> needed) const {
  std::vector<std::string> gaps;
  std::vector<int64_t>
      sizes; // what --batch should have said: first those that are there, the training's in front
  for (ProgramKind kind : {ProgramKind::TrainStep, ProgramKind::Eval, ProgramKind::Infer}) {
    const std::vector<int64_t> missing = missingBatches(kind, needed), present = batches(kind);
    if (missing.empty())
      continue;
    gaps.push_back(
        fmt::format("{} for batches of {}, but needs {}", commandOf(kind), listed(present), listed(missing)));
    addEach(sizes, present);
    addEach(sizes, missing);
  }
  if (gaps.empty())
    return okStatus();
  return {ExitCode::InvalidInput,
          fmt::format("this executable has {}; compile it with --data DIR of this data, or with --batch {}",
                      fmt::join(gaps, "; "), fmt::join(sizes, ","))};
}

StatusOr<const gradc_version *> processorVersion(const gradc_image &image) {
  const uint64_t present = gradc_cpu_features();
  for (int64_t i = 0; i < image.num_versions; ++i)
    if (const gradc_version &version = image.versions[i];
        version.architecture == 0 && (version.features & ~present) == 0)
      return &version;
  const gradc_version &least = image.versions[image.num_versions - 1];
  return failure(ExitCode::Device,
                 fmt::format("this executable was compiled for {}, and this processor lacks {}; "
                             "compile it with another --mcpu, or with --multi-versioned",
                             least.processor, featureNames(least.features & ~present)));
}

StatusOr<std::unique_ptr<Executable>> Executable::open(const gradc_image &image) {
  StatusOr<const gradc_version *> version = image.backend ? image.versions : processorVersion(image);
  if (!version)
    return std::unexpected(version.error());
  const std::string_view facts(image.facts, static_cast<size_t>(image.fact_bytes));
  StatusOr<ModelImage> model = parseModelImage(unpack(facts, static_cast<size_t>(image.fact_text_bytes)));
  if (!model)
    return std::unexpected(model.error());
  return std::unique_ptr<Executable>(new Executable(image, **version, std::move(*model)));
}

Status Executable::start() {
  if (seed)
    model_.facts.train.seed = *seed;
  pool_ = std::make_unique<ThreadPool>(static_cast<int>(flags.threads));
  if (!image_.backend) {
    device_ = std::make_unique<CpuDevice>(*pool_);
    return okStatus();
  }
  StatusOr<Placement> placement = image_.backend->place(image_, deviceName, *pool_);
  if (!placement)
    return placement.error();
  version_ = placement->version;
  programs_.use(*version_);
  device_ = std::move(placement->device);
  return okStatus();
}

std::string Executable::targets() const {
  return image_.backend ? image_.backend->targets(image_) : processor();
}

StatusOr<SafeTensors> Executable::ownWeights() {
  if (image_.weights)
    return SafeTensors::view(
        {static_cast<const char *>(image_.weights), static_cast<size_t>(image_.weight_bytes)},
        "the embedded weights");
  if (model_.weightsFile.empty())
    return Host::ownWeights();
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return SafeTensors::map((self.parent_path() / model_.weightsFile).string());
}

} // namespace gradc
