#include "standalone/executable.h"

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

} // namespace

bool TablePrograms::has(ProgramKind kind) const {
  for (int64_t i = 0; i < version_.num_instances; ++i)
    if (version_.instances[i].kind == static_cast<int32_t>(kind))
      return true;
  return false;
}

StatusOr<const gradc_program *> TablePrograms::get(ProgramKind kind, int64_t batch) {
  std::vector<int64_t> batches;
  for (int64_t i = 0; i < version_.num_instances; ++i) {
    const gradc_instance &instance = version_.instances[i];
    if (instance.kind != static_cast<int32_t>(kind))
      continue;
    if (instance.batch == batch)
      return instance.program;
    batches.push_back(instance.batch);
  }
  return failure(
      ExitCode::InvalidInput,
      fmt::format("this executable has {} for batches of {}, but a batch of {} is needed; compile it "
                  "with --data DIR of this data, or with --batch {},{}",
                  commandOf(kind), batches.empty() ? "none" : fmt::format("{}", fmt::join(batches, ", ")),
                  batch, fmt::join(batches, ","), batch));
}

StatusOr<std::unique_ptr<Executable>> Executable::open(const gradc_image &image) {
  const uint64_t present = gradc_cpu_features();
  for (int64_t i = 0; i < image.num_versions; ++i) {
    const gradc_version &version = image.versions[i];
    if ((version.features & ~present) != 0)
      continue;
    StatusOr<ModelImage> model = parseModelImage(image.facts);
    if (!model)
      return std::unexpected(model.error());
    return std::unique_ptr<Executable>(new Executable(image, version, std::move(*model)));
  }
  const gradc_version &least = image.versions[image.num_versions - 1];
  return failure(ExitCode::Device,
                 fmt::format("this executable was compiled for {}, and this processor lacks {}; "
                             "compile it with another --mcpu, or with --multi-versioned",
                             least.processor, featureNames(least.features & ~present)));
}

void Executable::start() {
  if (seed)
    model_.facts.train.seed = *seed;
  pool_ = std::make_unique<ThreadPool>(static_cast<int>(flags.threads));
}

StatusOr<SafeTensors> Executable::ownWeights() {
  if (image_.weights)
    return SafeTensors::parse(
        std::string(static_cast<const char *>(image_.weights), static_cast<size_t>(image_.weight_bytes)),
        "the embedded weights");
  if (model_.weightsFile.empty())
    return Host::ownWeights();
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return SafeTensors::read((self.parent_path() / model_.weightsFile).string());
}

} // namespace gradc
