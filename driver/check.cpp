// gradc check: reads and verifies a model, builds its training step, and prints what it consists of.
#include <algorithm>
#include <memory>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/io.h"
#include "driver/load_model.h"
#include "driver/memory_plan.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "support/check.h"

namespace gradc {
namespace {

struct CheckFlags {
  ModelFlags model;
  bool json = false, ir = false;
};

struct Totals {
  int64_t parameters = 0, trained = 0, parameterBytes = 0, activationBytes = 0;
  double flops = 0;
};

Totals totals(const LoadedModel &model) {
  Totals sum;
  for (const VariableSpec &variable : model.variables) {
    int64_t elements = 1;
    for (int64_t size : variable.shape)
      elements *= size;
    sum.parameters += elements;
    sum.trained += variable.trainable ? elements : 0;
    sum.parameterBytes += elements * 4;
  }
  for (const NodeSummary &node : model.nodes) {
    sum.activationBytes += node.type.elements() * static_cast<int64_t>(dtypeSize(node.type.dtype));
    sum.flops += node.flops;
  }
  return sum;
}

/// 1234567.0 → "1.23 M"
std::string scaled(double number, double unit, const char *suffix = "") {
  const char *prefixes[] = {"", "K", "M", "G", "T", "P"};
  size_t power = 0;
  for (; number >= unit && power + 1 < std::size(prefixes); ++power)
    number /= unit;
  return power == 0 ? fmt::format("{:.0f}{}{}", number, *suffix ? " " : "", suffix)
                    : fmt::format("{:.3g} {}{}", number, prefixes[power], suffix);
}

std::string table(const LoadedModel &model) {
  size_t name = 4, op = 2, shape = 6;
  for (const NodeSummary &node : model.nodes) {
    name = std::max(name, node.name.size());
    op = std::max(op, node.op.size());
    shape = std::max(shape, toString(node.type).size());
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>10}\n", "node", name, "op", op, "result",
                                 shape, "parameters", "FLOPs");
  for (const NodeSummary &node : model.nodes)
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>12}  {:>10}\n", node.name, name, node.op, op,
                        toString(node.type), shape, node.parameters, scaled(node.flops, 1000));
  return text;
}

std::string summary(const LoadedModel &model, const std::optional<MemoryPlan> &memory) {
  Totals sum = totals(model);
  std::string text = fmt::format("{}, batch {}\n\n{}\n", model.name, model.train.batchSize, table(model));
  text += fmt::format("parameters   {} ({}), {} of them trained\n", sum.parameters,
                      scaled(static_cast<double>(sum.parameterBytes), 1024, "B"), sum.trained);
  text += fmt::format("activations  {} for the batch, if all are kept\n",
                      scaled(static_cast<double>(sum.activationBytes), 1024, "B"));
  text += fmt::format("inference    {} for the batch\n", scaled(sum.flops, 1000, "FLOP"));
  if (memory)
    text += fmt::format(
        "training     {} bytes of parameters, {} of optimizer state, {} of intermediate values, {} of "
        "the batch\n",
        memory->parameters, memory->slots, memory->arena, memory->batch);
  if (memory && !memory->packed.empty())
    text += fmt::format("packed       {}, in n16\n", fmt::join(memory->packed, ", "));
  return text;
}

std::string json(const LoadedModel &model, const std::optional<MemoryPlan> &memory) {
  using Json = nlohmann::ordered_json;
  Totals sum = totals(model);
  Json nodes = Json::array();
  for (const NodeSummary &node : model.nodes)
    nodes.push_back({{"name", node.name},
                     {"op", node.op},
                     {"dtype", dtypeName(node.type.dtype)},
                     {"shape", std::vector<int64_t>(node.type.shape.begin(), node.type.shape.end())},
                     {"parameters", node.parameters},
                     {"flops", node.flops}});
  Json object = {{"name", model.name},
                 {"batch", model.train.batchSize},
                 {"parameters", sum.parameters},
                 {"trainable_parameters", sum.trained},
                 {"parameter_bytes", sum.parameterBytes},
                 {"activation_bytes", sum.activationBytes},
                 {"flops", sum.flops},
                 {"nodes", std::move(nodes)}};
  if (memory)
    object["training_memory"] = {{"variable_bytes", memory->variables()},
                                 {"parameter_bytes", memory->parameters},
                                 {"slot_bytes", memory->slots},
                                 {"arena_bytes", memory->arena},
                                 {"scratch_bytes_per_thread", memory->scratch},
                                 {"batch_bytes", memory->batch},
                                 {"packed", memory->packed}};
  return object.dump(2) + "\n";
}

/// What the training step needs, built as a run builds it: what cannot be trained is found here.
std::optional<MemoryPlan> memoryOf(const LoadedModel &model, Diagnostics &diag) {
  if (model.train.hyper.empty() || !model.hasLoss)
    return std::nullopt;
  const StatusOr<CpuTarget> target = parseCpuTarget("native");
  CHECK(target, "{}", target.error().text);
  const Result<MemoryPlan> plan = planTrainingMemory(model, *target, diag);
  return plan ? std::optional(*plan) : std::nullopt;
}

ExitCode runCheck(const CheckFlags &flags) {
  ExitCode exit = ExitCode::Ok;
  std::optional<LoadedModel> model = loadModelFile(flags.model, exit);
  if (!model)
    return exit;
  Diagnostics diag;
  Result<Module> module = model->instantiate(model->train.batchSize, diag);
  if (module && verify(*module, diag) && flags.ir) {
    Status written = writeOutput("-", print(*module));
    return written.ok() ? finish(diag) : fail(written);
  }
  std::optional<MemoryPlan> memory;
  if (module && !diag.hasErrors())
    memory = memoryOf(*model, diag);
  exit = finish(diag);
  if (exit != ExitCode::Ok)
    return exit;
  Status written = writeOutput("-", flags.json ? json(*model, memory) : summary(*model, memory));
  return written.ok() ? exit : fail(written);
}

} // namespace

Command checkCommand() {
  auto flags = std::make_shared<CheckFlags>();
  return {.name = "check",
          .doc = "Parse and verify a model, and print a summary",
          .options = modelOptions(flags->model) +
                     Options{{.name = "--json", .target = &flags->json, .doc = "Print one JSON object"},
                             {.name = "--ir",
                              .target = &flags->ir,
                              .doc = "Print the model's functions as IR, before any pass"}},
          .run = [flags] { return runCheck(*flags); }};
}

} // namespace gradc
