#include "driver/aot_interface.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

#include "runtime/init.h"

namespace gradc {
namespace {

constexpr int64_t kAlignment = 64;

int64_t roundUp(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Words that no parameter or field may have in C99 or C++, and the names that the functions use themselves.
constexpr std::string_view kTaken[] = {
    "auto",      "bool",      "break", "case",     "char",           "class",    "const",   "continue",
    "default",   "delete",    "do",    "double",   "else",           "enum",     "extern",  "float",
    "for",       "goto",      "hyper", "if",       "inline",         "int",      "long",    "metrics",
    "namespace", "new",       "n",     "operator", "params",         "private",  "public",  "register",
    "restrict",  "return",    "short", "signed",   "sizeof",         "state",    "static",  "struct",
    "switch",    "template",  "this",  "typedef",  "union",          "unsigned", "virtual", "void",
    "volatile",  "workspace", "while", "parallel", "workspace_bytes"};

int64_t addBlock(std::vector<BlockTensor> &block, const std::vector<VariableSpec> &specs) {
  int64_t offset = 0;
  for (const VariableSpec &spec : specs) {
    const int64_t bytes = elementCount(spec) * static_cast<int64_t>(sizeof(float));
    block.push_back({spec, offset, bytes});
    offset = roundUp(offset + bytes);
  }
  return offset;
}

int32_t portOf(const gradc_port *ports, int64_t count, std::string_view name) {
  for (int64_t i = 0; i < count; ++i)
    if (name == ports[i].name)
      return static_cast<int32_t>(i);
  return -1;
}

void addInputs(ObjectFunction &function, const ObjectParts &parts, const gradc_program &program) {
  for (const InputSpec &input : parts.facts.data.inputs)
    if (const int32_t port = portOf(program.args, program.num_args, input.name); port >= 0)
      function.inputs.push_back(
          {input.name, port, static_cast<DType>(program.args[port].dtype), input.shape, input.classes});
}

void addOutputs(ObjectFunction &function, const ObjectParts &parts, const gradc_program &program) {
  if (function.kind == ProgramKind::TrainStep) {
    std::vector<std::string> names = {"loss"};
    names.insert(names.end(), parts.facts.train.metrics.begin(), parts.facts.train.metrics.end());
    for (const std::string &name : names)
      function.outputs.push_back({.name = name, .port = portOf(program.results, program.num_results, name)});
    return;
  }
  for (int32_t i = 0; i < program.num_results; ++i) {
    const gradc_port &port = program.results[i];
    function.outputs.push_back({port.name,
                                i,
                                static_cast<DType>(port.dtype),
                                {port.shape + 1, port.shape + std::max(port.rank, 1)},
                                0});
  }
}

} // namespace

std::string cName(std::string_view name) {
  std::string text;
  for (char c : name)
    text += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0])))
    text.insert(0, "_");
  return std::ranges::find(kTaken, text) == std::end(kTaken) ? text : text + "_";
}

std::string_view cType(DType dtype) {
  switch (dtype) {
  case DType::F32: return "float";
  case DType::F64: return "double";
  case DType::BF16:
  case DType::F16: return "uint16_t";
  case DType::I8: return "int8_t";
  case DType::U8:
  case DType::Bool: return "uint8_t";
  case DType::I32: return "int32_t";
  case DType::I64: return "int64_t";
  }
  return "void";
}

StatusOr<ObjectInterface> makeInterface(const ObjectParts &parts) {
  ObjectInterface interface;
  interface.prefix = cName(parts.facts.name);
  for (char c : interface.prefix)
    interface.upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  interface.paramBytes = addBlock(interface.params, parts.facts.variables);
  if (parts.train)
    interface.stateBytes = addBlock(interface.state, parts.versions.front().slots);
  for (const HyperParameter &hyper : parts.facts.train.hyper)
    interface.hyper.push_back(hyper.name);
  for (const BlockTensor &tensor : interface.params)
    if (parts.train && tensor.spec.init.kind == InitSpec::Kind::Orthogonal)
      return failure(
          ExitCode::InvalidInput,
          fmt::format("'{}': an object cannot initialise by orthogonal, which needs memory of its own; "
                      "choose another init, or --emit exe",
                      tensor.spec.name));
  return interface;
}

ObjectFunction makeFunction(const ObjectParts &parts, const CompiledVersion &version, ProgramKind kind) {
  ObjectFunction function{.kind = kind};
  for (const CompiledInstance &instance : version.instances)
    if (instance.key.kind == kind)
      function.instances.push_back(&instance);
  if (function.instances.empty())
    return function;
  std::ranges::sort(function.instances, {}, [](const CompiledInstance *i) { return i->key.batch; });
  const gradc_program &program = function.instances.front()->program->program();
  addInputs(function, parts, program);
  addOutputs(function, parts, program);
  for (const CompiledVersion &any : parts.versions)
    for (const CompiledInstance &instance : any.instances)
      if (instance.key.kind == kind)
        function.workspace = std::max(function.workspace, planWorkspace(instance.program->program()).bytes);
  return function;
}

WorkspacePlan planWorkspace(const gradc_program &program) {
  WorkspacePlan plan;
  int64_t at = roundUp(program.arena_bytes);
  for (int64_t i = 0; i < program.num_args; ++i) {
    plan.args.push_back(at);
    at += roundUp(program.args[i].bytes);
  }
  for (int64_t i = 0; i < program.num_results; ++i) {
    plan.results.push_back(at);
    at += roundUp(program.results[i].bytes);
  }
  plan.scratch = at;
  plan.bytes = at + roundUp(program.scratch_bytes);
  return plan;
}

} // namespace gradc
