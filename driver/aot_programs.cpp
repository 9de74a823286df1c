#include "driver/aot_programs.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "codegen/cpu/compiler.h"
#include "driver/model_programs.h"
#include "runtime/evaluate.h"
#include "runtime/thread_pool.h"

namespace gradc {

std::vector<InstanceKey> executableInstances(bool train, bool eval, std::span<const int64_t> batches,
                                             std::span<const int64_t> trainExamples,
                                             std::span<const int64_t> evalExamples) {
  std::vector<InstanceKey> keys;
  const auto add = [&](ProgramKind kind, int64_t batch) {
    if (batch > 0 && std::ranges::find(keys, InstanceKey{kind, batch}) == keys.end())
      keys.push_back({kind, batch});
  };
  const auto addAll = [&](ProgramKind kind, std::span<const int64_t> examples) {
    for (int64_t batch : batches)
      add(kind, batch);
    for (int64_t count : examples)
      for (int64_t batch : batchSizes(count, batches[0], 0))
        add(kind, batch);
  };
  if (train)
    addAll(ProgramKind::TrainStep, trainExamples);
  if (eval)
    addAll(ProgramKind::Eval, evalExamples);
  add(ProgramKind::Infer, 1);
  return keys;
}

namespace {

/// One program, and what was said on the way.
struct Compilation {
  Diagnostics diag;
  Status status;
  std::unique_ptr<CompiledProgram> program;
  std::vector<VariableSpec> slots; // of a training step
};

void compile(const LoadedModel &model, const InstanceKey &key, const CompileFlags &flags,
             const CodeOptions &options, Compilation &made) {
  const Result<Module> module = planModel(model, key.kind, key.batch, options.target, flags, made.diag);
  if (!module) {
    made.status = cannotPlan(key.kind, key.batch, made.diag);
    return;
  }
  if (key.kind == ProgramKind::TrainStep)
    made.slots = slotsOf(*module);
  StatusOr<std::unique_ptr<CompiledProgram>> program =
      compileFor(*module, *module->function(functionName(key.kind)), options);
  if (program)
    made.program = std::move(*program);
  else
    made.status = program.error();
}

} // namespace

StatusOr<CompiledVersion> compileVersion(const LoadedModel &model, std::span<const InstanceKey> keys,
                                         const CompileFlags &flags, CodeOptions options) {
  options.link = false;
  CompiledVersion version{.target = options.target, .withPtx = options.withPtx};
  if (!version.cuda()) {
    StatusOr<KernelCompiler> compiler = KernelCompiler::create(version.processor());
    if (!compiler)
      return std::unexpected(compiler.error());
    version.features = compiler->neededFeatures();
  }
  // The kernels of one program are compiled by several threads; NVRTC takes one for all of a program.
  std::vector<Compilation> made(keys.size());
  ThreadPool pool(version.cuda() ? options.threads : 1);
  pool.parallelFor(static_cast<int64_t>(keys.size()), 1.0, [&](int64_t begin, int64_t end, int) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      compile(model, keys[i], i == 0 ? flags : withoutPrinting(flags), options, made[i]);
  });
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!made[i].status.ok())
      return std::unexpected(made[i].status);
    finish(made[i].diag);
    if (!made[i].slots.empty())
      version.slots = std::move(made[i].slots);
    version.instances.push_back({keys[i], std::move(made[i].program)});
  }
  return version;
}

namespace {

/// Linker flags that give each kernel the names of its layers, for debuggers and profilers.
std::string aliasFlags(const std::vector<CompiledVersion> &versions) {
  std::string flags;
  std::map<std::string, int> used;
  for (const CompiledVersion &version : versions) {
    if (version.cuda())
      continue;
    for (const CompiledInstance &instance : version.instances)
      for (int64_t i = 0; i < instance.program->program().num_steps; ++i) {
        std::string name = stepAlias(functionName(instance.key.kind), instance.key.batch,
                                     instance.program->program().steps[i].name, version.processor());
        if (const int again = used[name]++)
          name += fmt::format(".{}", again + 1);
        flags += fmt::format("-Xlinker '--defsym=\"{}\"={}'\n", name, instance.program->symbol(i));
      }
  }
  return flags;
}

} // namespace

StatusOr<std::vector<std::string>> writeKernels(LinkFolder &folder,
                                                const std::vector<CompiledVersion> &versions) {
  std::map<std::string, std::string> files; // by symbol
  std::vector<std::string> names;
  for (const CompiledVersion &version : versions)
    for (const CompiledInstance &instance : version.instances)
      for (const CompiledProgram::Object &object : instance.program->objects()) {
        if (files.contains(object.symbol))
          continue;
        std::string name = fmt::format("kernel{:03}.o", files.size());
        if (Status written = folder.write(name, object.bytes); !written.ok())
          return std::unexpected(written);
        files[object.symbol] = name;
        names.push_back(std::move(name));
      }
  constexpr const char *kAliases = "aliases.txt";
  if (Status written = folder.write(kAliases, aliasFlags(versions)); !written.ok())
    return std::unexpected(written);
  names.push_back(std::string("@") + kAliases);
  return names;
}

} // namespace gradc
