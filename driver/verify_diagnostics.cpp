#include "driver/verify_diagnostics.h"

#include <charconv>
#include <optional>

#include <regex.h>

#include <fmt/format.h>

namespace gradc {
namespace {

struct Expected {
  Severity severity = Severity::Error;
  uint32_t line = 0; // 0: unknown
  uint32_t writtenAt = 0;
  bool isRegex = false;
  std::string text;
  bool found = false;
};

/// A literal with {{regular expressions}} as one extended regular expression.
std::string toRegex(std::string_view text) {
  std::string regex;
  while (!text.empty()) {
    size_t open = text.find("{{");
    for (char c : text.substr(0, open)) {
      if (std::string_view(".[]{}()*+?^$|\\").find(c) != std::string_view::npos)
        regex += '\\';
      regex += c;
    }
    if (open == std::string_view::npos)
      break;
    size_t close = std::min(text.find("}}", open), text.size());
    regex += fmt::format("({})", text.substr(open + 2, close - open - 2));
    text = text.substr(std::min(close + 2, text.size()));
  }
  return regex;
}

bool matches(const Expected &expected, const std::string &message) {
  if (!expected.isRegex)
    return message.find(expected.text) != std::string::npos;
  regex_t regex;
  if (regcomp(&regex, toRegex(expected.text).c_str(), REG_EXTENDED | REG_NOSUB) != 0)
    return false;
  bool found = regexec(&regex, message.c_str(), 0, nullptr, 0) == 0;
  regfree(&regex);
  return found;
}

bool accept(std::string_view &text, std::string_view word) {
  if (!text.starts_with(word))
    return false;
  text.remove_prefix(word.size());
  return true;
}

/// The line that "@+1" and the like mean; nothing for an unknown form.
std::optional<uint32_t> acceptLine(std::string_view &text, uint32_t line) {
  if (!accept(text, "@"))
    return line;
  if (accept(text, "above"))
    return line - 1;
  if (accept(text, "below"))
    return line + 1;
  if (accept(text, "unknown"))
    return 0;
  bool down = accept(text, "+");
  if (!down && !accept(text, "-"))
    return std::nullopt;
  uint32_t offset = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), offset);
  if (error != std::errc())
    return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return down ? line + offset : line - offset;
}

/// Parses what follows "expected-".
std::optional<Expected> parseExpected(std::string_view text, uint32_t line) {
  Expected expected{.writtenAt = line};
  bool known = false;
  for (Severity severity : {Severity::Error, Severity::Warning, Severity::Remark, Severity::Note})
    if (!known && accept(text, severityName(severity))) {
      expected.severity = severity;
      known = true;
    }
  if (!known)
    return std::nullopt;
  expected.isRegex = accept(text, "-re");
  auto at = acceptLine(text, line);
  while (accept(text, " ")) {
  }
  if (!at || !accept(text, "{{"))
    return std::nullopt;
  expected.line = *at;
  size_t end = text.rfind("}}"); // to the last on the line: a regular expression has its own
  if (size_t next = text.find("expected-"); next != std::string_view::npos)
    end = text.rfind("}}", next);
  if (end == std::string_view::npos)
    return std::nullopt;
  expected.text = std::string(text.substr(0, end));
  return expected;
}

std::vector<Expected> findExpected(std::string_view text, uint32_t line, std::vector<std::string> &problems) {
  std::vector<Expected> all;
  for (; !text.empty(); ++line) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view rest = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (rest.find("//") == std::string_view::npos)
      continue;
    for (size_t at = rest.find("expected-"); at != std::string_view::npos; at = rest.find("expected-")) {
      rest.remove_prefix(at + std::string_view("expected-").size());
      if (auto expected = parseExpected(rest, line))
        all.push_back(*expected);
      else
        problems.push_back(fmt::format("{}: cannot read 'expected-{}'", line, rest));
    }
  }
  return all;
}

uint32_t lineOf(const Location &loc) {
  return loc.line != 0 || loc.fused.empty() ? loc.line : lineOf(loc.fused[0]);
}

} // namespace

std::vector<std::string> compareDiagnostics(std::string_view text, std::string_view file, uint32_t firstLine,
                                            const Diagnostics &diag) {
  std::vector<std::string> problems;
  std::vector<Expected> expected = findExpected(text, firstLine, problems);
  auto take = [&](const Diagnostic &diagnostic) {
    for (Expected &candidate : expected)
      if (!candidate.found && candidate.severity == diagnostic.severity &&
          candidate.line == lineOf(diagnostic.loc) && matches(candidate, diagnostic.message)) {
        candidate.found = true;
        return;
      }
    problems.push_back(fmt::format("{}:{}: unexpected {}: {}", file, lineOf(diagnostic.loc),
                                   severityName(diagnostic.severity), diagnostic.message));
  };
  for (const Diagnostic &diagnostic : diag.all()) {
    take(diagnostic);
    for (const Diagnostic &note : diagnostic.notes)
      take(note);
  }
  for (const Expected &missing : expected)
    if (!missing.found)
      problems.push_back(fmt::format("{}:{}: expected {} was not reported: {}", file, missing.writtenAt,
                                     severityName(missing.severity), missing.text));
  return problems;
}

} // namespace gradc
