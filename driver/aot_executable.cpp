#include "driver/aot_executable.h"

#include "driver/aot_image.h"

namespace gradc {
namespace {

std::vector<std::string> linkCommand(const std::vector<std::string> &kernels, const ExecutableParts &parts) {
  const std::string runtime = runtimeFolder();
  std::vector<std::string> command = {"cc",     "-o", "linked", "-O1", "-fPIE", "-I" + runtime + "/include",
                                      "model.c"};
  command.insert(command.end(), kernels.begin(), kernels.end());
  if (parts.hasCuda())
    command.push_back(runtime + "/libgradc_standalone_cuda.a");
  command.push_back(runtime + "/libgradc_standalone.a");
  // Code and constants in one segment: two half-empty pages less. Sorted, sections leave fewer holes: 500 bytes.
  for (const char *word : {"-lstdc++", "-lm", "-lz", "-pthread", "-Wl,--gc-sections", "-Wl,-O1",
                           "-Wl,--as-needed", "-Wl,--build-id=none", "-Wl,-z,noexecstack",
                           "-Wl,-z,noseparate-code", "-Wl,--sort-section=alignment"})
    command.emplace_back(word);
  command.emplace_back(parts.isStatic ? "-static-pie" : "-pie");
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
  Status done = writeImage(parts, *folder);
  if (done.ok())
    done = folder->run(linkCommand(*kernels, parts));
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
