// What the command line says when it is used wrongly.
#pragma once

#include "support/result.h"

namespace CLI {
class App;
class Error;
} // namespace CLI

namespace gradc {

/// Prints what --help or --version asked for (Ok), or the usage error with the nearest known flag or command.
ExitCode reportUsage(const CLI::App &app, const CLI::Error &error);

} // namespace gradc
