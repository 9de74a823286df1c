// Declares rows of support/options.h on a command of CLI11.
#pragma once

#include "support/options.h"

namespace CLI {
class App;
}

namespace gradc {

void declareOptions(CLI::App &command, const OptionTable &table);

} // namespace gradc
