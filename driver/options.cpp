#include "driver/options.h"

#include <CLI/CLI.hpp>

namespace gradc {
namespace {

CLI::Option *declare(CLI::App &command, const OptionRow &row, bool *target) {
  return command.add_flag(row.name, *target, row.doc);
}

template <class T> CLI::Option *declare(CLI::App &command, const OptionRow &row, T *target) {
  CLI::Option *option = command.add_option(row.name, *target, row.doc);
  if (!row.type.empty())
    option->type_name(row.type);
  if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, std::optional<int64_t>>)
    option->check(CLI::Range(row.least, row.most));
  if (!row.choices.empty())
    option->check(CLI::IsMember(row.choices));
  return option;
}

} // namespace

void declareOptions(CLI::App &command, const OptionTable &table) {
  for (const OptionRow &row : table) {
    CLI::Option *option = std::visit([&](auto *target) { return declare(command, row, target); }, row.target);
    option->envname(row.environment)->required(row.required);
  }
}

} // namespace gradc
