#include "standalone/command_line.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "support/diagnostics.h"

namespace gradc {
namespace {

Status usage(std::string text) { return {ExitCode::Usage, std::move(text)}; }

bool isFlag(const OptionRow &row) { return row.name.starts_with("--"); }
bool isSwitch(const OptionRow &row) { return std::holds_alternative<bool *>(row.target); }

Status wrongValue(const OptionRow &row, std::string_view value) {
  const std::string wanted = !row.choices.empty() ? fmt::format("one of {}", fmt::join(row.choices, ", "))
                             : row.most < INT64_MAX
                                 ? fmt::format("a number from {} to {}", row.least, row.most)
                                 : "a number";
  return usage(fmt::format("{}: expected {}, but got '{}'", row.name, wanted, value));
}

template <class T> bool parseNumber(std::string_view text, T &number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

/// Puts one word where the row's value goes.
struct Assign {
  const OptionRow &row;
  std::string_view value;

  bool operator()(std::string *into) const {
    *into = value;
    return row.choices.empty() || std::ranges::find(row.choices, value) != row.choices.end();
  }
  bool operator()(std::vector<std::string> *into) const {
    into->emplace_back(value);
    return true;
  }
  bool operator()(bool *into) const { return *into = true; }
  bool operator()(int64_t *into) const {
    return parseNumber(value, *into) && *into >= row.least && *into <= row.most;
  }
  bool operator()(std::optional<int64_t> *into) const { return (*this)(&into->emplace()); }
  bool operator()(std::optional<uint64_t> *into) const { return parseNumber(value, into->emplace()); }
};

Status assign(const OptionRow &row, std::string_view value) {
  return std::visit(Assign{row, value}, row.target) ? okStatus() : wrongValue(row, value);
}

const OptionRow *find(const OptionTable &table, std::string_view name) {
  const auto row = std::ranges::find(table, name, &OptionRow::name);
  return row == table.end() ? nullptr : &*row;
}

Status unknownFlag(const OptionTable &table, std::string_view name) {
  std::vector<std::string_view> names = {"--help"};
  for (const OptionRow &row : table)
    if (isFlag(row))
      names.push_back(row.name);
  return usage(fmt::format("unknown flag '{}'{}", name, proposal(name, names)));
}

/// Reads the words and remembers which rows had a value.
class Parser {
public:
  Parser(const OptionTable &table, std::span<const char *const> words)
      : table_(table), words_(words), given_(table.size()) {}

  Status run() {
    for (size_t at = 0; at < words_.size();)
      if (Status read = std::string_view(words_[at]).starts_with("-") ? flag(at) : word(at); !read.ok())
        return read;
    return finish();
  }

private:
  Status flag(size_t &at) {
    const std::string_view text = words_[at++], name = text.substr(0, text.find('='));
    const OptionRow *row = find(table_, name);
    if (!row || !isFlag(*row))
      return unknownFlag(table_, name);
    const bool hasValue = name.size() < text.size();
    if (isSwitch(*row) && hasValue)
      return usage(fmt::format("{} takes no value", name));
    if (!isSwitch(*row) && !hasValue && at == words_.size())
      return usage(fmt::format("{} needs a value: {}", name, row->type));
    give(*row);
    return assign(*row, isSwitch(*row) ? "" : hasValue ? text.substr(name.size() + 1) : words_[at++]);
  }

  Status word(size_t &at) {
    for (const OptionRow &row : table_)
      if (!isFlag(row)) {
        give(row);
        return assign(row, words_[at++]);
      }
    return usage(fmt::format("unexpected argument '{}'", words_[at]));
  }

  Status finish() {
    for (const OptionRow &row : table_) {
      if (given_[static_cast<size_t>(&row - table_.data())])
        continue;
      if (const char *value = row.environment.empty() ? nullptr : std::getenv(row.environment.c_str());
          value && *value)
        if (Status read = assign(row, value); !read.ok())
          return read;
      if (row.required)
        return usage(fmt::format("{} is required", row.name));
    }
    return okStatus();
  }

  void give(const OptionRow &row) { given_[static_cast<size_t>(&row - table_.data())] = true; }

  const OptionTable &table_;
  std::span<const char *const> words_;
  std::vector<bool> given_;
};

std::string helpRow(std::string_view left, std::string_view doc) {
  constexpr size_t kColumn = 30;
  return left.size() < kColumn ? fmt::format("  {:<{}}{}\n", left, kColumn, doc)
                               : fmt::format("  {}\n  {:{}}{}\n", left, "", kColumn, doc);
}

std::string leftOf(const OptionRow &row) {
  std::string left = row.name;
  if (!row.choices.empty())
    left += fmt::format(" {}", fmt::join(row.choices, "|"));
  else if (!row.type.empty())
    left += " " + row.type;
  if (std::holds_alternative<std::vector<std::string> *>(row.target))
    left += " ...";
  return row.environment.empty() ? left : left + " ($" + row.environment + ")";
}

} // namespace

Status parseOptions(const OptionTable &table, std::span<const char *const> words) {
  return Parser(table, words).run();
}

std::string helpText(std::string_view command, std::string_view doc, const OptionTable &table) {
  std::string words, flags = helpRow("-h,--help", "Print this help message and exit");
  std::string text = fmt::format("{}\nUsage: {} [OPTIONS]", doc, command);
  for (const OptionRow &row : table) {
    (isFlag(row) ? flags : words) += helpRow(leftOf(row), row.doc);
    if (!isFlag(row))
      text += " " + row.name + "...";
  }
  return text + "\n\n" + (words.empty() ? "" : "Positionals:\n" + words + "\n") + "Options:\n" + flags;
}

} // namespace gradc
