// The backend "cpu" of gradc run: plans the function, compiles it, and runs it on the thread pool.
#include <map>

#include "codegen/program.h"
#include "codegen/storage.h"
#include "driver/backend.h"
#include "driver/compile_flags.h"
#include "driver/plan_function.h"
#include "ir/layout.h"
#include "ir/plan.h"
#include "runtime/executor.h"

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

StatusOr<std::vector<Tensor>> compileAndRun(const Module &module, const Function &fn,
                                            const RunRequest &request, const CpuTarget &target) {
  ObjectCache cache = ObjectCache::open(defaultCacheFolder());
  CompileOptions options{target, request.threads, cache.enabled() ? &cache : nullptr};
  StatusOr<std::unique_ptr<CompiledProgram>> program = compileProgram(module, fn, options);
  if (!program)
    return std::unexpected(program.error());
  ThreadPool pool(request.threads);
  Workspace workspace;
  if (Status reserved = workspace.reserve((*program)->program(), pool); !reserved.ok())
    return std::unexpected(reserved);
  Executor executor((*program)->program(), pool, workspace);
  Memory memory(fn, **program);
  if (Status bound = memory.bind(executor, request.arguments); !bound.ok())
    return std::unexpected(bound);
  executor.run();
  return memory.results();
}

} // namespace

Result<std::vector<Tensor>> runCpu(const RunRequest &request, Diagnostics &diag) {
  CpuTarget target = hostCpuTarget();
  if (Status can = checkPrecision(request.precision, target); !can.ok())
    return std::unexpected(diag.error({}, "{}", can.text));
  Module module = request.module.clone();
  PassManager manager({});
  if (auto planned =
          planFunction(module, request.fn.name, false, "", target, manager, diag, request.precision);
      !planned)
    return std::unexpected(planned.error());
  StatusOr<std::vector<Tensor>> results =
      compileAndRun(module, *module.function(request.fn.name), request, target);
  if (!results)
    return std::unexpected(diag.error({}, "{}", results.error().text));
  return *std::move(results);
}

} // namespace gradc
