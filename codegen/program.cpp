#include "codegen/program.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "codegen/constants.h"
#include "codegen/cpu/jit.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/program_memory.h"
#include "ir/cost.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/plan.h"
#include "support/check.h"

namespace gradc {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool isKernel(const Function &fn, OpId op) { return fn[op].def->name == "kernel"; }

/// One piece of code to make, for all kernels with its symbol.
struct Unit {
  std::string symbol;
  OpId kernel; // the first
  KernelObject object;
  bool ready = false;
};

/// Fills in what the cache does not have, with a compiler per thread. Products and convolutions take longest, so they
/// go first.
Status compileMissing(const Function &fn, std::deque<Unit> &units, const CompileOptions &options) {
  std::vector<Unit *> missing;
  for (Unit &unit : units)
    if (!unit.ready)
      missing.push_back(&unit);
  std::ranges::stable_partition(missing,
                                [&](Unit *unit) { return fn[unit->kernel].attrs.str("kind") == "contract"; });
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
      unit.object = compiler->compile(fn, unit.kernel, unit.symbol);
      unit.ready = true;
      if (options.cache)
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
  if (options.cache && !missing.empty())
    options.cache->trim();
  return problem;
}

/// The table with everything that it points to.
class Program final : public CompiledProgram {
public:
  const gradc_program &program() const override { return table_; }
  const std::string &symbol(int64_t step) const override { return stepSymbols_[static_cast<size_t>(step)]; }
  const CompileStatistics &statistics() const override { return statistics_; }
  std::vector<Object> objects() const override;

  Status build(const Module &module, const Function &fn, const CompileOptions &options);

private:
  Status makeCode(const Function &fn, const CompileOptions &options);
  Status link(const CpuTarget &target);
  StatusOr<gradc_kernel> address(const std::string &symbol);
  void makePorts(const Module &module, const Function &fn);
  Status makeSteps(const Function &fn);
  gradc_port port(const std::string &name, const Type &type);
  int32_t varIndex(const std::string &name) const;
  gradc_ref ref(const Place &place) const;
  const char *keep(std::string text) { return strings_.emplace_back(std::move(text)).c_str(); }

  std::unique_ptr<Jit> jit_;
  std::deque<std::string> strings_;
  std::deque<Unit> units_;
  std::vector<std::pair<OpId, Unit *>> kernels_; // in order
  std::vector<std::string> stepSymbols_, varNames_;
  std::vector<int32_t> argIndex_, resultIndex_; // from the function's numbers to ports
  std::vector<gradc_step> steps_;
  std::vector<gradc_ref> refs_;
  std::vector<gradc_port> vars_, args_, results_;
  gradc_program table_{};
  CompileStatistics statistics_;
};

Status Program::makeCode(const Function &fn, const CompileOptions &options) {
  std::map<std::string, Unit *> known;
  for (OpId op : fn.body().ops) {
    CHECK(isKernel(fn, op), "{} outside a kernel", fn[op].def->name);
    if (takesNoStep(fn, op))
      continue;
    std::string symbol = kernelSymbol(fn, op, options.target);
    Unit *&unit = known[symbol];
    if (!unit) {
      unit = &units_.emplace_back(Unit{symbol, op, {}, false});
      if (std::optional<KernelObject> cached = options.cache ? options.cache->load(symbol) : std::nullopt) {
        unit->object = *std::move(cached);
        unit->ready = true;
        ++statistics_.fromCache;
      }
    }
    kernels_.emplace_back(op, unit);
  }
  statistics_.kernels = static_cast<int>(kernels_.size());
  statistics_.distinct = static_cast<int>(units_.size());
  double start = now();
  if (Status compiled = compileMissing(fn, units_, options); !compiled.ok())
    return compiled;
  statistics_.codegenSeconds = now() - start;
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
      names[unit] += std::string(steps_[static_cast<size_t>(step)].name) + "\n";
    step += static_cast<int64_t>(unit->object.code.steps.size());
  }
  for (const Unit &unit : units_)
    objects.push_back({unit.symbol, unit.object.bytes, names[&unit]});
  return objects;
}

gradc_port Program::port(const std::string &name, const Type &type) {
  gradc_port port{};
  port.name = keep(name);
  port.layout = keep(type.layout);
  port.dtype = static_cast<int32_t>(type.dtype);
  port.rank = type.rank();
  std::ranges::copy(type.shape, port.shape);
  port.bytes = storageBytes(type);
  return port;
}

int32_t Program::varIndex(const std::string &name) const {
  return static_cast<int32_t>(std::ranges::find(varNames_, name) - varNames_.begin());
}

/// What a result is called: its annotation, else its value.
std::string resultName(const Function &fn, size_t number) {
  ValueId value = fn.body().yields[number];
  if (number < fn.resultAttrs.size()) {
    const Dict &attrs = fn.resultAttrs[number];
    for (std::string_view key : {"metric", "output"})
      if (const Attr *name = attrs.find(key); name && name->as<std::string>())
        return *name->as<std::string>();
    for (std::string_view key : {"loss", "count"})
      if (attrs.has(key))
        return std::string(key);
    if (const Attr *var = attrs.find("var"); var && var->as<SymbolRef>())
      return var->as<SymbolRef>()->name;
  }
  return fn[value].name;
}

void Program::makePorts(const Module &module, const Function &fn) {
  const RegionData &body = fn.body();
  auto addVar = [&](const std::string &name, const Type &type) {
    if (std::ranges::find(varNames_, name) != varNames_.end())
      return;
    varNames_.push_back(name);
    vars_.push_back(port(name, type));
  };
  for (size_t i = 0; i < body.args.size(); ++i) {
    const ValueData &arg = fn[body.args[i]];
    Place place = argumentPlace(fn, static_cast<int>(i));
    argIndex_.push_back(-1);
    if (place.space == Place::Space::Var) {
      addVar(place.var, arg.type);
    } else {
      argIndex_.back() = static_cast<int32_t>(args_.size());
      args_.push_back(port(arg.name, arg.type));
    }
  }
  std::vector<std::optional<Place>> places = placesOfValues(fn);
  for (const std::optional<Place> &place : places)
    if (place && place->space == Place::Space::Var)
      if (const Variable *variable = module.variable(place->var))
        addVar(place->var, variable->type);
  for (size_t i = 0; i < body.yields.size(); ++i) {
    const std::optional<Place> &place = places[index(body.yields[i])];
    resultIndex_.push_back(-1);
    if (place && place->space != Place::Space::Result)
      continue;
    resultIndex_.back() = static_cast<int32_t>(results_.size());
    results_.push_back(port(resultName(fn, i), fn.type(body.yields[i])));
  }
}

gradc_ref Program::ref(const Place &place) const {
  auto number = static_cast<size_t>(place.number);
  switch (place.space) {
  case Place::Space::Arena: return {GRADC_SPACE_ARENA, 0, place.number};
  case Place::Space::Var: return {GRADC_SPACE_VAR, varIndex(place.var), 0};
  case Place::Space::Arg:
    CHECK(argIndex_[number] >= 0, "argument {} lies at its variable", number);
    return {GRADC_SPACE_ARGUMENT, argIndex_[number], 0};
  case Place::Space::Result: return {GRADC_SPACE_RESULT, resultIndex_[number], 0};
  }
  CHECK(false, "place {}", toString(place));
}

Status Program::makeSteps(const Function &fn) {
  std::vector<std::optional<Place>> places = placesOfValues(fn);
  ProgramMemory memory = ProgramMemory::ofValues(fn);
  for (auto &[op, unit] : kernels_) {
    auto firstRef = static_cast<int32_t>(refs_.size());
    auto addRefs = [&](const std::vector<ValueId> &values) {
      for (ValueId value : values) {
        CHECK(places[index(value)], "%{} has no place", fn[value].name);
        refs_.push_back(ref(*places[index(value)]));
      }
    };
    addRefs(fn[op].operands);
    addRefs(fn[op].results);
    const KernelCode &code = unit->object.code;
    if (code.workspaceBytes > 0)
      refs_.push_back({GRADC_SPACE_ARENA, 0, workspaceOffset(fn)});
    memory.add(fn, code);
    const char *name = keep(stepName(fn, op));
    // What the kernel computes and moves is told of its longest step.
    const KernelStep &longest = *std::ranges::max_element(code.steps, {}, &KernelStep::work);
    for (const KernelStep &step : code.steps) {
      StatusOr<gradc_kernel> entry = address(step.symbol);
      if (!entry)
        return entry.error();
      const Cost cost = &step == &longest ? costOf(fn, op) : Cost{};
      steps_.push_back({*entry, name, firstRef, static_cast<int32_t>(refs_.size()) - firstRef, step.items,
                        step.scratchBytes, step.work, cost.flops, cost.bytes});
      stepSymbols_.push_back(step.symbol);
    }
  }
  table_.arena_bytes = memory.arena;
  table_.scratch_bytes = memory.scratch;
  return okStatus();
}

Status Program::build(const Module &module, const Function &fn, const CompileOptions &options) {
  if (Status made = makeCode(fn, options); !made.ok())
    return made;
  double start = now();
  makePorts(module, fn);
  if (Status made = makeSteps(fn); !made.ok())
    return made;
  statistics_.linkSeconds = now() - start;
  table_.name = keep(fn.name);
  table_.steps = steps_.data();
  table_.refs = refs_.data();
  table_.vars = vars_.data();
  table_.args = args_.data();
  table_.results = results_.data();
  table_.num_steps = static_cast<int64_t>(steps_.size());
  table_.num_vars = static_cast<int64_t>(vars_.size());
  table_.num_args = static_cast<int64_t>(args_.size());
  table_.num_results = static_cast<int64_t>(results_.size());
  return okStatus();
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

StatusOr<std::string> emitText(const Module &module, const Function &given, const CpuTarget &target,
                               CodeText form) {
  std::optional<Function> whole = withConstants(module, given);
  const Function &fn = whole ? *whole : given;
  StatusOr<KernelCompiler> compiler = KernelCompiler::create(target);
  if (!compiler)
    return std::unexpected(compiler.error());
  std::vector<std::pair<std::string, OpId>> order;
  std::map<std::string, std::string> names;
  for (OpId op : fn.body().ops) {
    if (!isKernel(fn, op))
      continue;
    std::string symbol = kernelSymbol(fn, op, target);
    if (!names.contains(symbol))
      order.emplace_back(symbol, op);
    names[symbol] += stepName(fn, op) + "\n";
  }
  std::string text;
  for (const auto &[symbol, op] : order)
    text += compiler->text(fn, op, symbol, form, names[symbol]) + "\n";
  return text;
}

std::string stepName(const Function &fn, OpId kernel) {
  constexpr size_t kMaxNames = 5;
  std::vector<std::string> names;
  auto add = [&](ValueId value) {
    std::string name = fn[value].name.substr(0, fn[value].name.find('~'));
    if (std::ranges::find(names, name) == names.end())
      names.push_back(name);
  };
  for (OpId id : fn[fn[kernel].regions[0]].ops)
    if (!fn[id].def->is(kCheap) && fn[id].def->name != "constant")
      add(fn[id].results[0]);
  if (names.empty())
    for (ValueId result : fn[kernel].results)
      add(result);
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMaxNames; ++i)
    text += (i == 0 ? "" : "+") + names[i];
  return names.size() > kMaxNames ? text + "+…" : text;
}

} // namespace gradc
