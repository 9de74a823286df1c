// The flags of a command as a table. gradc declares the rows on its parser (driver/options.h), a stand-alone executable
// reads them with its own (runtime/commands/command_line.h): the same names, ranges and help in both.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace gradc {

struct OptionRow {
  /// Where the value goes; a bool is a switch, a vector takes every word that stands without a flag.
  using Target = std::variant<std::string *, bool *, int64_t *, std::optional<int64_t> *,
                              std::optional<uint64_t> *, std::vector<std::string> *>;

  std::string name; // "--out"; without dashes: what stands alone
  Target target;
  std::string type = {}; // "DIR", as the help shows it
  std::string doc;
  std::vector<std::string> choices = {}; // of a text; empty: any
  int64_t least = 0, most = INT64_MAX;   // of a signed number
  std::string environment = {};          // the variable that stands in where the flag is not given
  bool required = false;
};

/// In the order of the help. The targets must outlive the parse.
using OptionTable = std::vector<OptionRow>;

} // namespace gradc
