// gradc completion: scripts by which shells complete gradc's commands, flags and the words that flags take, made of the
// table of commands. Everything else completes to a file.
#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/io.h"

namespace gradc {
namespace {

/// "-o,--output", "--train,!--no-train"
std::vector<std::string> flagsOf(const Option &option) {
  std::vector<std::string> flags;
  for (size_t at = 0; at <= option.name.size();) {
    const size_t end = std::min(option.name.find(',', at), option.name.size());
    const size_t first = at + (option.name[at] == '!' ? 1 : 0);
    if (option.name[first] == '-')
      flags.push_back(option.name.substr(first, end - first));
    at = end + 1;
  }
  return flags;
}

std::vector<std::string> wordsOf(const Option &option) {
  const auto *target = std::get_if<WordTarget>(&option.target);
  if (!target)
    return option.choices;
  std::vector<std::string> words;
  for (const auto &[word, value] : target->words)
    words.push_back(word);
  return words;
}

std::string bash(const std::vector<Command> &commands) {
  std::string names, flags, values;
  for (const Command &command : commands) {
    names += command.name + " ";
    flags += fmt::format("  {}) known=\"--help", command.name);
    for (const Option &option : command.options.rows) {
      const std::vector<std::string> own = flagsOf(option), words = wordsOf(option);
      flags += fmt::format("{}{}", own.empty() ? "" : " ", fmt::join(own, " "));
      for (const std::string &flag : own)
        if (!words.empty())
          values += fmt::format("  {}:{}) known=\"{}\" ;;\n", command.name, flag, fmt::join(words, " "));
    }
    flags += "\" ;;\n";
  }
  return fmt::format(R"(_gradc() {{
  local command=${{COMP_WORDS[1]}} before=${{COMP_WORDS[COMP_CWORD-1]}} word=${{COMP_WORDS[COMP_CWORD]}} known=
  case $COMP_CWORD:$command:$word in
  1:*) known="{}" ;;
  *:-*) case $command in
{}  esac ;;
  *) case $command:$before in
{}  esac ;;
  esac
  COMPREPLY=($(compgen -W "$known" -- "$word"))
}}
complete -o default -F _gradc gradc
)",
                     names, flags, values);
}

std::string fish(const std::vector<Command> &commands) {
  std::string text;
  auto quoted = [](std::string line) {
    for (size_t at = 0; (at = line.find_first_of("'\\", at)) != std::string::npos; at += 2)
      line.insert(at, "\\");
    return "'" + line + "'";
  };
  for (const Command &command : commands) {
    text += fmt::format("complete -c gradc -n __fish_use_subcommand -a {} -d {}\n", command.name,
                        quoted(command.doc));
    for (const Option &option : command.options.rows)
      for (const std::string &flag : flagsOf(option)) {
        const std::vector<std::string> words = wordsOf(option);
        text +=
            fmt::format("complete -c gradc -n '__fish_seen_subcommand_from {}' {} {}{} -d {}\n", command.name,
                        flag.starts_with("--") ? "-l" : "-s", flag.substr(flag.find_first_not_of('-')),
                        !words.empty() ? fmt::format(" -xa '{}'", fmt::join(words, " "))
                        : std::holds_alternative<bool *>(option.target) ? ""
                                                                        : " -r",
                        quoted(option.doc));
      }
  }
  return text;
}

} // namespace

Command completionCommand(const std::vector<Command> &commands) {
  auto shell = std::make_shared<std::string>();
  return {.name = "completion",
          .doc = "Print the script by which a shell completes gradc's commands and flags",
          .options = {{.name = "shell",
                       .target = shell.get(),
                       .doc = "bash, zsh or fish, as in: source <(gradc completion bash)",
                       .choices = {"bash", "zsh", "fish"},
                       .required = true}},
          .run = [shell, &commands] {
            const std::string text = *shell == "fish" ? fish(commands) : bash(commands);
            const Status written = writeOutput(
                "-", *shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" + text : text);
            return written.ok() ? ExitCode::Ok : fail(written);
          }};
}

} // namespace gradc
