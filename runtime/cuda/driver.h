// The functions of the CUDA driver (libcuda.so.1) that the runtime calls, loaded when a device is asked for. Types and
// values are those that the driver's documentation gives; no CUDA header is needed to build or to run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "support/dynamic_library.h"
#include "support/result.h"

namespace gradc::cuda {

using Code = int;                   // CUresult
using Address = unsigned long long; // CUdeviceptr
using ContextHandle = struct CUctx_st *;
using ModuleHandle = struct CUmod_st *;
using FunctionHandle = struct CUfunc_st *;
using StreamHandle = struct CUstream_st *;
using EventHandle = struct CUevent_st *;
using GraphHandle = struct CUgraph_st *;
using GraphExecHandle = struct CUgraphExec_st *;

inline constexpr Code kSuccess = 0, kOutOfMemory = 2, kStubLibrary = 34, kNoDevice = 100,
                      kNoBinaryForGpu = 209, kUnsupportedPtxVersion = 222;

// clang-format off
#define GRADC_CUDA_DRIVER(F)                                                                                         \
  F(init, "cuInit", (unsigned))                                                                                      \
  F(driverGetVersion, "cuDriverGetVersion", (int *))                                                                 \
  F(getErrorName, "cuGetErrorName", (Code, const char **))                                                           \
  F(getErrorString, "cuGetErrorString", (Code, const char **))                                                       \
  F(deviceGetCount, "cuDeviceGetCount", (int *))                                                                     \
  F(deviceGet, "cuDeviceGet", (int *, int))                                                                          \
  F(deviceGetName, "cuDeviceGetName", (char *, int, int))                                                            \
  F(deviceGetAttribute, "cuDeviceGetAttribute", (int *, int, int))                                                   \
  F(primaryCtxRetain, "cuDevicePrimaryCtxRetain", (ContextHandle *, int))                                            \
  F(primaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (int))                                                        \
  F(ctxSetCurrent, "cuCtxSetCurrent", (ContextHandle))                                                               \
  F(memGetInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                                                             \
  F(memAlloc, "cuMemAlloc_v2", (Address *, size_t))                                                                  \
  F(memFree, "cuMemFree_v2", (Address))                                                                              \
  F(memHostAlloc, "cuMemHostAlloc", (void **, size_t, unsigned))                                                     \
  F(memFreeHost, "cuMemFreeHost", (void *))                                                                          \
  F(memsetD8Async, "cuMemsetD8Async", (Address, unsigned char, size_t, StreamHandle))                                \
  F(memcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", (Address, const void *, size_t, StreamHandle))                          \
  F(memcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void *, Address, size_t, StreamHandle))                                \
  F(moduleLoadDataEx, "cuModuleLoadDataEx", (ModuleHandle *, const void *, unsigned, int *, void **))                \
  F(moduleUnload, "cuModuleUnload", (ModuleHandle))                                                                  \
  F(moduleGetFunction, "cuModuleGetFunction", (FunctionHandle *, ModuleHandle, const char *))                        \
  F(funcSetAttribute, "cuFuncSetAttribute", (FunctionHandle, int, int))                                              \
  F(launchKernel, "cuLaunchKernel", (FunctionHandle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,     \
                                     unsigned, StreamHandle, void **, void **))                                      \
  F(streamCreate, "cuStreamCreate", (StreamHandle *, unsigned))                                                      \
  F(streamDestroy, "cuStreamDestroy_v2", (StreamHandle))                                                             \
  F(streamSynchronize, "cuStreamSynchronize", (StreamHandle))                                                        \
  F(streamWaitEvent, "cuStreamWaitEvent", (StreamHandle, EventHandle, unsigned))                                     \
  F(streamBeginCapture, "cuStreamBeginCapture_v2", (StreamHandle, int))                                              \
  F(streamEndCapture, "cuStreamEndCapture", (StreamHandle, GraphHandle *))                                           \
  F(eventCreate, "cuEventCreate", (EventHandle *, unsigned))                                                         \
  F(eventDestroy, "cuEventDestroy_v2", (EventHandle))                                                                \
  F(eventRecord, "cuEventRecord", (EventHandle, StreamHandle))                                                       \
  F(eventSynchronize, "cuEventSynchronize", (EventHandle))                                                           \
  F(eventElapsedTime, "cuEventElapsedTime", (float *, EventHandle, EventHandle))                                     \
  F(graphInstantiate, "cuGraphInstantiateWithFlags", (GraphExecHandle *, GraphHandle, unsigned long long))           \
  F(graphLaunch, "cuGraphLaunch", (GraphExecHandle, StreamHandle))                                                   \
  F(graphDestroy, "cuGraphDestroy", (GraphHandle))                                                                   \
  F(graphExecDestroy, "cuGraphExecDestroy", (GraphExecHandle))
// clang-format on

struct Driver {
  /// The same table for the whole process, initialised. Messages, all with exit code 6: no library, the toolkit's stub
  /// library, a driver that is too old, no device.
  static StatusOr<const Driver *> load();

#define GRADC_DECLARE(member, name, parameters) Code(*member) parameters = nullptr;
  GRADC_CUDA_DRIVER(GRADC_DECLARE)
#undef GRADC_DECLARE

  int version = 0; // 13000: CUDA 13.0
  std::string path;

  /// "12.4"
  std::string versionText() const;
  /// "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"
  std::string describe(Code code) const;
  /// Ok, or "CUDA: <what>: <error>" with exit code 6.
  Status check(Code code, const char *what) const;

private:
  static StatusOr<Driver> make();
  Status start() const;
};

} // namespace gradc::cuda
