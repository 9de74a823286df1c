#include "driver/aot_report.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "codegen/cpu/object_code.h"
#include "codegen/cuda/cubin.h"
#include "runtime/cuda/executor.h"
#include "runtime/packed.h"

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

int64_t variableBytes(const gradc_program &program) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < program.num_vars; ++i)
    bytes += program.vars[i].bytes;
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
  return text + fmt::format("variables {}, arena {}, scratch of a thread {}\n\n", variableBytes(program),
                            program.arena_bytes, program.scratch_bytes);
}

/// Bytes of code for CUDA devices, and what they take in the file.
struct CudaBytes {
  int64_t cubins = 0, ptx = 0, packed = 0;

  void add(const gradc_cuda_image &image) {
    (image.is_ptx ? ptx : cubins) += image.bytes;
    packed += static_cast<int64_t>(
        pack({static_cast<const char *>(image.data), static_cast<size_t>(image.bytes)}).size());
  }
  void add(const CudaBytes &more) {
    cubins += more.cubins;
    ptx += more.ptx;
    packed += more.packed;
  }
  std::string text() const {
    return fmt::format("{} bytes of cubins, {} of PTX, in the file {}", cubins, ptx, packed);
  }
};

/// The kernels of the program's cubin; none where all its steps are products.
StatusOr<std::vector<CubinKernel>> kernelsOf(const gradc_cuda_program &program) {
  for (int64_t i = 0; i < program.num_images; ++i)
    if (const gradc_cuda_image &image = program.images[i]; !image.is_ptx)
      return readCubin({static_cast<const char *>(image.data), static_cast<size_t>(image.bytes)});
  return std::vector<CubinKernel>{};
}

std::string launchRow(const gradc_step &step, int64_t sharedBytes, const CubinKernel *kernel, bool isNew,
                      int64_t weights) {
  constexpr int64_t kInstructionBytes = 16;
  if (!kernel)
    return fmt::format("{:<44} {:>9} {:>9} {:>5} {:>6} {:>11}\n", step.name, "library", "", "", "", weights);
  return fmt::format("{:<44} {:>9} {:>9} {:>5} {:>6} {:>11}\n", step.name,
                     isNew ? std::to_string(kernel->instructions * kInstructionBytes) : "shared",
                     kernel->registers, kernel->stackBytes, kernel->sharedBytes + sharedBytes, weights);
}

StatusOr<std::string> cudaProgramReport(const CompiledInstance &instance, CudaBytes &bytes) {
  const gradc_cuda_program &program = cuda::programOf(instance.program->program());
  const StatusOr<std::vector<CubinKernel>> kernels = kernelsOf(program);
  if (!kernels)
    return std::unexpected(kernels.error());
  CudaBytes own;
  for (int64_t i = 0; i < program.num_images; ++i)
    own.add(program.images[i]);
  bytes.add(own);
  std::string text =
      fmt::format("@{} for a batch of {}: {}\n{:<44} {:>9} {:>9} {:>5} {:>6} {:>11}\n", program.table.name,
                  instance.key.batch, own.text(), "step", "code", "registers", "stack", "shared", "weights");
  std::set<std::string> seen;
  for (int64_t i = 0; i < program.table.num_steps; ++i) {
    const std::string &symbol = instance.program->symbol(i);
    const auto kernel = std::ranges::find(*kernels, symbol, &CubinKernel::name);
    const gradc_step &step = program.table.steps[i];
    text += launchRow(step, program.steps[i].shared_bytes, kernel == kernels->end() ? nullptr : &*kernel,
                      seen.insert(symbol).second, weightsOf(program.table, step));
  }
  return text +
         fmt::format("variables {}, arena {}\n\n", variableBytes(program.table), program.table.arena_bytes);
}

StatusOr<std::string> cudaVersionReport(const CompiledVersion &version, int64_t &total) {
  CudaBytes bytes;
  std::string text;
  for (const CompiledInstance &instance : version.instances) {
    StatusOr<std::string> report = cudaProgramReport(instance, bytes);
    if (!report)
      return report;
    text += *report;
  }
  total += bytes.packed;
  return fmt::format("{}: {}\n{}", version.cuda()->name(), bytes.text(), text);
}

} // namespace

StatusOr<std::string> sizeReport(const std::vector<CompiledVersion> &versions) {
  std::string text;
  int64_t total = 0;
  for (const CompiledVersion &version : versions) {
    if (version.cuda()) {
      StatusOr<std::string> report = cudaVersionReport(version, total);
      if (!report)
        return report;
      text += *report;
      continue;
    }
    std::set<std::string> seen;
    text += fmt::format("{}\n", version.processor().name);
    for (const CompiledInstance &instance : version.instances)
      text += programReport(instance, seen, total);
  }
  return text + fmt::format("{} bytes of code and constants\n", total);
}

} // namespace gradc
