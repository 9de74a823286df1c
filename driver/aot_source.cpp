// The C file of a compiled object: tables, descriptions and the functions of its header.
#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codegen/table_text.h"
#include "driver/aot_interface.h"
#include "driver/toolchain.h"
#include "runtime/init.h"
#include "support/check.h"
#include "support/hash.h"
#include "support/safetensors.h"

namespace gradc {
namespace {

/// "static const T name[] = {a, b};", or nothing where there are no rows.
std::string array(std::string_view type, std::string_view name, const std::vector<std::string> &rows) {
  return rows.empty() ? ""
                      : fmt::format("static const {} {}[] = {{{}}};\n", type, name, fmt::join(rows, ", "));
}

std::string nameOr0(std::string_view name, const std::vector<std::string> &rows) {
  return rows.empty() ? "0" : std::string(name);
}

/// What gradc writes before the data of these tensors: read from a file that it wrote.
std::string headerOf(const std::vector<TensorView> &tensors,
                     const std::map<std::string, std::string> &metadata) {
  StatusOr<LinkFolder> folder = LinkFolder::create();
  CHECK(folder, "{}", folder.error().text);
  const std::string name = "header.safetensors";
  const Status written = writeSafeTensors(folder->path(name), tensors, metadata);
  CHECK(written.ok(), "{}", written.text);
  const StatusOr<std::string> file = folder->read(name);
  CHECK(file && file->size() >= 8, "a file of {} bytes", file ? file->size() : 0);
  uint64_t length = 0;
  std::memcpy(&length, file->data(), sizeof length);
  return file->substr(sizeof length, length);
}

/// Bytes of a file beside the C file. The assembler reads them: as C text they would be slow to compile.
std::string embedded(std::string_view type, std::string_view name, std::string_view file) {
  return fmt::format("extern const {} {}[] __attribute__((visibility(\"hidden\")));\n"
                     "__asm__(\".section .rodata\\n.balign 64\\n{}: .incbin \\\"{}\\\"\\n.text\\n\");\n",
                     type, name, name, file);
}

class Source {
public:
  Source(const ObjectParts &parts, const ObjectInterface &face) : parts_(parts), face_(face) {}
  std::string text();

private:
  void addVersion(size_t number);
  void addFunction(const CompiledVersion &version, const std::string &name, ProgramKind kind);
  std::string addUnit(const CompiledInstance &instance, const std::string &name);
  std::vector<std::string> varRows(const gradc_program &program) const;
  void addModel();
  void addTensors(std::string_view name, const std::vector<BlockTensor> &block);
  void addPassed(std::string_view name, const std::vector<PassedTensor> &tensors);
  void addVersionChoice();
  void addFixedFunctions();
  void addInit();
  void addFiles();
  void addFile(std::string_view name, bool state);
  void addInfer();
  void addStep();
  std::string function(std::string_view name) const;

  const ObjectParts &parts_;
  const ObjectInterface &face_;
  TableText tables_;
};

std::vector<std::string> Source::varRows(const gradc_program &program) const {
  std::vector<std::string> rows;
  for (int64_t i = 0; i < program.num_vars; ++i)
    for (const auto &[block, inState] : {std::pair{&face_.params, 0}, {&face_.state, 1}})
      for (const BlockTensor &tensor : *block)
        if (tensor.spec.name == program.vars[i].name)
          rows.push_back(fmt::format("{{{}, {}}}", tensor.offset, inState));
  return rows;
}

std::string Source::addUnit(const CompiledInstance &instance, const std::string &name) {
  const gradc_program &program = instance.program->program();
  tables_.addProgram(name, *instance.program);
  const WorkspacePlan plan = planWorkspace(program);
  double work = 0;
  for (int64_t i = 0; i < program.num_steps; ++i)
    work += program.steps[i].work;
  const auto texts = [](const std::vector<int64_t> &numbers) {
    std::vector<std::string> rows;
    for (int64_t number : numbers)
      rows.push_back(std::to_string(number));
    return rows;
  };
  const std::vector<std::string> vars = varRows(program), args = texts(plan.args),
                                 results = texts(plan.results);
  tables_.add(array("gradc_slot", name + "_slots", vars) + array("size_t", name + "_at_args", args) +
              array("size_t", name + "_at_results", results));
  return fmt::format("{{&{}, {}, {:a}, {}, {}, {}, {}}}", name, instance.key.batch, work,
                     nameOr0(name + "_slots", vars), nameOr0(name + "_at_args", args),
                     nameOr0(name + "_at_results", results), plan.scratch);
}

void Source::addFunction(const CompiledVersion &version, const std::string &name, ProgramKind kind) {
  const ObjectFunction function = makeFunction(parts_, version, kind);
  std::vector<std::string> units, inputs, outputs;
  for (const CompiledInstance *instance : function.instances)
    units.push_back("\n  " + addUnit(*instance, fmt::format("{}_b{}", name, instance->key.batch)));
  const auto pass = [](const PassedTensor &tensor) {
    return fmt::format("{{{}, sizeof({}), {}}}", tensor.port, cType(tensor.dtype), tensor.classes);
  };
  for (const PassedTensor &input : function.inputs)
    inputs.push_back(pass(input));
  for (const PassedTensor &output : function.outputs)
    outputs.push_back(pass(output));
  tables_.add(array("gradc_unit", name + "_units", units) + array("gradc_pass", name + "_inputs", inputs) +
              array("gradc_pass", name + "_outputs", outputs));
  tables_.add(fmt::format(
      "static const gradc_function {0} = {{{0}_units, {1}, {2}, {0}_inputs, {0}_outputs, {3}, {4}}};\n\n",
      name, units.size(), function.workspace, inputs.size(), outputs.size()));
}

void Source::addVersion(size_t number) {
  const CompiledVersion &version = parts_.versions[number];
  addFunction(version, fmt::format("infer_v{}", number), ProgramKind::Infer);
  if (parts_.train)
    addFunction(version, fmt::format("step_v{}", number), ProgramKind::TrainStep);
}

void Source::addTensors(std::string_view name, const std::vector<BlockTensor> &block) {
  std::vector<std::string> rows;
  for (const BlockTensor &tensor : block)
    rows.push_back(fmt::format(
        "\n  {{{}, GRADC_F32, {}, {{{}}}, {}, {}}}", cString(tensor.spec.name), tensor.spec.shape.size(),
        tensor.spec.shape.empty() ? "0" : fmt::format("{}", fmt::join(tensor.spec.shape, ", ")),
        tensor.offset, tensor.bytes));
  tables_.add(array("gradc_tensor", name, rows));
}

void Source::addPassed(std::string_view name, const std::vector<PassedTensor> &tensors) {
  std::vector<std::string> rows;
  for (const PassedTensor &tensor : tensors) {
    std::string shape = "-1";
    int64_t bytes = static_cast<int64_t>(dtypeSize(tensor.dtype));
    for (int64_t dim : tensor.shape) {
      shape += fmt::format(", {}", dim);
      bytes *= dim;
    }
    rows.push_back(fmt::format("\n  {{{}, (gradc_dtype){}, {}, {{{}}}, 0, {}}}", cString(tensor.name),
                               static_cast<int>(tensor.dtype), tensor.shape.size() + 1, shape, bytes));
  }
  tables_.add(array("gradc_tensor", name, rows));
}

void Source::addModel() {
  const ObjectFunction widest = makeFunction(parts_, parts_.versions.front(),
                                             parts_.train ? ProgramKind::TrainStep : ProgramKind::Infer);
  const ObjectFunction infer = makeFunction(parts_, parts_.versions.front(), ProgramKind::Infer);
  addPassed("inputs", widest.inputs);
  addPassed("outputs", infer.outputs);
  addTensors("params_of_model", face_.params);
  addTensors("state_of_model", face_.state);
  std::vector<std::string> classes, targets;
  for (const std::string &name : parts_.facts.data.classNames)
    classes.push_back(cString(name));
  for (const CompiledVersion &version : parts_.versions)
    targets.push_back(version.processor().triple + "/" + version.processor().name);
  tables_.add(array("char *const", "classes", classes));
  tables_.add(fmt::format("const gradc_model *{}_model(void) {{\n  static const gradc_model model = "
                          "{{GRADC_ABI, {}, {}, {}, {}, {}, {}, {}, {}, "
                          "{}, {}, {}, {}, {}}};\n  return &model;\n}}\n\n",
                          face_.prefix, cString(parts_.facts.name), cString(hex(hash128(parts_.identity))),
                          cString(fmt::format("{}", fmt::join(targets, " "))), widest.inputs.size(),
                          infer.outputs.size(), face_.params.size(), face_.state.size(), classes.size(),
                          widest.inputs.empty() ? "0" : "inputs", infer.outputs.empty() ? "0" : "outputs",
                          face_.params.empty() ? "0" : "params_of_model",
                          face_.state.empty() ? "0" : "state_of_model", nameOr0("classes", classes)));
}

/// With several versions the best is remembered, the only thing that an object keeps: cpuid leaves a virtual machine,
/// which takes longer than a small model. Every thread finds the same, so it does not matter who is first.
void Source::addVersionChoice() {
  tables_.add("static int gradc_version_here(void) {\n  static const uint64_t needed[] = {");
  for (const CompiledVersion &version : parts_.versions)
    tables_.add(fmt::format("UINT64_C({:#x}), ", version.features));
  tables_.add(fmt::format(
      "}};\n  const uint64_t missing = ~gradc_cpu_features();\n  for (int i = 0; i < {}; ++i)\n    if "
      "((needed[i] & missing) == 0)\n      return i;\n  return -1;\n}}\n",
      parts_.versions.size()));
  tables_.add(fmt::format(
      "gradc_status {}_check_cpu(void) {{ return gradc_version_here() < 0 ? GRADC_E_CPU : GRADC_OK; }}\n",
      face_.prefix));
  if (parts_.versions.size() == 1)
    return;
  tables_.add(
      "static int gradc_version_known(void) {\n  static int known; /* 1 + the version */\n  int version = "
      "__atomic_load_n(&known, __ATOMIC_RELAXED);\n  if (version == 0)\n    __atomic_store_n(&known, version "
      "= 1 + "
      "gradc_version_here(), __ATOMIC_RELAXED);\n  return version - 1;\n}\n");
  for (const char *name : {"infer", "step"}) {
    if (name == std::string_view("step") && !parts_.train)
      continue;
    tables_.add(fmt::format("static const gradc_function *{}_versions[] = {{", name));
    for (size_t i = 0; i < parts_.versions.size(); ++i)
      tables_.add(fmt::format("&{}_v{}, ", name, i));
    tables_.add("};\n");
  }
}

/// The expression for the function's table on this processor, after a check.
std::string Source::function(std::string_view name) const {
  if (parts_.versions.size() == 1)
    return fmt::format("  const gradc_function *function = &{}_v0;\n", name);
  return fmt::format("  const int version = gradc_version_known();\n  const gradc_function *function = "
                     "{}_versions[version < "
                     "0 ? 0 : version];\n  if (version < 0)\n    return GRADC_E_CPU;\n",
                     name);
}

void Source::addFixedFunctions() {
  tables_.add(fmt::format("const char *{}_status_text(gradc_status s) {{\n  static const char *const texts[] "
                          "= {{\"ok\", \"a pointer that is "
                          "needed is null\", \"a block or the workspace is too small, or there are no "
                          "examples\", \"a pointer is not "
                          "aligned\", \"no training step was compiled for this number of examples\", \"a "
                          "label is out of range\", \"the loss "
                          "is not finite\", \"this processor lacks instructions that the code needs\", \"the "
                          "stream failed, or is no "
                          "safetensors file of this model\"}};\n  return (unsigned)s < sizeof texts / sizeof "
                          "*texts ? texts[s] : \"unknown "
                          "status\";\n}}\n\n",
                          face_.prefix));
}

void Source::addInit() {
  std::vector<std::string> rules;
  int64_t values = 0; // of initialisers that are numbers
  for (const BlockTensor &tensor : face_.params) {
    const std::optional<gradc_init_rule> rule = initRule(tensor.spec);
    rules.push_back(
        rule ? fmt::format("\n  {{{}, {:a}, {:a}, UINT64_C({:#x}), 0}}", rule->kind, rule->a, rule->b,
                           rule->stream)
             : fmt::format("\n  {{GRADC_INIT_VALUES, 0, 0, 0, gradc_embedded_inits + {}}}", values));
    values += rule ? 0 : elementCount(tensor.spec);
  }
  if (values > 0)
    tables_.add(embedded("float", "gradc_embedded_inits", "inits.bin"));
  tables_.add(array("gradc_init_rule", "rules", rules));
  tables_.add(fmt::format(
      "{} {{\n  gradc_status status = gradc_check_block(params, param_bytes, {});\n  if (status == "
      "GRADC_OK)\n    status = gradc_check_block(state, state_bytes, {});\n  if (status != GRADC_OK)\n "
      "   return status;\n  for (size_t i = 0; i < {}; ++i)\n    gradc_init_tensor((char *)params, "
      "&params_of_model[i], &rules[i], seed);\n  gradc_zero(state, {});\n  return GRADC_OK;\n}}\n\n",
      initDeclaration(face_), face_.paramBytes, face_.stateBytes, face_.params.size(), face_.stateBytes));
}

/// The entries of a weights file, in its order, and the header that gradc would write.
void Source::addFile(std::string_view name, bool state) {
  std::vector<TensorView> views;
  std::vector<std::string> entries;
  std::string zeros;
  std::vector<size_t> sizes;
  std::vector<std::pair<TensorView, std::string>> rows;
  for (const auto &[block, list, base] :
       {std::tuple{&face_.params, "params_of_model", "params"}, {&face_.state, "state_of_model", "state"}})
    for (size_t i = 0; i < block->size(); ++i) {
      if (block == &face_.state && !state)
        continue;
      const BlockTensor &tensor = (*block)[i];
      zeros.resize(std::max(zeros.size(), static_cast<size_t>(tensor.bytes)));
      rows.emplace_back(
          TensorView{tensor.spec.name, DType::F32, tensor.spec.shape, {}},
          fmt::format("{{&{}[{}], (char *)(uintptr_t){} + {}, 0, 0}}", list, i, base, tensor.offset));
      sizes.push_back(static_cast<size_t>(tensor.bytes));
    }
  for (size_t i = 0; i < rows.size(); ++i)
    rows[i].first.bytes = std::string_view(zeros).substr(0, sizes[i]);
  std::ranges::sort(rows, {}, [](const auto &row) { return fileOrder(row.first); });
  for (const auto &[view, entry] : rows) {
    views.push_back(view);
    entries.push_back(entry);
  }
  const std::string header = headerOf(views, parts_.metadata);
  tables_.add(fmt::format(
      "static const char {}_header[] = {};\n#define {}_ENTRIES {{{}}}\nenum {{ {}_count = {}, "
      "{}_header_bytes = {} }};\n",
      name, cString(header), name, fmt::join(entries, ", "), name, entries.size(), name, header.size()));
}

void Source::addFiles() {
  addFile("weights", false);
  if (parts_.train)
    addFile("everything", true);
  for (const auto &[declaration, call] :
       {std::pair{loadDeclaration(parts_, face_),
                  std::string("gradc_load_tensors(safetensors, entries, {0}_count)")},
        {saveDeclaration(parts_, face_),
         std::string("gradc_save_tensors(safetensors, {0}_header, {0}_header_bytes, entries, {0}_count)")}}) {
    tables_.add(fmt::format("{} {{\n  gradc_status status = gradc_check_block(params, param_bytes, {});\n",
                            declaration, face_.paramBytes));
    if (parts_.train)
      tables_.add(fmt::format(
          "  if (status == GRADC_OK && state)\n    status = gradc_check_block(state, state_bytes, {});\n",
          face_.stateBytes));
    tables_.add("  if (status == GRADC_OK && (!safetensors || !safetensors->io))\n    status = "
                "GRADC_E_NULL;\n  if (status != "
                "GRADC_OK)\n    return status;\n");
    if (parts_.train)
      tables_.add(fmt::format(
          "  if (state) {{\n    gradc_entry entries[] = everything_ENTRIES;\n    return {};\n  }}\n",
          fmt::format(fmt::runtime(call), "everything")));
    tables_.add(
        fmt::format("  {{\n    gradc_entry entries[] = weights_ENTRIES;\n    return {};\n  }}\n}}\n\n",
                    fmt::format(fmt::runtime(call), "weights")));
  }
}

void Source::addInfer() {
  const ObjectFunction infer = makeFunction(parts_, parts_.versions.front(), ProgramKind::Infer);
  std::vector<std::string> inputs, outputs;
  for (const PassedTensor &input : infer.inputs)
    inputs.push_back(cName(input.name));
  for (const PassedTensor &output : infer.outputs)
    outputs.push_back(cName(output.name));
  tables_.add(inferDeclaration(face_, infer) + " {\n");
  tables_.add(
      fmt::format("  const void *const inputs_here[] = {{{}}};\n  void *const outputs_here[] = {{{}}};\n",
                  inputs.empty() ? "0" : fmt::format("{}", fmt::join(inputs, ", ")),
                  outputs.empty() ? "0" : fmt::format("{}", fmt::join(outputs, ", "))));
  tables_.add(function("infer"));
  if (!parts_.weights.empty())
    tables_.add("  const void *const block = params ? params : gradc_embedded_params;\n");
  tables_.add(fmt::format(
      "  const gradc_memory memory = {{(void *)(uintptr_t){}, 0, workspace, workspace_bytes, parallel}};\n"
      "  const gradc_status status = gradc_check_block(memory.params, {}, {});\n  return status != "
      "GRADC_OK ? status : gradc_infer(function, n, inputs_here, outputs_here, &memory);\n}}\n\n",
      parts_.weights.empty() ? "params" : "block", face_.paramBytes, face_.paramBytes));
}

void Source::addStep() {
  const ObjectFunction step = makeFunction(parts_, parts_.versions.front(), ProgramKind::TrainStep);
  const gradc_program &program = step.instances.front()->program->program();
  std::vector<std::string> inputs, scalars;
  for (const PassedTensor &input : step.inputs)
    inputs.push_back(cName(input.name));
  const auto scalar = [&](std::string_view name, std::string_view size, const std::string &value) {
    for (int64_t i = 0; i < program.num_args; ++i)
      if (name == program.args[i].name)
        scalars.push_back(fmt::format("{{{}, {}, &{}}}", i, size, value));
  };
  for (const std::string &name : face_.hyper)
    scalar(name, "4", "hyper->" + cName(name));
  scalar("seed", "8", "hyper->seed");
  scalar("step", "8", "hyper->step");
  scalar("row0", "8", "row0");
  tables_.add(stepDeclaration(face_, step) + " {\n" + function("step"));
  tables_.add(fmt::format(
      "  static const uint64_t row0 = 0;\n  float values[{}];\n  const void *const inputs_here[] = {{{}}};\n"
      "  const gradc_memory memory = {{params, state, workspace, workspace_bytes, parallel}};\n"
      "  gradc_status status = hyper && metrics ? GRADC_OK : GRADC_E_NULL;\n"
      "  (void)row0;\n"
      "  if (status == GRADC_OK)\n    status = gradc_check_block(params, {}, {});\n"
      "  if (status == GRADC_OK)\n    status = gradc_check_block(state, {}, {});\n"
      "  if (status != GRADC_OK)\n    return status;\n  {{\n",
      step.outputs.size(), inputs.empty() ? "0" : fmt::format("{}", fmt::join(inputs, ", ")),
      face_.paramBytes, face_.paramBytes, face_.stateBytes, face_.stateBytes));
  if (scalars.empty())
    scalars.emplace_back("{0, 0, 0}");
  tables_.add(fmt::format(
      "    const gradc_scalar scalars[] = {{{}}};\n    status = gradc_step_once(function, n, inputs_here, "
      "scalars, sizeof scalars / sizeof *scalars, values, hyper->step, {}, {}, &memory);\n  }}\n"
      "  if (status != GRADC_OK && status != GRADC_E_NONFINITE)\n    return status;\n",
      fmt::join(scalars, ", "), face_.state.empty() ? "0" : "state_of_model", face_.state.size()));
  for (size_t i = 0; i < step.outputs.size(); ++i)
    tables_.add(fmt::format("  metrics->{} = values[{}];\n", cName(step.outputs[i].name), i));
  tables_.add("  return status;\n}\n");
}

std::string Source::text() {
  int64_t refs = 1, ports = 1;
  for (const CompiledVersion &version : parts_.versions)
    for (const CompiledInstance &instance : version.instances) {
      const gradc_program &program = instance.program->program();
      ports = std::max({ports, program.num_args, program.num_results});
      for (int64_t i = 0; i < program.num_steps; ++i)
        refs = std::max<int64_t>(refs, program.steps[i].num_refs);
    }
  tables_.add(fmt::format("#define GRADC_MAX_REFS {}\n#define GRADC_MAX_PORTS {}\n#include \"model.h\"\n"
                          "#include \"runtime/embed/entry.h\"\n#include \"runtime/embed/tensors.h\"\n"
                          "#include \"support/cpu_features.h\"\n\n",
                          refs, ports));
  if (!parts_.weights.empty())
    tables_.add(embedded("char", "gradc_embedded_params", "params.bin"));
  for (size_t i = 0; i < parts_.versions.size(); ++i)
    addVersion(i);
  addModel();
  addVersionChoice();
  addFixedFunctions();
  if (parts_.train)
    addInit();
  addFiles();
  addInfer();
  if (parts_.train)
    addStep();
  return tables_.text();
}

} // namespace

StatusOr<std::string> objectSource(const ObjectParts &parts) {
  StatusOr<ObjectInterface> face = makeInterface(parts);
  if (!face)
    return std::unexpected(face.error());
  return Source(parts, *face).text();
}

} // namespace gradc
