#include "runtime/programs.h"

namespace gradc {

StatusOr<BatchRunner *> Runners::get(ProgramKind kind, int64_t batch) {
  const std::pair key{kind, batch};
  if (const auto it = runners_.find(key); it != runners_.end())
    return it->second.get();
  StatusOr<const gradc_program *> program = source_.get(kind, batch);
  if (!program)
    return std::unexpected(program.error());
  StatusOr<std::unique_ptr<BatchRunner>> runner = device_.makeRunner(**program, variables_, inputs_);
  if (!runner)
    return std::unexpected(runner.error());
  return (runners_[key] = std::move(*runner)).get();
}

} // namespace gradc
