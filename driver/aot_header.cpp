// NAME.h of a compiled object.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "driver/aot_interface.h"
#include "driver/toolchain.h"
#include "support/files.h"
#include "support/hash.h"

namespace gradc {
namespace {

std::string shapeText(const PassedTensor &tensor) {
  std::string text = "n";
  for (int64_t dim : tensor.shape)
    text += fmt::format(",{}", dim);
  return fmt::format("{}[{}]", dtypeName(tensor.dtype), text);
}

std::string describe(const ObjectFunction &function) {
  std::string text;
  for (const auto *list : {&function.inputs, &function.outputs})
    for (const PassedTensor &tensor : *list)
      text += fmt::format("{}{}: {}", text.empty() ? "" : ". ", tensor.name, shapeText(tensor));
  return text;
}

std::string batches(const ObjectFunction &function) {
  std::vector<int64_t> sizes;
  for (const CompiledInstance *instance : function.instances)
    sizes.push_back(instance->key.batch);
  return fmt::format("{}", fmt::join(sizes, ", "));
}

std::string sizes(const ObjectParts &parts, const ObjectInterface &face, const ObjectFunction &infer,
                  const ObjectFunction &step) {
  const auto define = [&](std::string_view name, int64_t value, std::string_view comment) {
    return fmt::format("#define {:<32} {}u{}\n", face.upper + "_" + std::string(name), value, comment);
  };
  std::string text =
      define("ALIGN", 64, " /* of params, state and workspace; inputs and outputs: of their element */") +
      define("PARAM_BYTES", face.paramBytes, "");
  if (parts.train)
    text += define("STATE_BYTES", face.stateBytes, "");
  text += define("INFER_WORKSPACE", infer.workspace,
                 " /* for any n: more than the largest batch is done in pieces */") +
          define("INFER_BATCH", infer.largestBatch(), fmt::format(" /* compiled for {} */", batches(infer)));
  int64_t scratch = 0;
  for (const CompiledVersion &version : parts.versions)
    for (const CompiledInstance &instance : version.instances)
      scratch = std::max(scratch, instance.program->program().scratch_bytes);
  text += define("THREAD_WORKSPACE", (scratch + 63) / 64 * 64,
                 " /* more of it for each further thread to be used */");
  if (parts.train)
    text += define("TRAIN_WORKSPACE", step.workspace, "") +
            define("TRAIN_BATCH", step.largestBatch(),
                   fmt::format(" /* n of a step is one of {} */", batches(step)));
  return text;
}

std::string functionText(const ObjectParts &parts, const ObjectInterface &face, const ObjectFunction &infer,
                         const ObjectFunction &step) {
  const std::string &p = face.prefix;
  std::string text =
      fmt::format("const gradc_model *{}_model(void);\nconst char *{}_status_text(gradc_status s);\n"
                  "gradc_status {}_check_cpu(void); /* GRADC_E_CPU where instructions are missing; call "
                  "it first */\n",
                  p, p, p);
  if (parts.train)
    text += initDeclaration(face) + ";\n";
  text += loadDeclaration(parts, face) + ";\n" + saveDeclaration(parts, face) + ";\n";
  text += fmt::format("/* {}.{} */\n{};\n", describe(infer),
                      parts.weights.empty() ? "" : " params NULL: the embedded ones.",
                      inferDeclaration(face, infer));
  if (parts.train)
    text += stepDeclaration(face, step) + ";\n";
  return text;
}

/// A float constant that reads back to the same bits.
std::string floatText(double value) {
  std::string text = fmt::format("{}", static_cast<float>(value));
  return text.find_first_of(".en") == std::string::npos ? text + ".0f" : text + "f";
}

std::string structs(const ObjectParts &parts, const ObjectInterface &face, const ObjectFunction &step) {
  if (!parts.train)
    return "";
  std::string text = "typedef struct {", values;
  for (const HyperParameter &hyper : parts.facts.train.hyper) {
    text += fmt::format(" float {};", cName(hyper.name));
    values += floatText(hyper.base) + ", ";
  }
  text += fmt::format(" uint64_t epoch, step, seed; }} {}_hyper; /* epoch is yours: no kernel reads it */\n",
                      face.prefix);
  text += fmt::format("#define {}_HYPER {{{}0, 0, {}u}} /* what the model file starts with */\n", face.upper,
                      values, parts.facts.train.seed);
  text += "typedef struct {";
  for (const PassedTensor &value : step.outputs)
    text += fmt::format(" float {};", cName(value.name));
  return text + fmt::format(" }} {}_metrics; /* means over the n examples */\n", face.prefix);
}

} // namespace

std::string initDeclaration(const ObjectInterface &face) {
  return fmt::format(
      "gradc_status {}_init_params(void *params, size_t param_bytes, void *state, size_t state_bytes, "
      "uint64_t seed)",
      face.prefix);
}

std::string loadDeclaration(const ObjectParts &parts, const ObjectInterface &face) {
  return fmt::format(
      "gradc_status {}_load(void *params, size_t param_bytes, {}const gradc_stream *safetensors)",
      face.prefix, parts.train ? "void *state, size_t state_bytes, " : "");
}

std::string saveDeclaration(const ObjectParts &parts, const ObjectInterface &face) {
  return fmt::format(
      "gradc_status {}_save(const void *params, size_t param_bytes, {}const gradc_stream *safetensors)",
      face.prefix, parts.train ? "const void *state, size_t state_bytes, " : "");
}

std::string inferDeclaration(const ObjectInterface &face, const ObjectFunction &infer) {
  std::string text = fmt::format("gradc_status {}_infer(size_t n", face.prefix);
  for (const PassedTensor &input : infer.inputs)
    text += fmt::format(", const {} *{}", cType(input.dtype), cName(input.name));
  for (const PassedTensor &output : infer.outputs)
    text += fmt::format(", {} *{}", cType(output.dtype), cName(output.name));
  return text +
         ", const void *params, void *workspace, size_t workspace_bytes, const gradc_parallel *parallel)";
}

std::string stepDeclaration(const ObjectInterface &face, const ObjectFunction &step) {
  std::string text = fmt::format("gradc_status {}_train_step(size_t n", face.prefix);
  for (const PassedTensor &input : step.inputs)
    text += fmt::format(", const {} *{}", cType(input.dtype), cName(input.name));
  return text + fmt::format(", void *params, void *state, const {0}_hyper *hyper, {0}_metrics *metrics, void "
                            "*workspace, size_t workspace_bytes, const gradc_parallel *parallel)",
                            face.prefix);
}

StatusOr<std::string> objectHeader(const ObjectParts &parts) {
  StatusOr<ObjectInterface> face = makeInterface(parts);
  if (!face)
    return std::unexpected(face.error());
  StatusOr<std::string> common = readFile(runtimeFolder() + "/include/runtime/embed/model.h");
  if (!common)
    return std::unexpected(common.error());
  const ObjectFunction infer = makeFunction(parts, parts.versions.front(), ProgramKind::Infer);
  const ObjectFunction step = makeFunction(parts, parts.versions.front(), ProgramKind::TrainStep);
  return fmt::format(
      "/* {}.h, generated by gradc from {} (hash {}). Nothing here allocates, prints or exits; the caller "
      "owns all memory. */\n#ifndef {}_H\n#define {}_H\n#include <stddef.h>\n#include <stdint.h>\n"
      "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n{}{}{}{}#ifdef __cplusplus\n}}\n#endif\n#endif\n",
      face->prefix, parts.modelFile, hex(hash128(parts.identity)), face->upper, face->upper, *common,
      sizes(parts, *face, infer, step), structs(parts, *face, step), functionText(parts, *face, infer, step));
}

} // namespace gradc
