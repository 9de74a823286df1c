// The command line of a stand-alone executable: rows of support/options.h read from words, and their help.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "support/options.h"
#include "support/result.h"

namespace gradc {

/// Sets the targets of the rows. "--flag value", "--flag=value", switches, words. A usage error says what is wrong
/// and proposes the nearest flag.
Status parseOptions(const OptionTable &table, std::span<const char *const> words);

/// "lenet train": what it does, its usage, and a line per row.
std::string helpText(std::string_view command, std::string_view doc, const OptionTable &table);

} // namespace gradc
