// What the stand-ins of cuBLAS ask of the simulated driver besides its public API; for use inside host functions.
#include <fmt/format.h>

#include "driver/execute.h"

using namespace cudasim;

namespace {

std::shared_ptr<Context> current(Driver &driver) {
  return currentContexts().empty() ? nullptr : driver.contexts.find(currentContexts().back());
}

} // namespace

/// Null if the bytes are device memory that was allocated in one piece (and `read` bytes are written), else why not;
/// the text lives until the thread's next call. `write` marks them as written.
extern "C" __attribute__((visibility("default"))) const char *
cudasimCheckRange(const void *address, size_t bytes, int read, int write) {
  thread_local std::string why;
  Driver &driver = Driver::get();
  std::scoped_lock lock(driver.mutex);
  auto found = driver.memory->check(address, int64_t(bytes));
  if (!found)
    why = found.error();
  else if (read && driver.options.uninitialised && !driver.memory->initialised(address, int64_t(bytes)))
    why = "nobody has written it: " + (*found)->describe(reinterpret_cast<uint64_t>(address));
  else
    why.clear();
  std::shared_ptr<Context> context = current(driver);
  if (why.empty() && driver.options.races && context)
    why = context->races.range(*driver.memory, reinterpret_cast<uintptr_t>(address), bytes, write != 0)
              .value_or("");
  if (why.empty() && write)
    driver.memory->markWritten(address, int64_t(bytes));
  return why.empty() ? nullptr : why.c_str();
}

/// Breaks the current context as a kernel that reads outside of its memory would.
extern "C" __attribute__((visibility("default"))) void cudasimFault(const char *text) {
  Driver &driver = Driver::get();
  std::scoped_lock lock(driver.mutex);
  if (std::shared_ptr<Context> context = current(driver))
    context->fail({CUDA_ERROR_ILLEGAL_ADDRESS, text});
}

extern "C" __attribute__((visibility("default"))) void cudasimLog(const char *event, const char *fields) {
  Driver &driver = Driver::get();
  std::scoped_lock lock(driver.mutex);
  driver.log.write(event, fields);
}

/// Whether CUDASIM_FAIL orders the fault of this name: "lt".
extern "C" __attribute__((visibility("default"))) int cudasimFails(const char *name) {
  Driver &driver = Driver::get();
  std::scoped_lock lock(driver.mutex);
  return std::string_view(name) == "lt" && driver.settings.faults.noMatmulAlgorithm;
}
