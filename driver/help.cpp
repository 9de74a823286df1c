#include "driver/help.h"

#include <algorithm>
#include <string>

#include <CLI/CLI.hpp>

namespace gradc {
namespace {

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

} // namespace

std::shared_ptr<CLI::FormatterBase> helpFormatter() {
  auto formatter = std::make_shared<HelpFormatter>();
  formatter->column_width(32);
  return formatter;
}

} // namespace gradc
