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
  if (flags.device != "cpu") {
    exit = fail(
        {ExitCode::Device, fmt::format("device '{}' is not in this build, only 'cpu' is", flags.device)});
    return nullptr;
  }
  StatusOr<CpuTarget> target = parseCpuTarget(flags.mcpu);
  if (!target) {
    exit = fail(target.error());
    return nullptr;
  }
  if (Status can = checkPrecision(flags.compile.precision, *target); !can.ok()) {
    exit = fail(can);
    return nullptr;
  }
  std::optional<LoadedModel> model = loadModelFile(flags.model, exit);
  if (!model)
    return nullptr;
  std::unique_ptr<Session> session(new Session(std::move(*model), flags));
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
