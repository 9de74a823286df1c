#include "runtime/batch_runner.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "support/check.h"
#include "support/lanes.h"

namespace gradc {
namespace {

int64_t findPort(const gradc_port *ports, int64_t count, std::string_view name) {
  for (int64_t i = 0; i < count; ++i)
    if (name == ports[i].name)
      return i;
  return -1;
}

/// Of a program for the CPU: others have steps of another kind.
bool runsOnOneThread(const gradc_program &program) {
  if (!program.steps)
    return false;
  const std::span steps(program.steps, static_cast<size_t>(program.num_steps));
  return std::ranges::none_of(
      steps, [](const gradc_step &step) { return ThreadPool::isShared(step.items, step.work); });
}

} // namespace

bool isInLanes(const gradc_port &port) { return port.layout == kLayoutN16; }

BatchRunner::BatchRunner(const gradc_program &program, ThreadPool &pool)
    : program_(program), pool_(pool), runsOnOneThread_(runsOnOneThread(program)) {}

StatusOr<StoredVariable *> BatchRunner::variableOf(const gradc_program &program, int64_t index,
                                                   VariableStore &variables) {
  const gradc_port &port = program.vars[index];
  StoredVariable *variable = variables.find(port.name);
  if (!variable || variable->data.size() != port.bytes)
    return failure(ExitCode::Internal, fmt::format("program '{}': variable '{}' does not fit the model's",
                                                   program.name, port.name));
  return variable;
}

void BatchRunner::feed(std::span<const InputSpec> inputs) {
  for (int64_t i = 0; i < program_.num_args; ++i)
    for (size_t field = 0; field < inputs.size(); ++field)
      if (inputs[field].name == program_.args[i].name) {
        fed_.push_back({field, i});
        batch_.push_back(
            {nullptr, nullptr, isInLanes(program_.args[i]), static_cast<DType>(program_.args[i].dtype)});
      }
}

bool BatchRunner::isFed(int64_t argument) const {
  return std::ranges::find(fed_, argument, &Fed::argument) != fed_.end();
}

void *BatchRunner::argument(std::string_view name) {
  const int64_t index = findPort(program_.args, program_.num_args, name);
  return index < 0 ? nullptr : argumentMemory(index);
}

const void *BatchRunner::result(std::string_view name) const {
  const int64_t index = findPort(program_.results, program_.num_results, name);
  return index < 0 ? nullptr : resultMemory(index);
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
  CHECK(memory, "program '{}' has no result '{}'", program_.name, name);
  float value;
  std::memcpy(&value, memory, sizeof value);
  return value;
}

Status BatchRunner::start(const Dataset &dataset, std::span<const int64_t> examples) {
  for (size_t i = 0; i < fed_.size(); ++i) {
    const Field &field = dataset.fields[fed_[i].field];
    const gradc_port &port = program_.args[fed_[i].argument];
    const Status status = checkBatchPort(port, field);
    CHECK(status.ok(), "{}", status.text);
    CHECK(port.shape[0] == static_cast<int64_t>(examples.size()), "batch of {}, got {} examples",
          port.shape[0], examples.size());
    batch_[i].field = &field;
    batch_[i].target = argumentMemory(fed_[i].argument);
  }
  gatherBatch(pool_, batch_, examples, runsOnOneThread_);
  return start();
}

Status BatchRunner::run(const Dataset &dataset, std::span<const int64_t> examples) {
  const Status started = start(dataset, examples);
  return started.ok() ? finish() : started;
}

Status BatchRunner::run() {
  const Status started = start();
  return started.ok() ? finish() : started;
}

} // namespace gradc
