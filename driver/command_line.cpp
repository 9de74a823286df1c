#include "driver/command_line.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "support/diagnostics.h"
#include "support/say.h"

namespace gradc {
namespace {

// ---- help: a short word for the value, the choices where there are few

/// CLI11 appends the checks of a value to its type: "N:INT in [1 - 1024]", "TEXT:{auto,bar}".
std::string valueWord(const std::string &type) {
  const size_t colon = type.find(':');
  const std::string word = type.substr(0, colon);
  if (colon != std::string::npos && type[colon + 1] == '{' && word == "TEXT") {
    std::string choices = type.substr(colon + 2, type.find('}') - colon - 2);
    std::ranges::replace(choices, ',', '|');
    return choices;
  }
  if (word == "INT" || word == "UINT")
    return "N";
  return word == "FLOAT" ? "X" : word;
}

class HelpFormatter : public CLI::Formatter {
public:
  HelpFormatter() { column_width(32); }

  std::string make_option_name(const CLI::Option *option, bool positional) const override {
    std::string name = CLI::Formatter::make_option_name(option, positional);
    for (size_t at; (at = name.find("{false}")) != std::string::npos;) // "--train,--no-train{false}"
      name.erase(at, 7);
    return name;
  }

  std::string make_option_opts(const CLI::Option *option) const override {
    std::string text;
    if (option->get_type_size() != 0 && !option->get_type_name().empty())
      text += " " + valueWord(option->get_type_name());
    if (option->get_expected_max() == CLI::detail::expected_max_vector_size)
      text += " ...";
    if (!option->get_envname().empty())
      text += " ($" + option->get_envname() + ")";
    return text;
  }
};

// ---- declaring

/// Declares options of one command; one `declare` for each kind of target.
class Declarer {
public:
  explicit Declarer(CLI::App &command) : command_(command) {}

  void declare(const Option &row) {
    CLI::Option *option = std::visit([&](const auto &target) { return declare(row, target); }, row.target);
    option->envname(row.environment)->required(row.required);
    if (!row.type.empty())
      option->type_name(row.type);
    if (!row.group.empty())
      option->group(row.group);
    if (row.check)
      option->check(row.check);
    for (const std::string &other : row.excludes)
      option->excludes(other);
  }

private:
  CLI::Option *declare(const Option &row, bool *target) {
    return command_.add_flag(row.name, *target, row.doc);
  }
  CLI::Option *declare(const Option &row, int64_t *target) { return integer(row, *target); }
  CLI::Option *declare(const Option &row, std::optional<int64_t> *target) { return integer(row, *target); }
  CLI::Option *declare(const Option &row, std::optional<uint64_t> *target) { return add(row, *target); }
  CLI::Option *declare(const Option &row, std::optional<double> *target) { return add(row, *target); }
  CLI::Option *declare(const Option &row, double *target) {
    CLI::Option *option = add(row, *target);
    return row.realRange ? option->check(CLI::Range((*row.realRange)[0], (*row.realRange)[1])) : option;
  }
  CLI::Option *declare(const Option &row, std::string *target) {
    CLI::Option *option = add(row, *target);
    return row.choices.empty() ? option : option->check(CLI::IsMember(row.choices));
  }
  CLI::Option *declare(const Option &row, std::vector<std::string> *target) { return list(row, *target); }
  CLI::Option *declare(const Option &row, std::vector<int64_t> *target) {
    return list(row, *target)->check(CLI::Range(row.least, row.most));
  }
  CLI::Option *declare(const Option &row, const WordTarget &target) {
    std::vector<std::string> words;
    for (const auto &[word, value] : target.words)
      words.push_back(word);
    const auto set = [target](const std::string &given) {
      target.set(std::ranges::find(target.words, given, &std::pair<std::string, int>::first)->second);
    };
    return command_.add_option_function<std::string>(row.name, set, row.doc)->check(CLI::IsMember(words));
  }
  CLI::Option *declare(const Option &row, const OptionalValueTarget &target) {
    CLI::Option *option = add(row, *target.value)->expected(0, 1);
    command_.parse_complete_callback([option, given = target.given] { *given = option->count() > 0; });
    return option;
  }

  template <class T> CLI::Option *add(const Option &row, T &target) {
    return command_.add_option(row.name, target, row.doc);
  }
  template <class T> CLI::Option *integer(const Option &row, T &target) {
    return add(row, target)->check(CLI::Range(row.least, row.most));
  }
  template <class T> CLI::Option *list(const Option &row, std::vector<T> &target) {
    CLI::Option *option = add(row, target);
    if (row.name.starts_with('-'))
      option->allow_extra_args(false);
    return row.commas ? option->delimiter(',') : option;
  }

  CLI::App &command_;
};

// ---- usage errors

/// The command that was chosen, or the application itself.
const CLI::App &chosen(const CLI::App &app) {
  auto commands = app.get_subcommands();
  return commands.empty() ? app : *commands.front();
}

std::vector<std::string> knownWords(const CLI::App &command) {
  std::vector<std::string> words;
  for (const CLI::Option *option : command.get_options())
    for (const std::string &name : option->get_lnames())
      words.push_back("--" + name);
  for (const CLI::App *sub : command.get_subcommands([](const CLI::App *) { return true; }))
    words.push_back(sub->get_name());
  return words;
}

std::string describeExtra(const CLI::App &app) {
  const CLI::App &command = chosen(app);
  std::vector<std::string> extras = app.remaining(true);
  std::string word = extras.empty() ? "" : extras.front();
  std::string flag = word.substr(0, word.find('='));
  std::vector<std::string> words = knownWords(command);
  if (!app.remaining(false).empty() && std::ranges::find(words, flag) != words.end())
    return fmt::format("flag '{}' goes behind the command: gradc {} {}", flag, command.get_name(), word);
  std::string what = flag.starts_with('-') ? fmt::format("unknown flag '{}'", flag)
                     : &command == &app    ? fmt::format("unknown command '{}'", flag)
                                           : fmt::format("unexpected argument '{}'", word);
  return what + proposal(flag, {words.begin(), words.end()});
}

/// Prints what --help or --version asked for (Ok), or the usage error.
ExitCode report(const CLI::App &app, const CLI::Error &error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    app.exit(error);
    return ExitCode::Ok;
  }
  bool noCommand = app.get_subcommands().empty() && app.remaining(true).empty();
  if (noCommand && dynamic_cast<const CLI::RequiredError *>(&error)) {
    say(stderr, "{}", app.help());
    return ExitCode::Usage;
  }
  bool extra = !app.remaining(true).empty();
  const CLI::App &command = chosen(app);
  say(stderr, "gradc: error: {}\nsee 'gradc{}{} --help'\n", extra ? describeExtra(app) : error.what(),
      &command == &app ? "" : " ", &command == &app ? "" : command.get_name());
  return ExitCode::Usage;
}

} // namespace

Options::Options(const OptionTable &table) {
  for (const OptionRow &row : table)
    rows.push_back({.name = row.name,
                    .target = std::visit([](auto *target) { return Option::Target(target); }, row.target),
                    .type = row.type,
                    .doc = row.doc,
                    .choices = row.choices,
                    .least = row.least,
                    .most = row.most,
                    .environment = row.environment,
                    .required = row.required});
}

Options operator+(Options first, const Options &second) {
  first.rows.insert(first.rows.end(), second.rows.begin(), second.rows.end());
  return first;
}

ExitCode runCommandLine(std::span<const Command> commands, const std::string &version, int argc,
                        const char *const *argv) {
  CLI::App app("gradc compiles and trains neural networks", "gradc");
  app.set_version_flag("--version", version);
  app.formatter(std::make_shared<HelpFormatter>()); // before the commands, which inherit it
  app.require_subcommand(1);
  ExitCode exit = ExitCode::Ok;
  for (const Command &command : commands) {
    CLI::App *parser = app.add_subcommand(command.name, command.doc);
    for (const Option &option : command.options.rows)
      Declarer(*parser).declare(option);
    parser->callback([&command, &exit] { exit = command.run(); });
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    exit = report(app, error);
  }
  return exit;
}

} // namespace gradc
