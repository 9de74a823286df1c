#include "driver/load_module.h"

#include <optional>

#include "driver/compile_flags.h"
#include "driver/io.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace gradc {

std::optional<Module> loadGir(const std::string &path, ExitCode &exit) {
  StatusOr<std::string> text = readInput(path);
  if (!text) {
    exit = fail(text.error());
    return std::nullopt;
  }
  Diagnostics diag;
  Result<Module> module = parseModule(*text, displayName(path), diag);
  bool good = module && verify(*module, diag);
  exit = finish(diag);
  if (!good)
    return std::nullopt;
  return std::move(*module);
}

std::optional<Module> loadModule(const ModelFlags &flags, std::optional<int64_t> batch, Purpose purpose,
                                 ExitCode &exit) {
  if (!isModelFile(flags.file))
    return loadGir(flags.file, exit);
  std::optional<LoadedModel> model = loadModelFile(flags, exit);
  if (!model)
    return std::nullopt;
  Diagnostics diag;
  Result<Module> module = model->instantiate(batch.value_or(model->train.batchSize), diag, purpose);
  exit = finish(diag);
  if (!module)
    return std::nullopt;
  return std::move(*module);
}

const Function *chooseFunction(const Module &module, const std::string &name, ExitCode &exit) {
  std::vector<std::string_view> names;
  for (const auto &fn : module.functions)
    names.push_back(fn->name);
  if (name.empty() && names.size() == 1)
    return module.functions[0].get();
  if (const Function *fn = module.function(name))
    return fn;
  std::string what = name.empty() ? "choose one with --func" : fmt::format("there is no function @{}", name);
  std::string near(proposal(name, names));
  exit =
      fail({ExitCode::Usage, fmt::format("{}: the module has @{}{}", what, fmt::join(names, ", @"), near)});
  return nullptr;
}

} // namespace gradc
