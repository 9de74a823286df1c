// The functions of the simulated driver that the stand-ins of cuBLAS use. They are looked up in the libcuda.so.1 that
// the program has loaded, as the real libraries do it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "driver/cuda_abi.h"

namespace cudasim {

struct DriverLink {
  CUresult (*driverGetVersion)(int *);
  CUresult (*ctxGetCurrent)(CUcontext *);
  CUresult (*deviceGetAttribute)(int *, CUdevice_attribute, CUdevice);
  CUresult (*launchHostFunc)(CUstream, CUhostFn, void *);
  CUresult (*streamIsCapturing)(CUstream, CUstreamCaptureStatus *);
  const char *(*checkRange)(const void *, size_t, int read, int write);
  void (*fault)(const char *);
  void (*log)(const char *event, const char *fields);
  int (*fails)(const char *);

  /// Null if there is no simulated driver: with another libcuda this library must not be used.
  static const DriverLink *get();
};

/// Queues work as a host function of the stream, so that the order of streams and capture hold. False: refused.
bool queueWork(const DriverLink &driver, CUstream stream, std::function<void()> work);

/// The current context's device rounds operands to tf32 if asked to (from compute capability 8.0 on).
bool deviceHasTf32(const DriverLink &driver);

/// Whether there is a context, and a driver that is new enough.
bool ready(const DriverLink *driver);

/// A call that is refused: the API gives just a number, the reason goes to the log.
void logRefusal(const DriverLink &driver, std::string_view call, std::string_view why);

} // namespace cudasim
