#include "support/check.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

namespace gradc {
namespace {

thread_local ReproducerSlot reproducer;

/// Takes the hook out before it runs: a hook that breaks an invariant itself must not be called again.
std::string writeReproducer() {
  ReproducerSlot slot = std::exchange(reproducer, {});
  return slot.hook ? slot.hook(slot.context) : std::string();
}

} // namespace

ReproducerSlot setReproducer(ReproducerSlot slot) { return std::exchange(reproducer, slot); }

void internalError(const char *file, int line, const char *condition, std::string_view message) {
  std::string text = fmt::format("gradc: internal error: {}:{}: {}", file, line, condition);
  if (!message.empty())
    text += fmt::format(": {}", message);
  text += "\ngradc: this is a bug in gradc, please report it";
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr); // before the hook, which may crash
  if (std::string path = writeReproducer(); !path.empty())
    std::fprintf(stderr, "gradc: reproducer written to '%s', please attach it\n", path.c_str());
  std::fflush(stderr);
  if (std::getenv("GRADC_ABORT_ON_INTERNAL"))
    std::abort();
  std::_Exit(70); // no destructors: other threads may still be running
}

} // namespace gradc
