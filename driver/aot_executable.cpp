#include "driver/aot_executable.h"

#include <fmt/format.h>

#include "codegen/table_text.h"
#include "driver/toolchain.h"
#include "runtime/packed.h"

namespace gradc {
namespace {

std::string instanceTable(TableText &tables, const CompiledVersion &version, const std::string &name) {
  std::string rows;
  for (const CompiledInstance &instance : version.instances) {
    const std::string program =
        fmt::format("{}_{}_b{}", name, functionName(instance.key.kind), instance.key.batch);
    tables.addProgram(program, *instance.program);
    rows +=
        fmt::format("  {{{}, {}, &{}}},\n", static_cast<int>(instance.key.kind), instance.key.batch, program);
  }
  return fmt::format("static const gradc_instance {}_instances[] = {{\n{}}};\n", name, rows);
}

/// The assembler reads the bytes: as C text they would be slow to compile.
std::string embeddedWeights() {
  return "__asm__(\".section .rodata\\n.balign 64\\ngradc_weights: .incbin "
         "\\\"weights.safetensors\\\"\\n.text\\n\");\n"
         "extern const char gradc_weights[] __attribute__((visibility(\"hidden\")));\n";
}

std::string imageText(const ExecutableParts &parts) {
  TableText tables;
  tables.add("#include \"runtime/image.h\"\n\n");
  std::string versions;
  for (size_t i = 0; i < parts.versions.size(); ++i) {
    const CompiledVersion &version = parts.versions[i];
    const std::string name = fmt::format("v{}", i);
    tables.add(instanceTable(tables, version, name));
    versions += fmt::format("  {{{}, UINT64_C({:#x}), {}_instances, {}}},\n", cString(version.target.name),
                            version.features, name, version.instances.size());
  }
  if (!parts.weights.empty())
    tables.add(embeddedWeights());
  const std::string facts = toJson(parts.image), packed = pack(facts);
  tables.add(fmt::format("static const gradc_version versions[] = {{\n{}}};\n"
                         "const gradc_image gradc_model_image = {{{}, versions, {}, {}, {}, {}, {}}};\n",
                         versions, cString(packed), parts.weights.empty() ? "0" : "gradc_weights",
                         parts.versions.size(), parts.weights.size(), packed.size(), facts.size()));
  return tables.text();
}

std::vector<std::string> linkCommand(const std::vector<std::string> &kernels, bool isStatic) {
  const std::string runtime = runtimeFolder();
  std::vector<std::string> command = {"cc",     "-o", "linked", "-O1", "-fPIE", "-I" + runtime + "/include",
                                      "model.c"};
  command.insert(command.end(), kernels.begin(), kernels.end());
  command.push_back(runtime + "/libgradc_standalone.a");
  for (const char *word : {"-lstdc++", "-lm", "-lz", "-pthread", "-Wl,--gc-sections", "-Wl,-O1",
                           "-Wl,--as-needed", "-Wl,--build-id=none", "-Wl,-z,noexecstack"})
    command.emplace_back(word);
  command.emplace_back(isStatic ? "-static-pie" : "-pie");
  return command;
}

} // namespace

StatusOr<std::string> linkExecutable(const ExecutableParts &parts) {
  StatusOr<LinkFolder> folder = LinkFolder::create();
  if (!folder)
    return std::unexpected(folder.error());
  StatusOr<std::vector<std::string>> kernels = writeKernels(*folder, parts.versions);
  if (!kernels)
    return std::unexpected(kernels.error());
  Status done = folder->write("model.c", imageText(parts));
  if (done.ok() && !parts.weights.empty())
    done = folder->write("weights.safetensors", parts.weights);
  if (done.ok())
    done = folder->run(linkCommand(*kernels, parts.isStatic));
  if (done.ok() && parts.debug)
    return folder->read("linked");
  // Of all symbols only the layers' names stay: for profilers.
  if (done.ok())
    done = folder->run({"objcopy", "-w", "--strip-all", "-K", "train_step.b*", "-K", "eval.b*", "-K",
                        "infer.b*", "linked", "model"});
  if (!done.ok())
    return std::unexpected(done);
  return folder->read("model");
}

} // namespace gradc
