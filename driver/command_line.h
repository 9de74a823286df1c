// The commands of gradc and their options as values. Each command is one file driver/<command>.cpp with a function that
// returns it; main.cpp lists them in the order of --help:
//
//   Command checkCommand() {
//     auto flags = std::make_shared<CheckFlags>();
//     return {.name = "check",
//             .doc = "Parse and verify a model",
//             .options = modelOptions(flags->model) +
//                        Options{{.name = "--ir", .target = &flags->ir, .doc = "Print the model's functions"}},
//             .run = [flags] { return runCheck(*flags); }};
//   }
//
// Only command_line.cpp includes the parser, CLI11: its header takes five seconds to compile.
// Files are opened by the command, not by the parser: a file that cannot be read is exit 5, never a usage error.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/options.h"
#include "support/result.h"

namespace gradc {

/// Where one of several words goes.
struct WordTarget {
  std::vector<std::pair<std::string, int>> words;
  std::function<void(int)> set;
};

/// The words of an enumeration.
template <class Enum>
WordTarget wordTarget(Enum &target, const std::vector<std::pair<std::string, Enum>> &words) {
  WordTarget result{.set = [&target](int value) { target = static_cast<Enum>(value); }};
  for (const auto &[word, value] : words)
    result.words.emplace_back(word, static_cast<int>(value));
  return result;
}

/// Where an option goes whose value may be left out, and whether it was given.
struct OptionalValueTarget {
  std::string *value;
  bool *given;
};

/// Says what is wrong with a value; nothing: it is right.
using ValueCheck = std::function<std::string(const std::string &)>;

/// An OptionRow (support/options.h), with what only gradc's options need.
struct Option {
  /// A vector takes one word each time that the option is given; without dashes, every word that stands alone.
  using Target = std::variant<bool *, std::string *, int64_t *, double *, std::optional<int64_t> *,
                              std::optional<uint64_t> *, std::optional<double> *, std::vector<std::string> *,
                              std::vector<int64_t> *, WordTarget, OptionalValueTarget>;

  std::string name; // "--out", "-o,--output", "--train,!--no-train"; without dashes: what stands alone
  Target target;
  std::string type = {}; // "DIR", as the help shows it
  std::string doc;
  std::vector<std::string> choices = {};               // of a text; empty: any
  int64_t least = 0, most = INT64_MAX;                 // of a signed integer
  std::optional<std::array<double, 2>> realRange = {}; // of a double
  ValueCheck check = {};
  std::string environment = {};           // the variable that stands in where the flag is not given
  std::string group = {};                 // heading in the help
  std::vector<std::string> excludes = {}; // options that it cannot be with
  bool required = false;
  bool commas = false; // a vector: a word may be several between commas
};

/// In the order of the help. The targets must outlive the parse.
struct Options {
  std::vector<Option> rows;

  Options(std::initializer_list<Option> options) : rows(options) {}
  Options(const OptionTable &table); // those that stand-alone executables have, too
};
Options operator+(Options first, const Options &second);

struct Command {
  std::string name, doc;
  Options options;
  std::function<ExitCode()> run;
};

/// Parses the command line and runs the command that it names. What --help and --version ask for is printed; a usage
/// error is, too, with the nearest known flag or command.
ExitCode runCommandLine(std::span<const Command> commands, const std::string &version, int argc,
                        const char *const *argv);

} // namespace gradc
