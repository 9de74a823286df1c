#include "driver/session.h"

#include <filesystem>

#include <fmt/format.h>

#include "driver/cuda_target.h"
#include "runtime/commands/commands.h"
#include "runtime/cuda/device.h"
#include "runtime/device_name.h"
#include "support/say.h"

namespace gradc {

Options sessionOptions(SessionFlags &flags) {
  return modelOptions(flags.model) + threadOptions(flags) + deviceOptions(flags.device) +
         Options{
             {.name = "--mcpu", .target = &flags.mcpu, .type = "CPU", .doc = "Processor to make code for"},
             {.name = "--no-cache", .target = &flags.noCache, .doc = "Compile everything, keep nothing"}} +
         compileOptions(flags.compile);
}

std::unique_ptr<Session> Session::open(const SessionFlags &flags, ExitCode &exit) {
  std::optional<LoadedModel> model = loadModelFile(flags.model, exit);
  if (!model)
    return nullptr;
  StatusOr<std::unique_ptr<Session>> session = make(flags, std::move(*model));
  if (session)
    return std::move(*session);
  exit = fail(session.error());
  return nullptr;
}

StatusOr<std::unique_ptr<Session>> Session::make(const SessionFlags &flags, LoadedModel model) {
  std::unique_ptr<Session> session(new Session(std::move(model), flags));
  if (Status chosen = session->chooseDevice(); !chosen.ok())
    return std::unexpected(chosen);
  if (!flags.noCache)
    session->cache = ObjectCache::open(defaultCacheFolder());
  session->compiler = std::make_unique<ModelPrograms>(
      session->model, flags.compile,
      CodeOptions{.target = session->target,
                  .threads = std::min(session->pool->threads(), availableCores()),
                  .cache = session->cache ? &*session->cache : nullptr});
  return session;
}

Status Session::chooseDevice() {
  StatusOr<DeviceName> name = parseDevice(flags.device);
  if (!name)
    return name.error();
  pool = std::make_unique<ThreadPool>(static_cast<int>(flags.threads));
  if (name->cuda) {
    StatusOr<std::unique_ptr<cuda::CudaDevice>> device = cuda::CudaDevice::open(name->index, *pool);
    if (!device)
      return device.error();
    CudaTarget architecture = cudaTargetOf((*device)->context());
    architecture.cublas = flags.compile.cublas;
    target = architecture;
    runsOn = std::move(*device);
  } else {
    StatusOr<CpuTarget> processor = parseCpuTarget(flags.mcpu);
    if (!processor)
      return processor.error();
    target = *processor;
    runsOn = std::make_unique<CpuDevice>(*pool);
  }
  if (Status can = checkPrecision(flags.compile.precision, target); !can.ok())
    return can;
  if (const std::string note = precisionNote(flags.compile.precision, target); !note.empty())
    say(stderr, "gradc: note: {}\n", note);
  return okStatus();
}

std::string Session::processor() const { return targetName(target); }

std::string Session::processorFeatures() const {
  const auto *cpu = std::get_if<CpuTarget>(&target);
  return cpu ? cpu->features : "";
}

std::string Session::dataFolder() const {
  if (!flags.data.empty())
    return flags.data;
  return std::filesystem::path(flags.model.file).parent_path().string();
}

} // namespace gradc
