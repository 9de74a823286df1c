#include "driver/compile_artifact.h"

#include <cstring>
#include <filesystem>
#include <optional>
#include <sys/stat.h>

#include <fmt/format.h>

#include "codegen/cpu/cross_target.h"
#include "codegen/cuda/nvrtc.h"
#include "driver/aot_executable.h"
#include "driver/aot_object.h"
#include "driver/aot_report.h"
#include "driver/identity.h"
#include "driver/model_programs.h"
#include "runtime/commands/host.h"
#include "runtime/commands/model_data.h"
#include "runtime/thread_pool.h"
#include "support/files.h"
#include "support/say.h"

namespace gradc {
namespace {

struct ExampleCounts {
  std::vector<int64_t> train, eval;
};

/// Sizes of the data sets, which decide the sizes of last batches. Nothing where the data is not here.
StatusOr<std::optional<ExampleCounts>> countExamples(const LoadedModel &model, const ModelFlags &modelFlags,
                                                     const ArtifactFlags &flags) {
  const std::string folder =
      flags.data.empty() ? std::filesystem::path(modelFlags.file).parent_path().string() : flags.data;
  StatusOr<ModelData> data =
      loadModelData(factsOf(model), folder, {.train = true, .validation = true, .test = true});
  if (!data && flags.data.empty())
    return std::nullopt;
  if (!data)
    return std::unexpected(data.error());
  return ExampleCounts{{data->trainView().count}, {data->validationView().count, data->testView().count}};
}

/// Without its data, an executable gets these last batches: they serve data sets of round sizes.
ExampleCounts likelyCounts(int64_t batch) {
  ExampleCounts counts;
  for (int64_t rest = 16; rest < batch; rest += 16)
    counts.train.push_back(batch + rest);
  counts.eval = counts.train;
  return counts;
}

StatusOr<std::vector<InstanceKey>> chooseForExecutable(const LoadedModel &model, const ModelFlags &modelFlags,
                                                       const ArtifactFlags &flags,
                                                       std::span<const int64_t> batches) {
  const bool train = flags.entry == "train", eval = train || flags.entry == "eval";
  if (!eval)
    return executableInstances(false, false, batches, {}, {});
  StatusOr<std::optional<ExampleCounts>> counts = countExamples(model, modelFlags, flags);
  if (!counts)
    return std::unexpected(counts.error());
  if (!*counts && flags.batches.size() < 2) {
    say(stderr,
        "gradc: note: the model's data is not here, so the sizes of last batches are guessed; --data DIR or "
        "--batch {},… says them\n",
        batches[0]);
    *counts = likelyCounts(batches[0]);
  }
  const ExampleCounts known = counts->value_or(ExampleCounts{});
  return executableInstances(train, eval, batches, known.train, known.eval);
}

StatusOr<std::vector<InstanceKey>> chooseInstances(const LoadedModel &model, const ModelFlags &modelFlags,
                                                   const ArtifactFlags &flags) {
  if (flags.entry != "infer" && !model.hasLoss)
    return failure(ExitCode::InvalidInput, fmt::format("model '{}' has no loss to train", model.name));
  const std::vector<int64_t> wanted =
      flags.batches.empty() ? std::vector{model.train.batchSize} : flags.batches;
  if (flags.emit == "exe")
    return chooseForExecutable(model, modelFlags, flags, wanted);
  std::vector<InstanceKey> keys;
  for (int64_t batch : flags.batches.empty() ? std::vector<int64_t>{1} : flags.batches)
    keys.push_back({ProgramKind::Infer, batch});
  for (int64_t batch : wanted)
    if (flags.entry == "train")
      keys.push_back({ProgramKind::TrainStep, batch});
  return keys;
}

/// CUDA's first, then the processors'. An executable for devices leaves processors out that have not the precision.
StatusOr<std::vector<CodeTarget>> chooseTargets(const CompileFlags &compile, const ArtifactFlags &flags) {
  std::vector<CodeTarget> targets;
  for (const CudaTarget &target : flags.cuda) {
    StatusOr<const Nvrtc *> nvrtc = Nvrtc::load();
    if (!nvrtc)
      return std::unexpected(nvrtc.error());
    Status can = (*nvrtc)->check(target.architecture);
    if (can.ok())
      can = checkPrecision(compile.precision, target);
    if (!can.ok())
      return std::unexpected(can);
    targets.emplace_back(target);
  }
  for (const std::string &processor : flags.processors) {
    StatusOr<CpuTarget> target =
        flags.triple.empty() ? parseCpuTarget(processor) : parseTarget(flags.triple, processor);
    if (!target)
      return std::unexpected(target.error());
    const Status can = checkPrecision(compile.precision, *target);
    if (!can.ok() && flags.cuda.empty())
      return std::unexpected(can);
    if (can.ok())
      targets.emplace_back(*target);
    else
      say(stderr, "gradc: note: {}: the executable is for CUDA devices only\n", can.text);
  }
  return targets;
}

StatusOr<std::vector<CompiledVersion>> compileVersions(const LoadedModel &model,
                                                       std::span<const InstanceKey> keys,
                                                       const CompileFlags &compile,
                                                       const ArtifactFlags &flags) {
  StatusOr<std::vector<CodeTarget>> targets = chooseTargets(compile, flags);
  if (!targets)
    return std::unexpected(targets.error());
  std::optional<ObjectCache> cache;
  if (!flags.noCache)
    cache = ObjectCache::open(defaultCacheFolder());
  std::vector<CompiledVersion> versions;
  for (const CodeTarget &target : *targets) {
    StatusOr<CompiledVersion> version =
        compileVersion(model, keys, versions.empty() ? compile : withoutPrinting(compile),
                       {.target = target,
                        .threads = availableCores(),
                        .cache = cache ? &*cache : nullptr,
                        .debug = flags.debug,
                        .withPtx = versions.size() + 1 == flags.cuda.size()}); // of the latest architecture
    if (!version)
      return std::unexpected(version.error());
    versions.push_back(std::move(*version));
  }
  return versions;
}

/// What both kinds of files are made of.
struct Compiled {
  std::vector<CompiledVersion> versions;
  std::string identity, weights;
};

StatusOr<Compiled> compileModel(const LoadedModel &model, const ModelFlags &modelFlags,
                                const CompileFlags &compile, const ArtifactFlags &flags) {
  StatusOr<std::vector<InstanceKey>> keys = chooseInstances(model, modelFlags, flags);
  if (!keys)
    return std::unexpected(keys.error());
  CompileFlags ofEach = compile;
  ofEach.pack = flags.emit == "exe"; // an object's user has the variables, row-major
  StatusOr<std::vector<CompiledVersion>> versions = compileVersions(model, *keys, ofEach, flags);
  if (!versions)
    return std::unexpected(versions.error());
  StatusOr<std::string> identity = modelIdentity(model, compile.precision);
  if (!identity)
    return std::unexpected(identity.error());
  StatusOr<std::string> weights = flags.weights.empty() ? StatusOr<std::string>("") : readFile(flags.weights);
  if (!weights)
    return std::unexpected(weights.error());
  return Compiled{std::move(*versions), std::move(*identity), std::move(*weights)};
}

/// `beside`: the file of weights that the executable looks for in its folder; empty: they are embedded, or none.
StatusOr<std::string> makeExecutable(const LoadedModel &model, Compiled compiled, const ArtifactFlags &flags,
                                     const std::string &beside) {
  return linkExecutable({.image = {.facts = factsOf(model),
                                   .slots = compiled.versions.front().slots,
                                   .identity = std::move(compiled.identity),
                                   .summary = modelSummary(model),
                                   .weightsFile = beside},
                         .versions = std::move(compiled.versions),
                         .weights = beside.empty() ? std::move(compiled.weights) : "",
                         .isStatic = flags.isStatic,
                         .debug = flags.debug});
}

StatusOr<std::string> makeObject(const LoadedModel &model, const ModelFlags &modelFlags, Compiled compiled,
                                 const ArtifactFlags &flags) {
  const ObjectParts parts{.facts = factsOf(model),
                          .modelFile = std::filesystem::path(modelFlags.file).filename().string(),
                          .identity = compiled.identity,
                          .dataFolder = flags.data.empty()
                                            ? std::filesystem::path(modelFlags.file).parent_path().string()
                                            : flags.data,
                          .metadata = weightsMetadata(factsOf(model), compiled.identity),
                          .versions = std::move(compiled.versions),
                          .weights = std::move(compiled.weights),
                          .train = flags.entry == "train",
                          .isShared = flags.emit == "shared",
                          .compiler = {flags.triple.empty() ? "cc" : flags.triple + "-gcc"}};
  return flags.emit == "header" ? objectHeader(parts) : linkObject(parts);
}

} // namespace

Options artifactOptions(ArtifactFlags &flags) {
  const std::string group = "Executables and objects";
  return {{.name = "--data",
           .target = &flags.data,
           .type = "DIR",
           .doc = "Folder of the data: its sizes decide those of last batches",
           .group = group},
          {.name = "--weights",
           .target = &flags.weights,
           .type = "FILE",
           .doc = "Weights that the result brings along",
           .group = group},
          {.name = "--embed-weights",
           .target = &flags.embedWeights,
           .doc = "Put --weights into the file instead of beside it",
           .group = group},
          {.name = "--target",
           .target = &flags.triple,
           .type = "TRIPLE",
           .doc = "Another machine: aarch64-linux-gnu; its gcc merges the object",
           .group = group},
          {.name = "--multi-versioned",
           .target = &flags.multiVersioned,
           .doc = "Code for x86-64-v2, v3 and v4 in one file; the best is chosen where it runs",
           .group = group},
          {.name = "--report",
           .target = &flags.report,
           .doc = "Print the sizes of code, weights and memory, step by step; CUDA: what each kernel takes",
           .group = group},
          {.name = "--static", .target = &flags.isStatic, .doc = "Link no shared library", .group = group},
          {.name = "-g",
           .target = &flags.debug,
           .doc = "Debug information: the lines of the model file that code comes from",
           .group = group},
          {.name = "--no-cache",
           .target = &flags.noCache,
           .doc = "Compile everything, keep nothing",
           .group = group}};
}

ExitCode compileArtifact(const ModelFlags &modelFlags, const CompileFlags &compile,
                         const ArtifactFlags &flags, const std::string &output) {
  ExitCode exit = ExitCode::Ok;
  std::optional<LoadedModel> model = loadModelFile(modelFlags, exit);
  if (!model)
    return exit;
  StatusOr<Compiled> compiled = compileModel(*model, modelFlags, compile, flags);
  if (!compiled)
    return fail(compiled.error());
  if (flags.report) {
    const StatusOr<std::string> report = sizeReport(compiled->versions);
    if (!report)
      return fail(report.error());
    say("{}", *report);
  }
  const bool isExecutable = flags.emit == "exe", isBeside = !compiled->weights.empty() && !flags.embedWeights;
  const std::string beside = isBeside ? output + ".safetensors" : "";
  if (isBeside && !isExecutable)
    return fail({ExitCode::Usage, "an object has no file beside it: --weights needs --embed-weights"});
  if (isBeside)
    if (Status written = writeFileAtomically(beside, compiled->weights); !written.ok())
      return fail(written);
  StatusOr<std::string> bytes = isExecutable ? makeExecutable(*model, std::move(*compiled), flags,
                                                              std::filesystem::path(beside).filename())
                                             : makeObject(*model, modelFlags, std::move(*compiled), flags);
  if (!bytes)
    return fail(bytes.error());
  if (Status written = writeFileAtomically(output, *bytes); !written.ok())
    return fail(written);
  if (isExecutable && chmod(output.c_str(), 0755) != 0)
    return fail(ioError(fmt::format("cannot make '{}' executable: {}", output, std::strerror(errno))));
  return ExitCode::Ok;
}

} // namespace gradc
