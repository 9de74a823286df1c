#include "runtime/batch_runner.h"

#include <cstring>

#include <fmt/format.h>

#include "support/check.h"

namespace gradc {
namespace {

const gradc_port *findPort(const gradc_port *ports, int64_t count, std::string_view name) {
  for (int64_t i = 0; i < count; ++i)
    if (name == ports[i].name)
      return &ports[i];
  return nullptr;
}

} // namespace

StatusOr<std::unique_ptr<BatchRunner>> BatchRunner::make(const gradc_program &program, ThreadPool &pool,
                                                         Workspace &workspace, const VariableStore &variables,
                                                         std::span<const InputSpec> inputs) {
  std::unique_ptr<BatchRunner> runner(new BatchRunner(program, pool, workspace));
  Status status = workspace.reserve(program, pool);
  if (status.ok())
    status = runner->bindVariables(variables);
  if (status.ok())
    status = runner->makeMemory(inputs);
  if (!status.ok())
    return std::unexpected(status);
  return runner;
}

Status BatchRunner::bindVariables(const VariableStore &variables) {
  const gradc_program &program = executor_.program();
  for (int64_t i = 0; i < program.num_vars; ++i) {
    const gradc_port &port = program.vars[i];
    const StoredVariable *variable = variables.find(port.name);
    if (!variable || variable->data.size() != port.bytes || std::strlen(port.layout) != 0)
      return {ExitCode::Internal,
              fmt::format("program '{}': variable '{}' does not fit the model's", program.name, port.name)};
    executor_.bindVar(i, variable->values());
  }
  return okStatus();
}

Status BatchRunner::makeMemory(std::span<const InputSpec> inputs) {
  const gradc_program &program = executor_.program();
  for (int64_t i = 0; i < program.num_args; ++i) {
    StatusOr<Buffer> memory = Buffer::allocate(program.args[i].bytes, &pool_);
    if (!memory)
      return memory.error();
    executor_.bindArg(i, memory->data());
    arguments_.push_back(std::move(*memory));
    for (size_t field = 0; field < inputs.size(); ++field)
      if (inputs[field].name == program.args[i].name) {
        fed_.push_back({field, i});
        batch_.push_back(
            {nullptr, arguments_.back().data(), std::string_view(program.args[i].layout) == "n16"});
      }
  }
  for (int64_t i = 0; i < program.num_results; ++i) {
    StatusOr<Buffer> memory = Buffer::allocate(program.results[i].bytes, &pool_);
    if (!memory)
      return memory.error();
    executor_.bindResult(i, memory->data());
    results_.push_back(std::move(*memory));
  }
  return okStatus();
}

void *BatchRunner::argument(std::string_view name) const {
  const gradc_program &program = executor_.program();
  const gradc_port *port = findPort(program.args, program.num_args, name);
  return port ? arguments_[port - program.args].data() : nullptr;
}

const void *BatchRunner::result(std::string_view name) const {
  const gradc_program &program = executor_.program();
  const gradc_port *port = findPort(program.results, program.num_results, name);
  return port ? results_[port - program.results].data() : nullptr;
}

void BatchRunner::setFloat(std::string_view name, float value) {
  if (void *memory = argument(name))
    std::memcpy(memory, &value, sizeof value);
}

void BatchRunner::setInteger(std::string_view name, int64_t value) {
  if (void *memory = argument(name))
    std::memcpy(memory, &value, sizeof value);
}

float BatchRunner::scalar(std::string_view name) const {
  const void *memory = result(name);
  CHECK(memory, "program '{}' has no result '{}'", executor_.program().name, name);
  float value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

void BatchRunner::run(const Dataset &dataset, std::span<const int64_t> examples) {
  for (size_t i = 0; i < fed_.size(); ++i) {
    const Field &field = dataset.fields[fed_[i].field];
    const gradc_port &port = executor_.program().args[fed_[i].argument];
    const Status status = checkBatchPort(port, field);
    CHECK(status.ok(), "{}", status.text);
    CHECK(port.shape[0] == static_cast<int64_t>(examples.size()), "batch of {}, got {} examples",
          port.shape[0], examples.size());
    batch_[i].field = &field;
  }
  gatherBatch(pool_, batch_, examples);
  executor_.run();
}

} // namespace gradc
