// gradc explain: what the compiler decided about a function and why: fusion, loops, memory.
#include <algorithm>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/cuda_report.h"
#include "driver/io.h"
#include "driver/load_module.h"
#include "driver/plan_function.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "support/say.h"

namespace gradc {
namespace {

struct ExplainFlags : CodeFlags {
  ModelFlags model;
  std::string entry, arch, node;
  bool fusion = false, memory = false, schedule = false;
  CompileFlags compile;
};

// ---- fusion

/// "%conv1 -> %relu: fused" belongs to node conv1 and to node relu; names that passes made of a node's belong to it.
bool isAbout(std::string_view edge, std::string_view node) {
  for (size_t at = edge.find('%'); at != std::string_view::npos; at = edge.find('%', at + 1)) {
    std::string_view name = edge.substr(at + 1);
    if (!name.starts_with(node))
      continue;
    const char next = name.size() > node.size() ? name[node.size()] : ' ';
    if (next == ' ' || next == ':' || next == '~' || next == '.')
      return true;
  }
  return false;
}

/// The remarks of fuse, as it made them: one for each producer and consumer, and for siblings.
std::vector<std::string> fusionEdges(const Diagnostics &diag, std::string_view function) {
  const std::string prefix = fmt::format("@{}: ", function);
  std::vector<std::string> edges;
  for (const Diagnostic &diagnostic : diag.all())
    if (diagnostic.severity == Severity::Remark && diagnostic.message.starts_with(prefix))
      edges.push_back(diagnostic.message.substr(prefix.size()));
  return edges;
}

std::string explainFusion(const Function &fn, const Diagnostics &diag, std::string_view node) {
  std::vector<std::string> edges = fusionEdges(diag, fn.name);
  const auto fused =
      std::ranges::count_if(edges, [](std::string_view edge) { return edge.ends_with(": fused"); });
  const auto all = std::ranges::count_if(edges, [](std::string_view edge) { return edge.contains(" -> "); });
  std::string text =
      fmt::format("fusion of @{}: {} kernels; of {} edges from a producer to a consumer {} are fused\n",
                  fn.name, fn.body().ops.size(), all, fused);
  for (const std::string &edge : edges)
    if (node.empty() || isAbout(edge, node))
      text += fmt::format("  {}\n", edge);
  return text;
}

/// The op that makes a kernel's work: its contraction, else its reduction, or kNoOp.
OpId mainOp(const Function &fn, OpId kernel) {
  for (uint32_t trait : {uint32_t{kContraction}, uint32_t{kReduction}})
    for (OpId op : fn[fn[kernel].regions[0]].ops)
      if (fn[op].def->traits & trait)
        return op;
  return kNoOp;
}

/// Edges of the variable's gradient that end in the kernel and were not fused: "%w.grad -> %w.update: multiple uses".
std::vector<std::string> refusedEdges(const Function &fn, OpId kernel, const std::vector<std::string> &edges,
                                      const std::string &variable) {
  constexpr std::string_view kArrow = " -> %", kRefused = ": not fused: ";
  std::set<std::string_view> inside;
  for (OpId op : fn[fn[kernel].regions[0]].ops)
    inside.insert(fn[fn[op].results[0]].name);
  std::vector<std::string> refused;
  for (std::string_view edge : edges) {
    const size_t arrow = edge.find(kArrow), reason = edge.find(kRefused);
    if (reason == std::string_view::npos || !edge.starts_with("%" + variable + "."))
      continue;
    const size_t to = arrow + kArrow.size();
    if (inside.contains(edge.substr(to, reason - to)))
      refused.push_back(fmt::format("{}: {}", edge.substr(0, reason), edge.substr(reason + kRefused.size())));
  }
  return refused;
}

/// What plan-memory copied from, where a variable cannot be updated in place.
ValueId withoutCopy(const Function &fn, ValueId v) {
  const OpId kernel = fn[v].def;
  if (kernel == kNoOp || !fn[fn[kernel].regions[0]].ops.empty())
    return v;
  return withoutCopy(fn, fn[kernel].operands[0]);
}

/// Where a variable's new value is made: with its gradient, or apart and why.
std::string explainUpdate(const Function &fn, ValueId updated, const std::vector<std::string> &edges,
                          const std::string &variable) {
  const OpId kernel = fn[withoutCopy(fn, updated)].def;
  if (kernel == kNoOp)
    return "not trained";
  const OpId main = mainOp(fn, kernel);
  const bool norm = main != kNoOp && !fn[main].def->is(kContraction) &&
                    fn.type(fn[main].operands[0]).shape == fn.type(updated).shape;
  if (main != kNoOp && !norm)
    return fmt::format("in the kernel of its gradient, {}", fn[main].def->name);
  const std::vector<std::string> reasons = refusedEdges(fn, kernel, edges, variable);
  return fmt::format("in a kernel of its own{}{}", reasons.empty() ? "" : "; ", fmt::join(reasons, "; "));
}

/// One line for each parameter that the function updates.
std::string explainUpdates(const Module &module, const Function &fn, const Diagnostics &diag) {
  const std::vector<std::string> edges = fusionEdges(diag, fn.name);
  std::vector<std::pair<std::string, std::string>> lines;
  for (size_t i = 0; i < fn.resultAttrs.size(); ++i) {
    const SymbolRef *symbol = variableOf(fn.resultAttrs[i]);
    const Variable *variable = symbol ? module.variable(symbol->name) : nullptr;
    if (variable && variable->kind == VarKind::Param)
      lines.emplace_back(variable->name, explainUpdate(fn, fn.body().yields[i], edges, variable->name));
  }
  if (lines.empty())
    return {};
  size_t width = 0;
  for (const auto &[name, how] : lines)
    width = std::max(width, name.size());
  std::string text = fmt::format("updates of @{}\n", fn.name);
  for (const auto &[name, how] : lines)
    text += fmt::format("  {:<{}}  {}\n", name, width, how);
  return text;
}

/// Nothing if the node is known: some value of the graph bears its name.
std::string unknownNode(const Function &fn, const Diagnostics &diag, const std::string &node) {
  std::vector<std::string> edges = fusionEdges(diag, fn.name);
  if (node.empty() || std::ranges::any_of(edges, [&](std::string_view edge) { return isAbout(edge, node); }))
    return {};
  std::vector<std::string_view> names;
  for (const std::string &edge : edges)
    names.push_back(std::string_view(edge).substr(1, edge.find(' ') - 1));
  return fmt::format("no edge of @{} touches a node '{}'{}", fn.name, node, proposal(node, names));
}

// ---- kernels

std::string resultNames(const Function &fn, OpId kernel) {
  std::string names;
  for (ValueId v : fn[kernel].results)
    names += (names.empty() ? "" : ", ") + fn[v].name;
  return names;
}

size_t widestName(const Function &fn) {
  size_t width = 6;
  for (OpId op : fn.body().ops)
    width = std::max(width, resultNames(fn, op).size());
  return width;
}

/// "conv2d add relu": what a kernel computes, without what only repeats or names values.
std::string opNames(const Function &fn, OpId kernel) {
  std::string names;
  for (OpId op : fn[fn[kernel].regions[0]].ops)
    if (const OpDef &def = *fn[op].def; !def.is(kCheap) && def.name != "constant")
      names += (names.empty() ? "" : " ") + std::string(def.name);
  return names.empty() ? "copy" : names;
}

std::string explainSchedule(const Function &fn) {
  std::string text = fmt::format("schedule of @{}\n", fn.name);
  const size_t width = widestName(fn);
  for (OpId op : fn.body().ops) {
    const Attr *schedule = fn[op].attrs.find("schedule");
    text += fmt::format("  {:<{}}  {:<8}  {}{}{}\n", resultNames(fn, op), width,
                        takesNoStep(fn, op) ? "view" : fn[op].attrs.str("kind"), opNames(fn, op),
                        schedule ? "  " : "", schedule ? toString(*schedule) : "");
  }
  return text;
}

// ---- memory

std::string lifeOf(const Function &fn, ValueId v) {
  const std::vector<OpId> &ops = fn.body().ops;
  size_t first = 0, last = 0;
  for (size_t t = 0; t < ops.size(); ++t) {
    if (fn[v].def == ops[t])
      first = last = t;
    if (std::ranges::find(fn[ops[t]].operands, v) != fn[ops[t]].operands.end())
      last = t;
  }
  if (std::ranges::find(fn.body().yields, v) != fn.body().yields.end())
    return fmt::format("{} .. end", first);
  return fmt::format("{} .. {}", first, last);
}

std::string explainMemory(const Function &fn) {
  const std::vector<std::optional<Place>> places = placesOfValues(fn);
  int64_t apart = 0, variables = 0;
  for (ValueId arg : fn.body().args)
    variables += fn[arg].attrs.has("var") ? storageBytes(fn.type(arg)) : 0;
  size_t width = 6;
  for (OpId op : fn.body().ops)
    for (ValueId v : fn[op].results)
      width = std::max(width, fn[v].name.size());
  std::string table =
      fmt::format("  {:>3}  {:<{}}  {:>12}  {:<24}  {}\n", "#", "value", width, "bytes", "place", "lives");
  for (size_t t = 0; t < fn.body().ops.size(); ++t)
    for (ValueId v : fn[fn.body().ops[t]].results) {
      const bool view = takesNoStep(fn, fn.body().ops[t]);
      if (places[index(v)]->space == Place::Space::Arena && !view)
        apart += storageBytes(fn.type(v));
      table += fmt::format("  {:>3}  {:<{}}  {:>12}  {:<24}  {}{}\n", t, fn[v].name, width,
                           storageBytes(fn.type(v)), toString(*places[index(v)]), lifeOf(fn, v),
                           view ? " (view)" : "");
    }
  return fmt::format(
      "memory of @{}: arena {} bytes (its values one beside the other: {}), variables {} bytes\n{}", fn.name,
      fn.attrs.i64(kArenaAttr), apart, variables, table);
}

// ----

/// The most a model is compiled for: its training step where it has a loss.
std::string defaultEntry(const Module &module, const ExplainFlags &flags) {
  if (!flags.entry.empty() || !flags.function.empty())
    return flags.entry;
  if (module.function("loss") || module.function("train_step"))
    return "train-step";
  return module.function("infer") ? "infer" : "";
}

StatusOr<CodeTarget> chooseTarget(const ExplainFlags &flags) {
  if ((flags.device == "cuda") == flags.arch.empty())
    return failure(ExitCode::Usage,
                   "--device cuda and --arch, such as sm_90, belong together: no device is asked");
  if (flags.device == "cpu") {
    StatusOr<CpuTarget> target = parseCpuTarget(flags.mcpu);
    return target ? StatusOr<CodeTarget>(*target) : std::unexpected(target.error());
  }
  StatusOr<CudaTarget> target = parseCudaTarget(flags.arch);
  if (!target)
    return std::unexpected(target.error());
  target->cublas = flags.compile.cublas;
  return *target;
}

ExitCode runExplain(ExplainFlags flags) {
  StatusOr<CodeTarget> target = chooseTarget(flags);
  if (!target)
    return fail(target.error());
  if (Status can = checkPrecision(flags.compile.precision, *target); !can.ok())
    return fail(can);
  ExitCode exit = ExitCode::Ok;
  std::optional<Module> module = loadModule(flags.model, std::nullopt, purposeOf(flags.entry), exit);
  if (!module)
    return exit;
  std::optional<Source> source = chooseSource(*module, defaultEntry(*module, flags), flags.function, exit);
  if (!source)
    return exit;
  Diagnostics diag;
  flags.compile.passes.remarks = {"fuse"};
  PassManager manager(flags.compile.passes);
  auto planned =
      planFunction(*module, source->function, source->train, "", *target, manager, diag, flags.compile);
  printReports(flags.compile, manager);
  if (!planned)
    return finish(diag);
  const Function &fn = *module->function(source->train ? "train_step" : source->function);
  if (std::string unknown = unknownNode(fn, diag, flags.node); !unknown.empty())
    return fail({ExitCode::InvalidInput, unknown});
  const bool all = !flags.fusion && !flags.memory && !flags.schedule;
  std::vector<std::string> parts;
  if (all || flags.fusion)
    parts.push_back(explainFusion(fn, diag, flags.node));
  if (std::string updates = explainUpdates(*module, fn, diag);
      (all || flags.fusion) && flags.node.empty() && !updates.empty())
    parts.push_back(std::move(updates));
  if (all || flags.schedule)
    parts.push_back(explainSchedule(fn));
  if (const auto *cuda = std::get_if<CudaTarget>(&*target); cuda && (all || flags.schedule))
    parts.push_back(cudaLaunches(*module, fn, *cuda));
  if (all || flags.memory)
    parts.push_back(explainMemory(fn));
  say("{}", fmt::join(parts, "\n"));
  return ExitCode::Ok;
}

Options explainOptions(ExplainFlags &flags) {
  return {{.name = "--fusion",
           .target = OptionalValueTarget{&flags.node, &flags.fusion},
           .type = "[NODE]",
           .doc = "Each edge from a producer to a consumer: fused, or why not; =NODE: of this node only"},
          {.name = "--memory", .target = &flags.memory, .doc = "Where each value lies and how long it lives"},
          {.name = "--schedule",
           .target = &flags.schedule,
           .doc = "The kernels, what they compute and how their loops are cut; CUDA: and what is launched"},
          {.name = "--entry",
           .target = &flags.entry,
           .doc = "What is compiled (default: train-step, or infer without a loss)",
           .choices = {"infer", "eval", "loss", "train-step"}},
          {.name = "--arch",
           .target = &flags.arch,
           .type = "ARCH",
           .doc = "CUDA: the architecture, sm_75 to sm_120"}};
}

} // namespace

Command explainCommand() {
  auto flags = std::make_shared<ExplainFlags>();
  return {.name = "explain",
          .doc = "Say what was fused and why not, and how loops and memory are planned",
          .options = modelOptions(flags->model) + explainOptions(*flags) + codeOptions(*flags) +
                     compileOptions(flags->compile),
          .run = [flags] { return runExplain(*flags); }};
}

} // namespace gradc
