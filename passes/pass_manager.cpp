#include "passes/pass.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "ir/text.h"
#include "ir/verifier.h"
#include "passes/reproducer_util.h"
#include "support/check.h"
#include "support/say.h"

namespace gradc {
namespace {

bool contains(const std::vector<std::string> &names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

Dict withDefaults(const PassDef &pass, const Dict &given) {
  Dict options;
  for (const PassOption &option : pass.options) {
    const Attr *value = given.find(option.name);
    options.set(option.name, value ? *value : option.defaultValue);
  }
  return options;
}

void checkVerifies(const Module &module, std::string_view pass) {
  Diagnostics diag;
  if (!verify(module, diag))
    CHECK(false, "pass '{}' made invalid IR:\n{}", pass, diag.render());
}

/// Prints, parses and prints again: the text form holds everything the passes rely on.
void checkRoundtrip(const Module &module, std::string_view pass) {
  std::string text = print(module, {.locations = true});
  Diagnostics diag;
  Result<Module> parsed = parseModule(text, "<roundtrip>", diag);
  CHECK(parsed, "the IR after '{}' does not parse:\n{}", pass, diag.render());
  CHECK(print(*parsed, {.locations = true}) == text, "the IR after '{}' prints differently once parsed",
        pass);
  CHECK(contentHash(*parsed) == contentHash(module), "the IR after '{}' changes its hash once parsed", pass);
}

} // namespace

void PassManager::printIr(const Module &module, std::string_view when) const {
  // "***", because a line that begins with "// -----" would split the text into two modules.
  std::string text =
      fmt::format("// *** IR {} ***\n{}\n", when, print(module, {.locations = options_.printLocations}));
  options_.out ? options_.out(text) : void(std::fputs(text.c_str(), stderr));
}

Result<void> PassManager::dump(const Module &module, std::string_view name, Diagnostics &diag) {
  if (options_.printDir.empty())
    return {};
  std::error_code failed;
  std::filesystem::create_directories(options_.printDir, failed);
  std::string path = fmt::format("{}/{:03}-{}.gir", options_.printDir, dumped_++, name);
  std::ofstream file(path);
  file << print(module, {.locations = options_.printLocations});
  file.close();
  if (!file)
    return std::unexpected(
        diag.ioError("cannot write '{}': {}", path, failed ? failed.message() : std::strerror(errno)));
  return {};
}

bool PassManager::skips(const PassDef &pass) {
  if (!pass.optional)
    return false;
  if (contains(options_.disabled, pass.name))
    return true;
  ++optionalRun_;
  bool skip = options_.bisectLimit >= 0 && optionalRun_ > options_.bisectLimit;
  if (options_.bisectLimit >= 0)
    say(stderr, "bisect: {} pass {}: {}\n", skip ? "not running" : "running", optionalRun_, pass.name);
  return skip;
}

void PassManager::checkAfter(const Module &module, const PassUse &use, bool claimed, bool changed) const {
  std::string_view name = use.def->name;
  CHECK(claimed || !changed, "pass '{}' changed the IR but says that it did not", name);
  CHECK(changed || !claimed, "pass '{}' says that it changed the IR but did not", name);
  if (options_.verifyEach && changed)
    checkVerifies(module, name);
  if (options_.roundtripEach)
    checkRoundtrip(module, name);
}

Result<void> PassManager::runPass(Module &module, uint64_t &hash, const PassUse &use, Diagnostics &diag) {
  const PassDef &pass = *use.def;
  if (options_.printBeforeAll)
    printIr(module, fmt::format("before {}", pass.name));
  const Dict options = withDefaults(pass, use.options);
  bool remarks = contains(options_.remarks, pass.name) || contains(options_.remarks, "all");
  PassContext context{diag, options, statistics_[std::string(pass.name)], remarks};
  size_t errors = diag.errorCount();

  auto start = std::chrono::steady_clock::now();
  Result<bool> claimed = pass.run(module, context);
  std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  if (!claimed) {
    CHECK(diag.errorCount() > errors, "pass '{}' failed without a message", pass.name);
    return std::unexpected(claimed.error());
  }
  const uint64_t before = std::exchange(hash, contentHash(module));
  const bool changed = hash != before;
  timings_.push_back({std::string(pass.name), time.count(), changed});
  checkAfter(module, use, *claimed, changed);
  if (options_.printAfterAll || (options_.printAfterChange && changed))
    printIr(module, fmt::format("after {}{}", pass.name, changed ? "" : " (no change)"));
  return dump(module, pass.name, diag);
}

Result<void> PassManager::run(Module &module, const Pipeline &pipeline, Diagnostics &diag) {
  if (auto dumped = dump(module, "input", diag); !dumped)
    return dumped;
  if (options_.roundtripEach)
    checkRoundtrip(module, "input");
  Reproducer reproducer{.input = {}, .rest = {}, .folder = options_.reproducerDir};
  ScopedReproducer scope(reproducer);
  uint64_t hash = contentHash(module);
  std::optional<uint64_t> kept; // hash of the reproducer's input
  for (size_t i = 0; i < pipeline.size(); ++i) {
    if (skips(*pipeline[i].def))
      continue;
    if (kept != hash) {
      reproducer.input = module.clone();
      kept = hash;
    }
    reproducer.rest.assign(pipeline.begin() + static_cast<std::ptrdiff_t>(i), pipeline.end());
    if (auto ran = runPass(module, hash, pipeline[i], diag); !ran)
      return ran;
  }
  return {};
}

} // namespace gradc
