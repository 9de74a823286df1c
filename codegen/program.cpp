#include "codegen/program.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "codegen/constants.h"
#include "codegen/cpu/jit.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/program_memory.h"
#include "codegen/kernel_symbol.h"
#include "codegen/program_table.h"
#include "codegen/split_choice.h"
#include "ir/contraction.h"
#include "ir/cost.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "support/check.h"
#include "support/hash.h"

namespace gradc {
namespace {

/// One piece of code to make, for all kernels with its symbol.
struct Unit {
  std::string symbol;
  OpId kernel; // the first
  KernelObject object;
  bool ready = false;
};

const ObjectCache *cacheOf(const CompileOptions &options) { return options.debug ? nullptr : options.cache; }

/// With debug information code belongs to a line of the model file.
std::string symbolOf(const Function &fn, OpId kernel, const CpuTarget &target, bool debug) {
  const std::string symbol = kernelSymbol(fn, kernel, target);
  if (!debug)
    return symbol;
  Hasher hasher;
  hasher.add(stepName(fn, kernel)).add(kernelPlace(fn, kernel).line);
  return symbol + "_" + hex(hasher.digest64());
}

/// Fills in what the cache does not have, with a compiler per thread. Products and convolutions take longest, so they
/// go first.
Status compileMissing(const Function &fn, std::deque<Unit> &units, const CompileOptions &options) {
  std::vector<Unit *> missing;
  for (Unit &unit : units)
    if (!unit.ready)
      missing.push_back(&unit);
  std::ranges::stable_partition(missing, [&](Unit *unit) { return isContractionKernel(fn[unit->kernel]); });
  std::atomic<size_t> next = 0;
  Status problem;
  std::atomic<bool> failed = false;
  auto work = [&] {
    StatusOr<KernelCompiler> compiler = KernelCompiler::create(options.target);
    if (!compiler) {
      if (!failed.exchange(true))
        problem = compiler.error();
      return;
    }
    for (size_t i = next++; i < missing.size(); i = next++) {
      Unit &unit = *missing[i];
      unit.object =
          compiler->compile(fn, unit.kernel, unit.symbol, options.debug ? stepName(fn, unit.kernel) : "");
      unit.ready = true;
      if (cacheOf(options))
        options.cache->store(unit.symbol, unit.object);
    }
  };
  size_t workers = std::min<size_t>(std::max(options.threads, 1), missing.size());
  std::vector<std::thread> threads;
  for (size_t i = 1; i < workers; ++i)
    threads.emplace_back(work);
  if (workers > 0)
    work();
  for (std::thread &thread : threads)
    thread.join();
  if (cacheOf(options) && !missing.empty())
    options.cache->trim();
  return problem;
}

/// The work of a step that no thread shares with another.
constexpr double kNotShared = 1e-9;

const KernelStep &longestStep(const KernelCode &code) {
  return *std::ranges::max_element(code.steps, {}, &KernelStep::work);
}

/// The table with everything that it points to.
class Program final : public CompiledProgram {
public:
  const gradc_program &program() const override { return table_->program(); }
  const std::string &symbol(int64_t step) const override { return stepSymbols_[static_cast<size_t>(step)]; }
  std::vector<Object> objects() const override;

  Status build(const Module &module, const Function &fn, const CompileOptions &options);

private:
  Status makeCode(const Function &fn, const CompileOptions &options);
  Status link(const CpuTarget &target);
  StatusOr<gradc_kernel> address(const std::string &symbol);
  Status makeSteps(const Function &fn, ProgramTable &table);

  std::unique_ptr<Jit> jit_;
  std::deque<Unit> units_;
  std::vector<std::pair<OpId, Unit *>> kernels_; // in order
  std::vector<std::string> stepSymbols_;
  std::optional<ProgramTable> table_;
};

Status Program::makeCode(const Function &fn, const CompileOptions &options) {
  std::map<std::string, Unit *> known;
  for (OpId op : fn.body().ops) {
    if (!takesStep(fn, op))
      continue;
    std::string symbol = symbolOf(fn, op, options.target, options.debug);
    Unit *&unit = known[symbol];
    if (!unit) {
      unit = &units_.emplace_back(Unit{symbol, op, {}, false});
      if (std::optional<KernelObject> cached =
              cacheOf(options) ? options.cache->load(symbol) : std::nullopt) {
        unit->object = *std::move(cached);
        unit->ready = true;
      }
    }
    kernels_.emplace_back(op, unit);
  }
  if (Status compiled = compileMissing(fn, units_, options); !compiled.ok())
    return compiled;
  return options.link ? link(options.target) : okStatus();
}

Status Program::link(const CpuTarget &target) {
  StatusOr<std::unique_ptr<Jit>> jit = Jit::create(target);
  if (!jit)
    return jit.error();
  jit_ = std::move(*jit);
  for (Unit &unit : units_) {
    if (Status added = jit_->add(unit.symbol, unit.object.bytes); !added.ok())
      return added;
    unit.object.bytes.clear();
  }
  return okStatus();
}

/// Null in a program that is not linked.
StatusOr<gradc_kernel> Program::address(const std::string &symbol) {
  return jit_ ? jit_->find(symbol) : StatusOr<gradc_kernel>(nullptr);
}

std::vector<CompiledProgram::Object> Program::objects() const {
  std::vector<Object> objects;
  std::map<const Unit *, std::string> names;
  int64_t step = 0;
  for (const auto &[op, unit] : kernels_) {
    if (!unit->object.code.steps.empty())
      names[unit] += std::string(program().steps[step].name) + "\n";
    step += static_cast<int64_t>(unit->object.code.steps.size());
  }
  for (const Unit &unit : units_)
    objects.push_back({unit.symbol, unit.object.bytes, names[&unit]});
  return objects;
}

Status Program::makeSteps(const Function &fn, ProgramTable &table) {
  ProgramMemory memory = ProgramMemory::ofValues(fn);
  std::vector<KernelTime> times;
  for (const auto &[op, unit] : kernels_)
    times.push_back({op, longestStep(unit->object.code).work, longestStep(unit->object.code).items > 1});
  const std::vector<bool> shared = sharedKernels(fn, times);
  for (size_t i = 0; i < kernels_.size(); ++i) {
    const auto &[op, unit] = kernels_[i];
    const KernelCode &code = unit->object.code;
    const ProgramTable::Refs refs =
        table.addRefs(table.buffersOf(op, code.workspaceBytes > 0 ? workspaceOffset(fn) : -1));
    memory.add(fn, code);
    const char *name = table.keep(stepName(fn, op));
    // What the kernel computes and moves is told of its longest step.
    const KernelStep &longest = longestStep(code);
    for (const KernelStep &step : code.steps) {
      StatusOr<gradc_kernel> entry = address(step.symbol);
      if (!entry)
        return entry.error();
      const Cost cost = &step == &longest ? costOf(fn, op) : Cost{};
      const double work = !shared[i]          ? kNotShared
                          : &step == &longest ? std::max(step.work, GRADC_SPLIT_SECONDS)
                                              : step.work;
      table.addStep({*entry, name, refs.first, refs.count, step.items, step.scratchBytes, work, cost.flops,
                     cost.bytes});
      stepSymbols_.push_back(step.symbol);
    }
  }
  table.finish(memory.arena, memory.scratch);
  return okStatus();
}

Status Program::build(const Module &module, const Function &fn, const CompileOptions &options) {
  if (Status made = makeCode(fn, options); !made.ok())
    return made;
  table_.emplace(module, fn);
  return makeSteps(fn, *table_);
}

} // namespace

StatusOr<std::unique_ptr<CompiledProgram>> compileProgram(const Module &module, const Function &fn,
                                                          const CompileOptions &options) {
  auto program = std::make_unique<Program>();
  std::optional<Function> whole = withConstants(module, fn);
  if (Status built = program->build(module, whole ? *whole : fn, options); !built.ok())
    return std::unexpected(built);
  return program;
}

std::string stepAlias(std::string_view function, int64_t batch, std::string_view step,
                      const CpuTarget &target) {
  std::string name = fmt::format("{}.b{}.{}", function, batch, step);
  for (char &c : name)
    if (!std::isalnum(static_cast<unsigned char>(c)) &&
        std::string_view("._+-").find(c) == std::string_view::npos)
      c = '_';
  return name + "." + target.name;
}

namespace {

/// "arena:0 var:@w -> result:0": where a kernel reads and writes.
std::string buffersOf(const Function &fn, OpId kernel, const std::vector<std::optional<Place>> &places) {
  std::string text;
  const auto add = [&](const std::vector<ValueId> &values) {
    for (ValueId value : values)
      text += (places[index(value)] ? toString(*places[index(value)]) : "?") + " ";
  };
  add(fn[kernel].operands);
  text += "->";
  for (ValueId result : fn[kernel].results)
    text += " " + (places[index(result)] ? toString(*places[index(result)]) : "?");
  return text;
}

/// The steps of a planned function in their order, as comments, and the names of layers as aliases of their code.
class StepTable {
public:
  StepTable(const Module &module, const Function &fn, const CpuTarget &target, CodeText form)
      : fn_(fn), target_(target), form_(form), places_(placesOfValues(fn)) {
    const Attr *batch = module.attrs.find("batch");
    batch_ = batch && batch->as<int64_t>() ? *batch->as<int64_t>() : 0;
  }

  void add(OpId kernel, const KernelCode &code) {
    for (const KernelStep &step : code.steps) {
      const std::string name = stepName(fn_, kernel);
      rows_ += fmt::format("{} {:24} {:>8} {:>8}  {}  {}\n", mark(), name, step.items, step.scratchBytes,
                           step.symbol, buffersOf(fn_, kernel, places_));
      if (batch_ > 0)
        aliases_ += alias(stepAlias(fn_.name, batch_, name, target_), step.symbol);
    }
  }

  std::string text() const {
    return fmt::format("{0} The steps of @{1}:\n{0} {2:24} {3:>8} {4:>8}  {5}  {6}\n{7}{8}", mark(), fn_.name,
                       "layers", "items", "scratch", "code", "buffers", rows_, aliases_);
  }

private:
  std::string_view mark() const { return form_ == CodeText::Llvm ? ";" : "#"; }
  std::string alias(std::string name, std::string_view symbol) {
    if (const int again = used_[name]++)
      name += fmt::format(".{}", again + 1);
    return form_ == CodeText::Llvm
               ? fmt::format("@\"{}\" = alias void (ptr, ptr, i64, i64), ptr @{}\n", name, symbol)
               : fmt::format("\t.globl\t\"{0}\"\n\t.set\t\"{0}\", {1}\n", name, symbol);
  }

  const Function &fn_;
  const CpuTarget &target_;
  CodeText form_;
  std::vector<std::optional<Place>> places_;
  int64_t batch_ = 0;
  std::string rows_, aliases_;
  std::map<std::string, int> used_;
};

} // namespace

StatusOr<std::string> emitText(const Module &module, const Function &given, const CpuTarget &target,
                               CodeText form, bool debug) {
  std::optional<Function> whole = withConstants(module, given);
  const Function &fn = whole ? *whole : given;
  StatusOr<KernelCompiler> compiler = KernelCompiler::create(target);
  if (!compiler)
    return std::unexpected(compiler.error());
  std::vector<std::pair<std::string, OpId>> kernels; // in order, by symbol
  std::map<std::string, std::string> names;
  for (OpId op : fn.body().ops) {
    if (fn[op].def->name != "kernel")
      continue;
    kernels.emplace_back(symbolOf(fn, op, target, debug), op);
    names[kernels.back().first] += stepName(fn, op) + "\n";
  }
  std::string text;
  std::map<std::string, KernelCode> codes;
  StepTable table(module, fn, target, form);
  for (const auto &[symbol, op] : kernels) {
    const auto [code, isNew] = codes.try_emplace(symbol);
    if (isNew)
      text +=
          compiler->text(fn, op, symbol, form, names[symbol], debug ? stepName(fn, op) : "", code->second) +
          "\n";
    if (!takesNoStep(fn, op))
      table.add(op, code->second);
  }
  return isPlanned(fn) ? text + table.text() : text;
}

} // namespace gradc
