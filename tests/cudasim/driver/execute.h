// Runs the operations of streams and graphs.
#pragma once

#include "driver/driver.h"

namespace cudasim {

/// Runs queued work of the context until `target` is reached; the context's error if it broke on the way.
CUresult runUntil(Driver &driver, Context &context, const Point &target);

/// Runs all queued work of the context.
CUresult runAll(Driver &driver, Context &context);

/// Runs one operation of those that `target` waits for, so that a loop of queries ends.
void runOne(Driver &driver, Context &context, const Point &target);

/// Whether the range lies in device memory of the context that was allocated in one piece; else says why not.
std::optional<Failure> checkRange(Context &context, uintptr_t address, size_t bytes, std::string_view who);

} // namespace cudasim
