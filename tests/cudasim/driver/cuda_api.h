// The functions of the driver API that the simulated driver exports, by the names of their symbols: cuda.h maps
// cuMemAlloc to cuMemAlloc_v2 and so on.
#pragma once

#include "driver/cuda_abi.h"

#define CUDASIM_API extern "C" __attribute__((visibility("default"))) CUresult

// initialisation and the device
CUDASIM_API cuInit(unsigned flags);
CUDASIM_API cuDriverGetVersion(int *version);
CUDASIM_API cuDeviceGetCount(int *count);
CUDASIM_API cuDeviceGet(CUdevice *device, int ordinal);
CUDASIM_API cuDeviceGetName(char *name, int length, CUdevice device);
CUDASIM_API cuDeviceTotalMem_v2(size_t *bytes, CUdevice device);
CUDASIM_API cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device);
CUDASIM_API cuDeviceComputeCapability(int *major, int *minor, CUdevice device);
CUDASIM_API cuGetExportTable(const void **table, const CUuuid *);
CUDASIM_API cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t,
                                CUdriverProcAddressQueryResult *status);

// errors
CUDASIM_API cuGetErrorName(CUresult error, const char **text);
CUDASIM_API cuGetErrorString(CUresult error, const char **text);

// contexts
CUDASIM_API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device);
CUDASIM_API cuDevicePrimaryCtxRelease_v2(CUdevice device);
CUDASIM_API cuDevicePrimaryCtxReset_v2(CUdevice device);
CUDASIM_API cuDevicePrimaryCtxSetFlags_v2(CUdevice device, unsigned flags);
CUDASIM_API cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active);
CUDASIM_API cuCtxCreate_v4(CUcontext *context, void *parameters, unsigned flags, CUdevice device);
CUDASIM_API cuCtxDestroy_v2(CUcontext handle);
CUDASIM_API cuCtxSetCurrent(CUcontext context);
CUDASIM_API cuCtxGetCurrent(CUcontext *context);
CUDASIM_API cuCtxPushCurrent_v2(CUcontext context);
CUDASIM_API cuCtxPopCurrent_v2(CUcontext *context);
CUDASIM_API cuCtxGetDevice(CUdevice *device);
CUDASIM_API cuCtxGetFlags(unsigned *flags);
CUDASIM_API cuCtxGetStreamPriorityRange(int *least, int *greatest);
CUDASIM_API cuCtxSynchronize();

// modules
CUDASIM_API cuModuleLoadData(CUmodule *module, const void *image);
CUDASIM_API cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options,
                               void **values);
CUDASIM_API cuModuleLoad(CUmodule *module, const char *path);
CUDASIM_API cuModuleUnload(CUmodule handle);
CUDASIM_API cuModuleGetFunction(CUfunction *handle, CUmodule moduleHandle, const char *name);
CUDASIM_API cuModuleGetFunctionCount(unsigned *count, CUmodule handle);
CUDASIM_API cuModuleGetGlobal_v2(CUdeviceptr *pointer, size_t *bytes, CUmodule handle, const char *name);

// kernels
CUDASIM_API cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction handle);
CUDASIM_API cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value);
CUDASIM_API cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config);
CUDASIM_API cuFuncGetName(const char **name, CUfunction handle);
CUDASIM_API cuFuncGetParamInfo(CUfunction handle, size_t index, size_t *offset, size_t *bytes);
CUDASIM_API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction handle, int threads,
                                                                 size_t dynamicShared, unsigned flags);
CUDASIM_API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction handle, int threads,
                                                        size_t dynamicShared);
CUDASIM_API cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction handle,
                                             CUoccupancyB2DSize sharedOf, size_t dynamicShared, int limit);

// memory
CUDASIM_API cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes);
CUDASIM_API cuMemFree_v2(CUdeviceptr pointer);
CUDASIM_API cuMemGetInfo_v2(size_t *free, size_t *total);
CUDASIM_API cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr pointer);
CUDASIM_API cuMemHostAlloc(void **pointer, size_t bytes, unsigned flags);
CUDASIM_API cuMemAllocHost_v2(void **pointer, size_t bytes);
CUDASIM_API cuMemFreeHost(void *pointer);
CUDASIM_API cuMemHostGetFlags(unsigned *flags, void *pointer);
CUDASIM_API cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned flags);
CUDASIM_API cuMemHostUnregister(void *pointer);
CUDASIM_API cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr pointer);

// copies and memsets
CUDASIM_API cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes);
CUDASIM_API cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes);
CUDASIM_API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes);
CUDASIM_API cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes);
CUDASIM_API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream);
CUDASIM_API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream);
CUDASIM_API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream);
CUDASIM_API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream);
CUDASIM_API cuMemcpy2D_v2(const CUDA_MEMCPY2D *asked);
CUDASIM_API cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *asked, CUstream stream);
CUDASIM_API cuMemcpy3D_v2(const CUDA_MEMCPY3D *asked);
CUDASIM_API cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *asked, CUstream stream);
CUDASIM_API cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count);
CUDASIM_API cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count);
CUDASIM_API cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count);
CUDASIM_API cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream);
CUDASIM_API cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream);
CUDASIM_API cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream);
CUDASIM_API cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                              CUstream stream);
CUDASIM_API cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height,
                               CUstream stream);

// streams
CUDASIM_API cuStreamCreate(CUstream *stream, unsigned flags);
CUDASIM_API cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority);
CUDASIM_API cuStreamDestroy_v2(CUstream handle);
CUDASIM_API cuStreamGetFlags(CUstream handle, unsigned *flags);
CUDASIM_API cuStreamGetPriority(CUstream handle, int *priority);
CUDASIM_API cuStreamGetCtx(CUstream handle, CUcontext *result);
CUDASIM_API cuStreamSynchronize(CUstream handle);
CUDASIM_API cuStreamQuery(CUstream handle);
CUDASIM_API cuLaunchHostFunc(CUstream handle, CUhostFn function, void *userData);

// events
CUDASIM_API cuEventCreate(CUevent *handle, unsigned flags);
CUDASIM_API cuEventDestroy_v2(CUevent handle);
CUDASIM_API cuEventRecord(CUevent handle, CUstream streamHandle);
CUDASIM_API cuStreamWaitEvent(CUstream streamHandle, CUevent handle, unsigned flags);
CUDASIM_API cuEventQuery(CUevent handle);
CUDASIM_API cuEventSynchronize(CUevent handle);
CUDASIM_API cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end);
CUDASIM_API cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);

// launches
CUDASIM_API cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY, unsigned gridZ,
                           unsigned blockX, unsigned blockY, unsigned blockZ, unsigned sharedBytes,
                           CUstream stream, void **parameters, void **extra);
CUDASIM_API cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters,
                             void **extra);

// stream capture
CUDASIM_API cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode);
CUDASIM_API cuStreamEndCapture(CUstream handle, CUgraph *graph);
CUDASIM_API cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status);
CUDASIM_API cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *id,
                                      CUgraph *graph, const CUgraphNode **nodes,
                                      const CUgraphEdgeData **edges, size_t *count);
CUDASIM_API cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode);

// graphs
CUDASIM_API cuGraphCreate(CUgraph *handle, unsigned flags);
CUDASIM_API cuGraphDestroy(CUgraph handle);
CUDASIM_API cuGraphAddKernelNode_v2(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after,
                                    size_t count, const CUDA_KERNEL_NODE_PARAMS *asked);
CUDASIM_API cuGraphAddMemcpyNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count,
                                 const CUDA_MEMCPY3D *asked, CUcontext);
CUDASIM_API cuGraphAddMemsetNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count,
                                 const CUDA_MEMSET_NODE_PARAMS *asked, CUcontext);
CUDASIM_API cuGraphAddHostNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count,
                               const CUDA_HOST_NODE_PARAMS *asked);
CUDASIM_API cuGraphAddEmptyNode(CUgraphNode *handle, CUgraph graph, const CUgraphNode *after, size_t count);
CUDASIM_API cuGraphAddDependencies_v2(CUgraph handle, const CUgraphNode *from, const CUgraphNode *to,
                                      const CUgraphEdgeData *edges, size_t count);
CUDASIM_API cuGraphGetNodes(CUgraph handle, CUgraphNode *nodes, size_t *count);
CUDASIM_API cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType *type);
CUDASIM_API cuGraphNodeGetDependencies_v2(CUgraphNode handle, CUgraphNode *nodes, CUgraphEdgeData *edges,
                                          size_t *count);
CUDASIM_API cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS *shown);
CUDASIM_API cuGraphKernelNodeSetParams_v2(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS *asked);
CUDASIM_API cuGraphMemcpyNodeGetParams(CUgraphNode handle, CUDA_MEMCPY3D *shown);
CUDASIM_API cuGraphMemsetNodeGetParams(CUgraphNode handle, CUDA_MEMSET_NODE_PARAMS *shown);
CUDASIM_API cuGraphHostNodeGetParams(CUgraphNode handle, CUDA_HOST_NODE_PARAMS *shown);

// executable graphs
CUDASIM_API cuGraphInstantiateWithFlags(CUgraphExec *handle, CUgraph graphHandle, unsigned long long flags);
CUDASIM_API cuGraphExecDestroy(CUgraphExec handle);
CUDASIM_API cuGraphUpload(CUgraphExec handle, CUstream streamHandle);
CUDASIM_API cuGraphLaunch(CUgraphExec handle, CUstream streamHandle);
CUDASIM_API cuGraphExecKernelNodeSetParams_v2(CUgraphExec handle, CUgraphNode node,
                                              const CUDA_KERNEL_NODE_PARAMS *asked);
CUDASIM_API cuGraphExecMemcpyNodeSetParams(CUgraphExec handle, CUgraphNode node, const CUDA_MEMCPY3D *asked,
                                           CUcontext);
CUDASIM_API cuGraphExecMemsetNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                           const CUDA_MEMSET_NODE_PARAMS *asked, CUcontext);
CUDASIM_API cuGraphExecHostNodeSetParams(CUgraphExec handle, CUgraphNode node,
                                         const CUDA_HOST_NODE_PARAMS *asked);
