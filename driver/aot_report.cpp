#include "driver/aot_report.h"

#include <set>

#include <fmt/format.h>

#include "codegen/cpu/object_code.h"

namespace gradc {
namespace {

struct Row {
  std::string name;
  int64_t code = 0, constants = 0, weights = 0, scratch = 0;
};

int64_t weightsOf(const gradc_program &program, const gradc_step &step) {
  std::set<int32_t> variables;
  for (int32_t i = 0; i < step.num_refs; ++i)
    if (const gradc_ref &ref = program.refs[step.first_ref + i]; ref.space == GRADC_SPACE_VAR)
      variables.insert(ref.index);
  int64_t bytes = 0;
  for (int32_t variable : variables)
    bytes += program.vars[variable].bytes;
  return bytes;
}

/// Adds the program's table. `seen` are kernels whose code was counted.
std::string programReport(const CompiledInstance &instance, std::set<std::string> &seen, int64_t &total) {
  const gradc_program &program = instance.program->program();
  const auto objects = instance.program->objects();
  std::string text = fmt::format("@{} for a batch of {}\n{:<44} {:>9} {:>9} {:>11} {:>9}\n", program.name,
                                 instance.key.batch, "step", "code", "constants", "weights", "scratch");
  for (int64_t i = 0; i < program.num_steps; ++i) {
    const gradc_step &step = program.steps[i];
    Row row{.name = step.name, .weights = weightsOf(program, step), .scratch = step.scratch_bytes};
    for (const auto &object : objects)
      if (instance.program->symbol(i).starts_with(object.symbol) && seen.insert(object.symbol).second) {
        const ObjectSize size = sizeOfObject(object.bytes);
        row.code = size.code;
        row.constants = size.constants;
      }
    total += row.code + row.constants;
    text += fmt::format("{:<44} {:>9} {:>9} {:>11} {:>9}\n", row.name,
                        row.code > 0 ? std::to_string(row.code) : "shared", row.constants, row.weights,
                        row.scratch);
  }
  int64_t variables = 0;
  for (int64_t i = 0; i < program.num_vars; ++i)
    variables += program.vars[i].bytes;
  return text + fmt::format("variables {}, arena {}, scratch of a thread {}\n\n", variables,
                            program.arena_bytes, program.scratch_bytes);
}

} // namespace

std::string sizeReport(const std::vector<CompiledVersion> &versions) {
  std::string text;
  int64_t total = 0;
  for (const CompiledVersion &version : versions) {
    std::set<std::string> seen;
    text += fmt::format("{}\n", version.target.name);
    for (const CompiledInstance &instance : version.instances)
      text += programReport(instance, seen, total);
  }
  return text + fmt::format("{} bytes of code and constants\n", total);
}

} // namespace gradc
