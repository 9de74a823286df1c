#include "driver/compile_flags.h"

#include <unistd.h>

#include <fmt/format.h>

#include "support/say.h"

namespace gradc {
namespace {

constexpr const char *kGroup = "Compilation";

/// Unknown passes are a usage error with a proposal.
std::string checkPass(const std::string &name) {
  if (findPass(name))
    return {};
  std::vector<std::string_view> names;
  for (const PassDef *def : allPasses())
    names.push_back(def->name);
  return fmt::format("no pass is named '{}'{}", name, proposal(name, names));
}

std::string checkOptionalPass(const std::string &name) {
  const PassDef *pass = findPass(name);
  return pass && !pass->optional ? fmt::format("pass '{}' cannot be disabled: later stages need it", name)
                                 : checkPass(name);
}

std::string checkPassOrAll(const std::string &name) { return name == "all" ? "" : checkPass(name); }

/// Printing, bisecting and timing of passes.
Options passOptions(PassManagerOptions &o) {
  const auto flag = [](const char *name, bool &value, const char *doc) {
    return Option{.name = name, .target = &value, .doc = doc, .group = kGroup};
  };
  return {flag("--print-ir-before-all", o.printBeforeAll, "Print the IR before each pass, on stderr"),
          flag("--print-ir-after-all", o.printAfterAll, "Print the IR after each pass, on stderr"),
          flag("--print-ir-after-change", o.printAfterChange,
               "Print the IR after each pass that changed it, on stderr"),
          {.name = "--print-ir-dir",
           .target = &o.printDir,
           .type = "DIR",
           .doc = "Write the IR after each pass to DIR/NNN-<pass>.gir",
           .group = kGroup},
          flag("--verify-each,!--no-verify-each", o.verifyEach, "Verify the IR after each pass (default)"),
          flag("--roundtrip-each", o.roundtripEach, "Print, parse and compare the IR after each pass"),
          {.name = "--disable-pass",
           .target = &o.disabled,
           .doc = "Leave out a pass",
           .check = checkOptionalPass,
           .group = kGroup,
           .commas = true},
          {.name = "--bisect-limit",
           .target = &o.bisectLimit,
           .type = "N",
           .doc = "Run only the first N optional passes; -1: all",
           .least = -1,
           .group = kGroup},
          flag("--timing", o.timing, "Print the time of each pass, on stderr"),
          flag("--statistics", o.statistics, "Print what each pass counted, on stderr"),
          {.name = "--remarks",
           .target = &o.remarks,
           .doc = "Report what a pass did and why it did not do more; or 'all'",
           .check = checkPassOrAll,
           .group = kGroup,
           .commas = true}};
}

} // namespace

Options compileOptions(CompileFlags &flags) {
  return passOptions(flags.passes) + precisionOption(flags.precision) +
         Options{{.name = "--cublas",
                  .target = wordTarget(flags.cublas, {{"auto", CublasUse::Auto},
                                                      {"always", CublasUse::Always},
                                                      {"never", CublasUse::Never}}),
                  .doc = "CUDA: products of matrices by cuBLAS where that should be faster (auto, the "
                         "default), wherever it can, or never, which then is not needed",
                  .group = kGroup},
                 {.name = "--locs",
                  .target = &flags.passes.printLocations,
                  .doc = "Print locations in IR",
                  .group = kGroup},
                 {.name = "--reproducer-dir",
                  .target = &flags.passes.reproducerDir,
                  .type = "DIR",
                  .doc = "Where an internal error writes its reproducer (default .)",
                  .group = kGroup}};
}

Options codeOptions(CodeFlags &flags) {
  return {{.name = "--func",
           .target = &flags.function,
           .doc = "The function of IR text; not needed where there is only one"},
          {.name = "--device",
           .target = &flags.device,
           .doc = "What the code is for",
           .choices = {"cpu", "cuda"}},
          {.name = "--mcpu", .target = &flags.mcpu, .doc = "Processor: native, or a name as haswell"}};
}

Options precisionOption(Precision &precision) {
  std::vector<std::pair<std::string, Precision>> names;
  for (Precision p : {Precision::F32, Precision::Tf32, Precision::Bf16, Precision::F16, Precision::F32Amx})
    names.emplace_back(precisionName(p), p);
  return {{.name = "--precision",
           .target = wordTarget(precision, names),
           .doc =
               "How products are computed: f32; tf32, bf16, f16 (factors rounded, sums in f32; tf32 and f16: "
               "on CUDA); f32-amx (on CPUs; each factor a sum of three bf16: as exact as f32)",
           .group = kGroup}};
}

void printReports(const CompileFlags &flags, const PassManager &manager) {
  if (flags.passes.timing)
    say(stderr, "{}", manager.timingReport());
  if (flags.passes.statistics)
    say(stderr, "{}", manager.statisticsReport());
}

ExitCode finish(const Diagnostics &diag) {
  say(stderr, "{}", diag.render(isatty(STDERR_FILENO) != 0));
  return diag.exitCode();
}

ExitCode fail(const Status &status) {
  say(stderr, "gradc: error: {}\n", status.text);
  return status.code;
}

} // namespace gradc
