#include "driver/aot_image.h"

#include <map>

#include <fmt/format.h>

#include "codegen/table_text.h"
#include "runtime/cuda/executor.h"
#include "runtime/packed.h"
#include "support/check.h"

namespace gradc {
namespace {

/// Bytes of a file as an array of C, which the assembler reads: as C text they would be slow to compile.
std::string includedBytes(std::string_view name, std::string_view file) {
  return fmt::format("__asm__(\".section .rodata\\n.balign 64\\n{0}: .incbin \\\"{1}\\\"\\n.text\\n\");\n"
                     "extern const char {0}[] __attribute__((visibility(\"hidden\")));\n",
                     name, file);
}

/// The C file of an executable's tables, and the files of bytes that it includes.
class ImageSource {
public:
  ImageSource(const ExecutableParts &parts, LinkFolder &folder) : parts_(parts), folder_(folder) {}
  Status write();

private:
  void addInstances(const CompiledVersion &version, const std::string &name);
  std::vector<std::string> imagesOf(const gradc_cuda_program &program);
  /// The name of an array of these bytes; equal ones share it.
  std::string bytes(const std::string &content);
  void addImage(const std::string &versions);

  const ExecutableParts &parts_;
  LinkFolder &folder_;
  TableText tables_;
  std::map<std::string, std::string> arrays_; // names by content
  Status written_;
};

std::string ImageSource::bytes(const std::string &content) {
  const auto [known, isNew] = arrays_.emplace(content, fmt::format("gradc_bytes{:03}", arrays_.size()));
  if (isNew && written_.ok()) {
    written_ = folder_.write(known->second + ".bin", content);
    tables_.add(includedBytes(known->second, known->second + ".bin"));
  }
  return known->second;
}

std::vector<std::string> ImageSource::imagesOf(const gradc_cuda_program &program) {
  std::vector<std::string> rows;
  for (int64_t i = 0; i < program.num_images; ++i) {
    const gradc_cuda_image &image = program.images[i];
    CHECK(image.part == 0, "files have code in one part");
    const std::string packed =
        pack({static_cast<const char *>(image.data), static_cast<size_t>(image.bytes)});
    rows.push_back(fmt::format("{{{}, {}, {}, {}, {}, {}}}", image.architecture, image.is_ptx, image.toolkit,
                               bytes(packed), image.bytes, packed.size()));
  }
  return rows;
}

void ImageSource::addInstances(const CompiledVersion &version, const std::string &name) {
  std::string rows;
  for (const CompiledInstance &instance : version.instances) {
    const std::string program =
        fmt::format("{}_{}_b{}", name, functionName(instance.key.kind), instance.key.batch);
    if (version.cuda()) {
      const gradc_cuda_program &cuda = cuda::programOf(instance.program->program());
      tables_.addProgram(program, cuda, imagesOf(cuda));
    } else {
      tables_.addProgram(program, *instance.program);
    }
    rows += fmt::format("  {{{}, {}, &{}{}}},\n", static_cast<int>(instance.key.kind), instance.key.batch,
                        program, version.cuda() ? ".table" : "");
  }
  tables_.add(fmt::format("static const gradc_instance {}_instances[] = {{\n{}}};\n", name, rows));
}

void ImageSource::addImage(const std::string &versions) {
  if (!parts_.weights.empty())
    tables_.add(includedBytes("gradc_weights", "weights.safetensors"));
  const std::string facts = toJson(parts_.image), packed = pack(facts);
  tables_.add(fmt::format("static const gradc_version versions[] = {{\n{}}};\n"
                          "const gradc_image gradc_model_image = {{{}, versions, {}, {}, {}, {}, {}, {}}};\n",
                          versions, cString(packed), parts_.hasCuda() ? "&gradc_cuda_backend" : "0",
                          parts_.weights.empty() ? "0" : "gradc_weights", parts_.versions.size(),
                          parts_.weights.size(), packed.size(), facts.size()));
}

Status ImageSource::write() {
  tables_.add("#include \"runtime/image.h\"\n#include \"runtime/cuda/abi.h\"\n\n");
  std::string versions;
  for (size_t i = 0; i < parts_.versions.size(); ++i) {
    const CompiledVersion &version = parts_.versions[i];
    const std::string name = fmt::format("v{}", i);
    addInstances(version, name);
    versions += fmt::format("  {{{}, UINT64_C({:#x}), {}, {}, {}_instances, {}}},\n",
                            cString(targetName(version.target)), version.features,
                            version.cuda() ? version.cuda()->architecture : 0, version.withPtx ? 1 : 0, name,
                            version.instances.size());
  }
  addImage(versions);
  if (written_.ok() && !parts_.weights.empty())
    written_ = folder_.write("weights.safetensors", parts_.weights);
  return written_.ok() ? folder_.write("model.c", tables_.text()) : written_;
}

} // namespace

Status writeImage(const ExecutableParts &parts, LinkFolder &folder) {
  return ImageSource(parts, folder).write();
}

} // namespace gradc
