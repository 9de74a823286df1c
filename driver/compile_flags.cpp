#include "driver/compile_flags.h"

#include <map>

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "support/say.h"

namespace gradc {
namespace {

/// Accepts the names of passes; unknown ones are a usage error with a proposal.
CLI::Validator passName(bool orAll, bool onlyOptional) {
  auto check = [=](const std::string &name) -> std::string {
    if (orAll && name == "all")
      return {};
    const PassDef *pass = findPass(name);
    if (!pass) {
      std::vector<std::string_view> names;
      for (const PassDef *def : allPasses())
        names.push_back(def->name);
      return fmt::format("no pass is named '{}'{}", name, proposal(name, names));
    }
    if (onlyOptional && !pass->optional)
      return fmt::format("pass '{}' cannot be disabled: later stages need it", name);
    return {};
  };
  return {check, "PASS", orAll ? "pass or all" : "pass"};
}

/// An option that takes one word each time it is given, or several between commas.
CLI::Option *addNames(CLI::App &command, const std::string &flag, std::vector<std::string> &names,
                      const std::string &doc) {
  return command.add_option(flag, names, doc)->delimiter(',')->allow_extra_args(false)->group("Compilation");
}

} // namespace

void addCompileFlags(CLI::App &command, CompileFlags &flags) {
  PassManagerOptions &o = flags.passes;
  const std::string group = "Compilation";
  auto flag = [&](const char *name, bool &value, const char *doc) {
    command.add_flag(name, value, doc)->group(group);
  };
  flag("--print-ir-before-all", o.printBeforeAll, "Print the IR before each pass, on stderr");
  flag("--print-ir-after-all", o.printAfterAll, "Print the IR after each pass, on stderr");
  flag("--print-ir-after-change", o.printAfterChange,
       "Print the IR after each pass that changed it, on stderr");
  command.add_option("--print-ir-dir", o.printDir, "Write the IR after each pass to DIR/NNN-<pass>.gir")
      ->type_name("DIR")
      ->group(group);
  flag("--verify-each,!--no-verify-each", o.verifyEach, "Verify the IR after each pass (default)");
  flag("--roundtrip-each", o.roundtripEach, "Print, parse and compare the IR after each pass");
  addNames(command, "--disable-pass", o.disabled, "Leave out a pass")->check(passName(false, true));
  command.add_option("--bisect-limit", o.bisectLimit, "Run only the first N optional passes; -1: all")
      ->type_name("N")
      ->check(CLI::Range(int64_t{-1}, INT64_MAX))
      ->group(group);
  flag("--timing", o.timing, "Print the time of each pass, on stderr");
  flag("--statistics", o.statistics, "Print what each pass counted, on stderr");
  addNames(command, "--remarks", o.remarks, "Report what a pass did and why it did not do more; or 'all'")
      ->check(passName(true, false));
  addPrecisionFlag(command, flags.precision);
  const std::map<std::string, CublasUse> uses = {
      {"auto", CublasUse::Auto}, {"always", CublasUse::Always}, {"never", CublasUse::Never}};
  command
      .add_option(
          "--cublas", flags.cublas,
          "CUDA: products of matrices by cuBLAS where that should be faster (auto, the default), wherever it "
          "can, or never, which then is not needed")
      ->transform(CLI::CheckedTransformer(uses).description(""))
      ->type_name("auto|always|never")
      ->group(group);
  flag("--locs", o.printLocations, "Print locations in IR");
  command
      .add_option("--reproducer-dir", o.reproducerDir,
                  "Where an internal error writes its reproducer (default .)")
      ->type_name("DIR")
      ->group(group);
}

void addPrecisionFlag(CLI::App &command, Precision &precision) {
  std::map<std::string, Precision> names;
  for (Precision p : {Precision::F32, Precision::Tf32, Precision::Bf16, Precision::F16, Precision::F32Amx})
    names.emplace(precisionName(p), p);
  command
      .add_option(
          "--precision", precision,
          "How products are computed: f32; tf32, bf16, f16 (factors rounded, sums in f32; tf32 and f16: on "
          "CUDA); f32-amx (on CPUs; each factor a sum of three bf16: as exact as f32)")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->type_name("f32|tf32|bf16|f16|f32-amx")
      ->group("Compilation");
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
