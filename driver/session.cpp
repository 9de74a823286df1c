#include "driver/session.h"

#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "driver/options.h"
#include "runtime/commands/commands.h"

namespace gradc {

void addSessionFlags(CLI::App &command, SessionFlags &flags) {
  addModelFlags(command, flags.model);
  declareOptions(command, threadOptions(flags));
  command.add_option("--device", flags.device, "cpu or cuda[:i]")->type_name("DEVICE");
  command.add_option("--mcpu", flags.mcpu, "Processor to make code for")->type_name("CPU");
  command.add_flag("--no-cache", flags.noCache, "Compile everything, keep nothing");
  addCompileFlags(command, flags.compile);
}

void addDataFlags(CLI::App &command, SessionFlags &flags) { declareOptions(command, dataOptions(flags)); }

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
  if (flags.device != "cpu")
    return failure(ExitCode::Device,
                   fmt::format("device '{}' is not in this build, only 'cpu' is", flags.device));
  StatusOr<CpuTarget> target = parseCpuTarget(flags.mcpu);
  if (!target)
    return std::unexpected(target.error());
  if (Status can = checkPrecision(flags.compile.precision, *target); !can.ok())
    return std::unexpected(can);
  std::unique_ptr<Session> session(new Session(std::move(model), flags));
  session->target = *target;
  if (!flags.noCache)
    session->cache = ObjectCache::open(defaultCacheFolder());
  session->pool = std::make_unique<ThreadPool>(static_cast<int>(flags.threads));
  session->compiler = std::make_unique<ModelPrograms>(
      session->model, flags.compile,
      CompileOptions{.target = *target,
                     .threads = std::min(session->pool->threads(), availableCores()),
                     .cache = session->cache ? &*session->cache : nullptr});
  return session;
}

std::string Session::dataFolder() const {
  if (!flags.data.empty())
    return flags.data;
  return std::filesystem::path(flags.model.file).parent_path().string();
}

} // namespace gradc
