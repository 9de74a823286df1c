#include "runtime/commands/commands.h"

namespace gradc {
namespace {

OptionRow weights(std::string &into, const char *doc, bool required) {
  return {.name = "--weights", .target = &into, .type = "FILE", .doc = doc, .required = required};
}

const char *weightsDoc(bool own) {
  return own ? "A safetensors file (default: the model's own)" : "A safetensors file";
}

} // namespace

OptionTable threadOptions(HostFlags &flags) {
  return {{.name = "--threads",
           .target = &flags.threads,
           .type = "N",
           .doc = "Threads (default: the cores that this process may use)",
           .least = 1,
           .most = 1024,
           .environment = "GRADC_THREADS"}};
}

OptionTable deviceOptions(std::string &device) {
  return {{.name = "--device",
           .target = &device,
           .type = "DEVICE",
           .doc = "cpu or cuda[:i] (default: " + device + ")"}};
}

OptionTable dataOptions(HostFlags &flags) {
  return {{.name = "--data",
           .target = &flags.data,
           .type = "DIR",
           .doc = "Folder of the data's files (default: the model file's)"},
          {.name = "--limit-batches",
           .target = &flags.limitBatches,
           .type = "N",
           .doc = "Only the first N batches of each pass over data",
           .least = 1,
           .most = int64_t{1} << 40},
          {.name = "--progress",
           .target = &flags.progress,
           .doc = "auto, bar, plain, json or none",
           .choices = {"auto", "bar", "plain", "json", "none"}}};
}

OptionTable trainOptions(TrainFlags &flags) {
  return {
      {.name = "--out",
       .target = &flags.out,
       .type = "DIR",
       .doc = "Folder of the run (default: runs/<model's name>)"},
      {.name = "--epochs",
       .target = &flags.epochs,
       .type = "N",
       .doc = "Epochs (default: the model's train.epochs)",
       .most = int64_t{1} << 40},
      {.name = "--resume",
       .target = &flags.resume,
       .type = "auto|FILE",
       .doc = "Go on from the run in --out (auto), or from a checkpoint"},
      weights(flags.weights, "Start from these weights", false),
      {.name = "--weights-partial", .target = &flags.weightsPartial, .doc = "Take what fits of --weights"},
      {.name = "--max-time",
       .target = &flags.maxTime,
       .type = "TIME",
       .doc = "Stop after this time with a checkpoint: 90s, 10m, 2h"},
      {.name = "--check-finite",
       .target = &flags.checkFinite,
       .doc = "Check every variable after every step"},
      {.name = "--profile",
       .target = &flags.profile,
       .type = "FILE",
       .doc = "Write the times of the training step's kernels as CSV"}};
}

OptionTable evalOptions(EvalFlags &flags, bool ownWeights) {
  return {weights(flags.weights, weightsDoc(ownWeights), !ownWeights),
          {.name = "--weights-partial",
           .target = &flags.weightsPartial,
           .doc = "Take what fits of --weights; the rest is zero"},
          {.name = "--split",
           .target = &flags.split,
           .doc = "train, validation or test",
           .choices = {"train", "validation", "test"}},
          {.name = "--json", .target = &flags.json, .doc = "Print one JSON object"}};
}

OptionTable predictOptions(PredictFlags &flags, bool ownWeights) {
  return {{.name = "files",
           .target = &flags.files,
           .type = "NPY",
           .doc = ".npy files: one example, or several along the first dimension",
           .required = true},
          weights(flags.weights, weightsDoc(ownWeights), !ownWeights),
          {.name = "--top",
           .target = &flags.top,
           .type = "K",
           .doc = "How many classes an example",
           .least = 1,
           .most = 1000},
          {.name = "--json", .target = &flags.json, .doc = "Print a JSON object per example"}};
}

} // namespace gradc
