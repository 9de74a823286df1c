// Compiles the C file of an object and merges it with the kernels.
#include "driver/aot_object.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "driver/aot_interface.h"
#include "driver/toolchain.h"
#include "runtime/init.h"
#include "support/safetensors.h"

namespace gradc {
namespace {

/// The block of parameters as it lies in memory.
StatusOr<std::string> packedParams(const ObjectParts &parts, const ObjectInterface &face) {
  StatusOr<SafeTensors> file = SafeTensors::parse(parts.weights, "--weights");
  if (!file)
    return std::unexpected(file.error());
  std::string block(static_cast<size_t>(face.paramBytes), '\0');
  for (const BlockTensor &tensor : face.params) {
    const TensorView *view = file->find(tensor.spec.name);
    if (!view || view->dtype != DType::F32 || view->shape != tensor.spec.shape)
      return failure(
          ExitCode::InvalidInput,
          fmt::format("--weights: there is no f32 tensor '{}' of the model's shape", tensor.spec.name));
    std::memcpy(block.data() + tensor.offset, view->bytes.data(), view->bytes.size());
  }
  return block;
}

/// Initial values that are numbers, one after another.
StatusOr<std::string> embeddedInits(const ObjectParts &parts, const ObjectInterface &face) {
  std::string bytes;
  ThreadPool pool(1);
  for (const BlockTensor &tensor : face.params) {
    if (initRule(tensor.spec))
      continue;
    std::vector<float> values(static_cast<size_t>(elementCount(tensor.spec)));
    if (Status filled = initialise(tensor.spec, 0, parts.dataFolder, pool, values); !filled.ok())
      return std::unexpected(filled);
    bytes.append(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
  }
  return bytes;
}

std::string exportedNames(const ObjectParts &parts, const ObjectInterface &face) {
  std::string names;
  for (const char *name : {"model", "status_text", "check_cpu", "load", "save", "infer"})
    names += fmt::format("{}_{}\n", face.prefix, name);
  if (parts.train)
    names += fmt::format("{0}_init_params\n{0}_train_step\n", face.prefix);
  return names;
}

Status writeSources(const ObjectParts &parts, const ObjectInterface &face, LinkFolder &folder) {
  StatusOr<std::string> header = objectHeader(parts), source = objectSource(parts);
  if (!header)
    return header.error();
  if (!source)
    return source.error();
  Status done = folder.write("model.h", *header);
  if (done.ok())
    done = folder.write("model.c", *source);
  if (done.ok())
    done = folder.write("names.txt", exportedNames(parts, face));
  if (done.ok() && parts.train) {
    StatusOr<std::string> inits = embeddedInits(parts, face);
    done = inits ? folder.write("inits.bin", *inits) : inits.error();
  }
  if (!done.ok() || parts.weights.empty())
    return done;
  StatusOr<std::string> block = packedParams(parts, face);
  return block ? folder.write("params.bin", *block) : block.error();
}

std::vector<std::string> joined(std::vector<std::string> words, std::initializer_list<std::string> more) {
  words.insert(words.end(), more);
  return words;
}

/// Kernels and the C file as one object that shows the header's names only.
Status merge(const ObjectParts &parts, const std::vector<std::string> &kernels, LinkFolder &folder) {
  std::vector<std::string> command = joined(
      parts.compiler, {"-std=c99", "-O2", "-fPIC", "-fno-stack-protector",
                       "-fno-tree-loop-distribute-patterns", "-fno-asynchronous-unwind-tables", "-nostdlib",
                       "-r", "-o", "merged.o", "-I" + runtimeFolder() + "/include", "-I.", "model.c"});
  command.insert(command.end(), kernels.begin(), kernels.end());
  if (Status done = folder.run(command); !done.ok())
    return done;
  StatusOr<std::string> objcopy = folder.ask(joined(parts.compiler, {"-print-prog-name=objcopy"}));
  return objcopy ? folder.run({*objcopy, "--keep-global-symbols=names.txt", "merged.o", "model.o"})
                 : objcopy.error();
}

} // namespace

StatusOr<std::string> linkObject(const ObjectParts &parts) {
  StatusOr<ObjectInterface> face = makeInterface(parts);
  if (!face)
    return std::unexpected(face.error());
  StatusOr<LinkFolder> folder = LinkFolder::create();
  if (!folder)
    return std::unexpected(folder.error());
  StatusOr<std::vector<std::string>> kernels = writeKernels(*folder, parts.versions);
  if (!kernels)
    return std::unexpected(kernels.error());
  Status done = writeSources(parts, *face, *folder);
  if (done.ok())
    done = merge(parts, *kernels, *folder);
  if (done.ok() && parts.isShared)
    done = folder->run(joined(parts.compiler, {"-shared", "-o", "model.so", "model.o", "-lm",
                                               "-Wl,--build-id=none", "-Wl,-z,noexecstack"}));
  if (!done.ok())
    return std::unexpected(done);
  return folder->read(parts.isShared ? "model.so" : "model.o");
}

} // namespace gradc
