// Internal invariants. They stay on in release builds: a compiler that goes on after one of its own
// assumptions broke produces wrong weights quietly.
#pragma once

#include <string_view>

#include <fmt/format.h>

namespace gradc {

/// Prints "internal error: file:line: condition: message" with a plea to report it, and ends the process:
/// abort() where GRADC_ABORT_ON_INTERNAL is set (so that lit's `not` sees a crash), else exit code 70.
[[noreturn]] void internalError(const char *file, int line, const char *condition, std::string_view message);

/// Called once, before the process ends, by internalError: writes the reproducer of the running compilation.
/// The hook returns the path written, or an empty string.
using ReproducerHook = std::string (*)(void *context);
/// Installs the hook for the current thread's compilation and returns the former one; see ScopedReproducer.
struct ReproducerSlot {
  ReproducerHook hook = nullptr;
  void *context = nullptr;
};
ReproducerSlot setReproducer(ReproducerSlot slot);

} // namespace gradc

/// CHECK(condition) or CHECK(condition, "format {}", args…).
#define CHECK(condition, ...)                                                                                \
  do {                                                                                                       \
    if (!(condition)) [[unlikely]]                                                                           \
      ::gradc::internalError(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__));                 \
  } while (false)
