#include "driver/usage.h"

#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "support/diagnostics.h"
#include "support/say.h"

namespace gradc {
namespace {

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
  std::string what = flag.starts_with('-') ? fmt::format("unknown flag '{}'", flag)
                     : &command == &app    ? fmt::format("unknown command '{}'", flag)
                                           : fmt::format("unexpected argument '{}'", word);
  return what + proposal(flag, {words.begin(), words.end()});
}

} // namespace

ExitCode reportUsage(const CLI::App &app, const CLI::Error &error) {
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

} // namespace gradc
