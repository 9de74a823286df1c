// The driver API: copies and memsets. When each returns, and when it reads the host's memory, is what "API
// synchronization behavior" of the driver API's manual says: the suffix Async alone does not decide it.
#include <cstring>

#include "driver/capture.h"
#include "driver/copy.h"
#include "driver/execute.h"

using namespace cudasim;

namespace {

bool pageable(const Context &context, const CopySide &side, const Copy &copy) {
  return !side.device &&
         !context.hostRangePinned(side.address, (copy.depth - 1) * side.slice +
                                                    (copy.height - 1) * side.pitch + copy.width);
}

/// Takes the bytes of the source now.
void stage(Copy &copy) {
  size_t bytes = (copy.depth - 1) * copy.from.slice + (copy.height - 1) * copy.from.pitch + copy.width;
  const auto *start = reinterpret_cast<const uint8_t *>(copy.from.address);
  copy.staged = std::make_shared<const std::vector<uint8_t>>(start, start + bytes);
}

/// Pageable sources are staged before the function returns, pageable destinations are written before it does.
CUresult copyAsync(Driver &driver, Context &context, Stream &stream, Copy copy) {
  bool wait = !stream.capture && pageable(context, copy.to, copy);
  if (!stream.capture && pageable(context, copy.from, copy))
    stage(copy);
  if (CUresult refused = enqueue(driver, context, stream, NodeOperation(std::move(copy)));
      refused != CUDA_SUCCESS)
    return refused;
  return wait ? runUntil(driver, context, stream.end()) : CUDA_SUCCESS;
}

CUresult copyNow(Driver &driver, Context &context, Copy copy) {
  Stream &stream = *context.legacy;
  if (CUresult refused = refuseLegacy(context); refused != CUDA_SUCCESS)
    return refused;
  if (CUresult refused = refuseUnsafe(context); refused != CUDA_SUCCESS)
    return refused;
  bool betweenDevice = copy.from.device && copy.to.device, staged = pageable(context, copy.from, copy);
  if (staged) {
    enqueue(driver, context, stream, NodeOperation(Empty()));
    if (CUresult failed = runUntil(driver, context, stream.end()); failed != CUDA_SUCCESS)
      return failed;
    stage(copy);
  }
  bool toHost = !copy.to.device;
  if (CUresult refused = enqueue(driver, context, stream, NodeOperation(std::move(copy)));
      refused != CUDA_SUCCESS)
    return refused;
  return betweenDevice || (staged && !toHost) ? CUDA_SUCCESS : runUntil(driver, context, stream.end());
}

CUresult copyAsked(const CUDA_MEMCPY3D &asked, const CUstream *stream) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<Stream> found = stream ? context.stream(*stream) : context.legacy;
    if (!found)
      return CUDA_ERROR_INVALID_HANDLE;
    if (asked.WidthInBytes == 0 || asked.Height == 0 || asked.Depth == 0)
      return CUDA_SUCCESS; // nothing to copy
    Copy copy;
    if (CUresult bad = makeCopy(driver, asked, copy); bad != CUDA_SUCCESS)
      return bad;
    return stream ? copyAsync(driver, context, *found, std::move(copy))
                  : copyNow(driver, context, std::move(copy));
  });
}

CUDA_MEMCPY3D row(CUmemorytype to, CUmemorytype from, CUdeviceptr toDevice, void *toHost,
                  CUdeviceptr fromDevice, const void *fromHost, size_t bytes) {
  CUDA_MEMCPY3D asked{};
  asked.dstMemoryType = to;
  asked.srcMemoryType = from;
  asked.dstDevice = toDevice;
  asked.dstHost = toHost;
  asked.srcDevice = fromDevice;
  asked.srcHost = fromHost;
  asked.WidthInBytes = bytes;
  asked.Height = asked.Depth = 1;
  return asked;
}

CUDA_MEMCPY3D toDevice(CUdeviceptr to, const void *from, size_t bytes) {
  return row(CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST, to, nullptr, 0, from, bytes);
}
CUDA_MEMCPY3D toHost(void *to, CUdeviceptr from, size_t bytes) {
  return row(CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE, 0, to, from, nullptr, bytes);
}
CUDA_MEMCPY3D onDevice(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return row(CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_DEVICE, to, nullptr, from, nullptr, bytes);
}
CUDA_MEMCPY3D anywhere(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return row(CU_MEMORYTYPE_UNIFIED, CU_MEMORYTYPE_UNIFIED, to, nullptr, from, nullptr, bytes);
}

CUDA_MEMCPY3D planar(const CUDA_MEMCPY2D &asked) {
  CUDA_MEMCPY3D made = row(asked.dstMemoryType, asked.srcMemoryType, asked.dstDevice, asked.dstHost,
                           asked.srcDevice, asked.srcHost, asked.WidthInBytes);
  made.srcXInBytes = asked.srcXInBytes;
  made.srcY = asked.srcY;
  made.srcPitch = asked.srcPitch;
  made.dstXInBytes = asked.dstXInBytes;
  made.dstY = asked.dstY;
  made.dstPitch = asked.dstPitch;
  made.Height = asked.Height;
  return made;
}

CUresult fillAsked(CUdeviceptr to, size_t pitch, unsigned value, unsigned elementSize, size_t width,
                   size_t height, CUstream stream) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<Stream> found = context.stream(stream);
    if (!found)
      return CUDA_ERROR_INVALID_HANDLE;
    if (width == 0 || height == 0)
      return CUDA_SUCCESS;
    Fill fill;
    if (CUresult bad = makeFill(driver, {to, pitch, value, elementSize, width, height}, fill);
        bad != CUDA_SUCCESS)
      return bad;
    return enqueue(driver, context, *found, NodeOperation(fill));
  });
}

} // namespace

CUDASIM_API cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return copyAsked(toDevice(to, from, bytes), nullptr);
}
CUDASIM_API cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return copyAsked(toHost(to, from, bytes), nullptr);
}
CUDASIM_API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copyAsked(onDevice(to, from, bytes), nullptr);
}
CUDASIM_API cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return copyAsked(anywhere(to, from, bytes), nullptr);
}
CUDASIM_API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  return copyAsked(toDevice(to, from, bytes), &stream);
}
CUDASIM_API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyAsked(toHost(to, from, bytes), &stream);
}
CUDASIM_API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyAsked(onDevice(to, from, bytes), &stream);
}
CUDASIM_API cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copyAsked(anywhere(to, from, bytes), &stream);
}
CUDASIM_API cuMemcpy2D_v2(const CUDA_MEMCPY2D *asked) {
  return asked ? copyAsked(planar(*asked), nullptr) : CUDA_ERROR_INVALID_VALUE;
}
CUDASIM_API cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *asked, CUstream stream) {
  return asked ? copyAsked(planar(*asked), &stream) : CUDA_ERROR_INVALID_VALUE;
}
CUDASIM_API cuMemcpy3D_v2(const CUDA_MEMCPY3D *asked) {
  return asked ? copyAsked(*asked, nullptr) : CUDA_ERROR_INVALID_VALUE;
}
CUDASIM_API cuMemcpy3DAsync_v2(const CUDA_MEMCPY3D *asked, CUstream stream) {
  return asked ? copyAsked(*asked, &stream) : CUDA_ERROR_INVALID_VALUE;
}

// A memset of device memory without Async does not wait either; it only uses the legacy stream.
CUDASIM_API cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return fillAsked(to, 0, value, 1, count, 1, nullptr);
}
CUDASIM_API cuMemsetD16_v2(CUdeviceptr to, unsigned short value, size_t count) {
  return fillAsked(to, 0, value, 2, count, 1, nullptr);
}
CUDASIM_API cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return fillAsked(to, 0, value, 4, count, 1, nullptr);
}
CUDASIM_API cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return fillAsked(to, 0, value, 1, count, 1, stream);
}
CUDASIM_API cuMemsetD16Async(CUdeviceptr to, unsigned short value, size_t count, CUstream stream) {
  return fillAsked(to, 0, value, 2, count, 1, stream);
}
CUDASIM_API cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return fillAsked(to, 0, value, 4, count, 1, stream);
}
CUDASIM_API cuMemsetD2D8Async(CUdeviceptr to, size_t pitch, unsigned char value, size_t width, size_t height,
                              CUstream stream) {
  return fillAsked(to, pitch, value, 1, width, height, stream);
}
CUDASIM_API cuMemsetD2D32Async(CUdeviceptr to, size_t pitch, unsigned value, size_t width, size_t height,
                               CUstream stream) {
  return fillAsked(to, pitch, value, 4, width, height, stream);
}
