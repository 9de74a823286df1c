#include "driver/compiled_function.h"

#include <map>

#include "codegen/storage.h"
#include "driver/compile_flags.h"
#include "driver/plan_function.h"
#include "ir/layout.h"
#include "ir/plan.h"

namespace gradc {
namespace {

/// The function's arguments and results in memory, bound to the program's ports.
class Memory {
public:
  Memory(const Function &fn, const CompiledProgram &program) : fn_(fn), program_(program.program()) {}

  Status bind(Executor &executor, std::span<const Tensor> arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      const Type &type = fn_.type(fn_.body().args[i]);
      StatusOr<Buffer *> buffer = at(argumentPlace(fn_, static_cast<int>(i)), storageBytes(type));
      if (!buffer)
        return buffer.error();
      toStorage(arguments[i], type, bytes(**buffer));
    }
    std::vector<std::optional<Place>> places = placesOfValues(fn_);
    int64_t vars = 0, args = 0, results = 0;
    for (size_t i = 0; i < arguments.size(); ++i) {
      Place place = argumentPlace(fn_, static_cast<int>(i));
      if (place.space == Place::Space::Arg)
        executor.bindArg(args++, memory_.at(toString(place)).data());
    }
    for (; vars < program_.num_vars; ++vars) {
      const gradc_port &port = program_.vars[vars];
      StatusOr<Buffer *> buffer = at({Place::Space::Var, 0, port.name}, port.bytes);
      if (!buffer)
        return buffer.error();
      executor.bindVar(vars, (*buffer)->data());
    }
    for (ValueId value : fn_.body().yields) {
      const Place &place = *places[index(value)];
      if (place.space != Place::Space::Result)
        continue;
      StatusOr<Buffer *> buffer = at(place, storageBytes(fn_.type(value)));
      if (!buffer)
        return buffer.error();
      executor.bindResult(results++, (*buffer)->data());
    }
    return okStatus();
  }

  std::vector<Tensor> results() const {
    std::vector<std::optional<Place>> places = placesOfValues(fn_);
    std::vector<Tensor> tensors;
    for (ValueId value : fn_.body().yields)
      tensors.push_back(fromStorage(bytes(memory_.at(toString(*places[index(value)]))), fn_.type(value)));
    return tensors;
  }

private:
  static std::span<std::byte> bytes(const Buffer &buffer) {
    return {buffer.data(), static_cast<size_t>(buffer.size())};
  }
  StatusOr<Buffer *> at(const Place &place, int64_t size) {
    auto [entry, isNew] = memory_.try_emplace(toString(place));
    if (isNew) {
      StatusOr<Buffer> buffer = Buffer::allocate(size);
      if (!buffer)
        return std::unexpected(buffer.error());
      entry->second = std::move(*buffer);
    }
    return &entry->second;
  }

  const Function &fn_;
  const gradc_program &program_;
  std::map<std::string, Buffer> memory_; // by place
};

} // namespace

Result<std::unique_ptr<CompiledFunction>> CompiledFunction::make(const Module &module,
                                                                 std::string_view function, int threads,
                                                                 Precision precision, Diagnostics &diag) {
  const CpuTarget target = hostCpuTarget();
  if (Status can = checkPrecision(precision, target); !can.ok())
    return std::unexpected(diag.error({}, "{}", can.text));
  Module planned = module.clone();
  PassManager manager({});
  if (auto done = planFunction(planned, function, false, "", target, manager, diag, precision); !done)
    return std::unexpected(done.error());
  std::unique_ptr<CompiledFunction> compiled(new CompiledFunction(std::move(planned), function, threads));
  if (Status done = compiled->compile(target); !done.ok())
    return std::unexpected(diag.error({}, "{}", done.text));
  return compiled;
}

Status CompiledFunction::compile(const CpuTarget &target) {
  const ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  const CompileOptions options{target, pool_.threads(), cache.enabled() ? &cache : nullptr};
  StatusOr<std::unique_ptr<CompiledProgram>> program = compileProgram(module_, fn_, options);
  if (!program)
    return program.error();
  program_ = std::move(*program);
  if (Status reserved = workspace_.reserve(program_->program(), pool_); !reserved.ok())
    return reserved;
  executor_.emplace(program_->program(), pool_, workspace_);
  return okStatus();
}

StatusOr<std::vector<Tensor>> CompiledFunction::run(std::span<const Tensor> arguments) {
  Memory memory(fn_, *program_);
  if (Status bound = memory.bind(*executor_, arguments); !bound.ok())
    return std::unexpected(bound);
  executor_->run();
  return memory.results();
}

} // namespace gradc
