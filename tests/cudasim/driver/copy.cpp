#include "driver/copy.h"

namespace cudasim {
namespace {

/// One end of the copy as CUDA_MEMCPY3D spells it.
struct AskedSide {
  CUmemorytype type;
  const void *host;
  CUdeviceptr device;
  size_t x, y, z, lod, pitch, height;
};

AskedSide sourceOf(const CUDA_MEMCPY3D &c) {
  return {c.srcMemoryType, c.srcHost, c.srcDevice, c.srcXInBytes, c.srcY,
          c.srcZ,          c.srcLOD,  c.srcPitch,  c.srcHeight};
}
AskedSide destinationOf(const CUDA_MEMCPY3D &c) {
  return {c.dstMemoryType, c.dstHost, c.dstDevice, c.dstXInBytes, c.dstY,
          c.dstZ,          c.dstLOD,  c.dstPitch,  c.dstHeight};
}

bool allocated(const Driver &driver, uintptr_t address, size_t bytes) {
  return driver.memory->find(address, address + bytes) != nullptr;
}

CUresult makeSide(Driver &driver, const AskedSide &asked, const Copy &copy, CopySide &side) {
  bool unified = asked.type == CU_MEMORYTYPE_UNIFIED;
  if (asked.type == CU_MEMORYTYPE_ARRAY)
    return CUDA_ERROR_NOT_SUPPORTED; // no textures here
  if ((!unified && asked.type != CU_MEMORYTYPE_HOST && asked.type != CU_MEMORYTYPE_DEVICE) || asked.lod != 0)
    return CUDA_ERROR_INVALID_VALUE;
  bool useHost = asked.type == CU_MEMORYTYPE_HOST;
  uintptr_t base = useHost ? reinterpret_cast<uintptr_t>(asked.host) : uintptr_t(asked.device);
  side.pitch = asked.pitch ? asked.pitch : copy.width;
  side.slice = side.pitch * (asked.height ? asked.height : copy.height);
  if (base == 0 || (copy.height > 1 && side.pitch < asked.x + copy.width) ||
      (copy.depth > 1 && side.slice < side.pitch * (asked.y + copy.height)))
    return CUDA_ERROR_INVALID_VALUE;
  side.address = base + asked.z * side.slice + asked.y * side.pitch + asked.x;
  side.device = asked.type == CU_MEMORYTYPE_DEVICE || (unified && allocated(driver, side.address, 1));
  size_t extent = (copy.depth - 1) * side.slice + (copy.height - 1) * side.pitch + copy.width;
  return !side.device || allocated(driver, side.address, extent) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

void describeSide(const CopySide &side, const Copy &copy, CUmemorytype &type, const void *&host,
                  CUdeviceptr &device, size_t &pitch, size_t &height) {
  type = side.device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
  if (side.device)
    device = side.address;
  else
    host = reinterpret_cast<const void *>(side.address);
  pitch = side.pitch;
  height = copy.height == 0 || side.pitch == 0 ? 0 : side.slice / side.pitch;
}

} // namespace

CUresult makeCopy(Driver &driver, const CUDA_MEMCPY3D &asked, Copy &copy) {
  copy.width = asked.WidthInBytes;
  copy.height = asked.Height;
  copy.depth = asked.Depth;
  if (copy.width == 0 || copy.height == 0 || copy.depth == 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (CUresult bad = makeSide(driver, sourceOf(asked), copy, copy.from); bad != CUDA_SUCCESS)
    return bad;
  return makeSide(driver, destinationOf(asked), copy, copy.to);
}

CUDA_MEMCPY3D describe(const Copy &copy) {
  CUDA_MEMCPY3D shown{};
  const void *destination = nullptr;
  describeSide(copy.from, copy, shown.srcMemoryType, shown.srcHost, shown.srcDevice, shown.srcPitch,
               shown.srcHeight);
  describeSide(copy.to, copy, shown.dstMemoryType, destination, shown.dstDevice, shown.dstPitch,
               shown.dstHeight);
  shown.dstHost = const_cast<void *>(destination);
  shown.WidthInBytes = copy.width;
  shown.Height = copy.height;
  shown.Depth = copy.depth;
  return shown;
}

CUresult makeFill(Driver &driver, const CUDA_MEMSET_NODE_PARAMS &asked, Fill &fill) {
  bool aligned = asked.elementSize == 1 || asked.elementSize == 2 || asked.elementSize == 4;
  if (!aligned || asked.width == 0 || asked.height == 0 || asked.dst % asked.elementSize != 0 ||
      (asked.height > 1 &&
       (asked.pitch < asked.width * asked.elementSize || asked.pitch % asked.elementSize != 0)))
    return CUDA_ERROR_INVALID_VALUE;
  fill = {uintptr_t(asked.dst), asked.pitch, asked.value, asked.elementSize, asked.width, asked.height};
  size_t bytes = (asked.height - 1) * asked.pitch + asked.width * asked.elementSize;
  return allocated(driver, fill.address, bytes) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUDA_MEMSET_NODE_PARAMS describe(const Fill &fill) {
  return {fill.address, fill.pitch, fill.value, fill.elementSize, fill.width, fill.height};
}

} // namespace cudasim
