#include "runtime/cuda/context.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace gradc::cuda {
namespace {

// CUdevice_attribute
constexpr int kComputeCapabilityMajor = 75, kComputeCapabilityMinor = 76;
constexpr unsigned kNonBlocking = 1;   // CU_STREAM_NON_BLOCKING
constexpr unsigned kDisableTiming = 2; // CU_EVENT_DISABLE_TIMING

double mebibytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

} // namespace

StatusOr<std::unique_ptr<Context>> Context::open(int index) {
  StatusOr<const Driver *> driver = Driver::load();
  if (!driver)
    return std::unexpected(driver.error());
  std::unique_ptr<Context> context(new Context(**driver, index));
  if (Status started = context->start(); !started.ok())
    return std::unexpected(started);
  return context;
}

Status Context::start() {
  int count = 0;
  if (Status known = check(driver_.deviceGetCount(&count), "counting devices"); !known.ok())
    return known;
  if (index_ >= count)
    return {ExitCode::Device,
            fmt::format("there is no device cuda:{}, the last is cuda:{}", index_, count - 1)};
  char name[256] = {};
  int major = 0, minor = 0;
  Status status = check(driver_.deviceGet(&device_, index_), "opening the device");
  if (status.ok())
    status = check(driver_.deviceGetName(name, sizeof name, device_), "asking the device's name");
  if (status.ok())
    status = check(driver_.deviceGetAttribute(&major, kComputeCapabilityMajor, device_), "asking the device");
  if (status.ok())
    status = check(driver_.deviceGetAttribute(&minor, kComputeCapabilityMinor, device_), "asking the device");
  if (status.ok())
    status = check(driver_.primaryCtxRetain(&handle_, device_), "opening the device");
  if (status.ok())
    status = check(driver_.ctxSetCurrent(handle_), "opening the device");
  name_ = name;
  architecture_ = major * 10 + minor;
  return status;
}

Context::~Context() {
  if (handle_)
    driver_.primaryCtxRelease(device_);
}

Context::Memory Context::memory() const {
  size_t free = 0, total = 0;
  driver_.memGetInfo(&free, &total);
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

StatusOr<DeviceMemory> DeviceMemory::allocate(const Context &context, int64_t bytes, const char *what,
                                              int64_t peak) {
  DeviceMemory memory;
  memory.context_ = &context;
  memory.bytes_ = std::max<int64_t>(bytes, 1);
  const Code code = context.driver().memAlloc(&memory.address_, static_cast<size_t>(memory.bytes_));
  if (code == kOutOfMemory) {
    const Context::Memory there = context.memory();
    return failure(
        ExitCode::Device,
        fmt::format("out of memory on cuda:{} ({}): {} takes {:.1f} MiB, but {:.1f} of {:.1f} MiB are free; "
                    "the plan's peak is {:.1f} MiB: try a smaller batch",
                    context.index(), context.name(), what, mebibytes(bytes), mebibytes(there.free),
                    mebibytes(there.total), mebibytes(peak)));
  }
  if (Status allocated = context.check(code, "allocating memory"); !allocated.ok())
    return std::unexpected(allocated);
  return memory;
}

DeviceMemory &DeviceMemory::operator=(DeviceMemory &&other) noexcept {
  std::swap(context_, other.context_);
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (address_)
    context_->driver().memFree(address_);
}

StatusOr<PinnedMemory> PinnedMemory::allocate(const Context &context, int64_t bytes) {
  PinnedMemory memory;
  memory.context_ = &context;
  memory.bytes_ = std::max<int64_t>(bytes, 1);
  void *data = nullptr;
  const Code code = context.driver().memHostAlloc(&data, static_cast<size_t>(memory.bytes_), 0);
  if (Status allocated = context.check(code, "allocating pinned memory"); !allocated.ok())
    return std::unexpected(allocated);
  memory.data_ = static_cast<std::byte *>(data);
  std::memset(data, 0, static_cast<size_t>(memory.bytes_));
  return memory;
}

PinnedMemory &PinnedMemory::operator=(PinnedMemory &&other) noexcept {
  std::swap(context_, other.context_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedMemory::~PinnedMemory() {
  if (data_)
    context_->driver().memFreeHost(data_);
}

StatusOr<Stream> makeStream(const Context &context) {
  StreamHandle handle = nullptr;
  Status made = context.check(context.driver().streamCreate(&handle, kNonBlocking), "making a stream");
  if (!made.ok())
    return std::unexpected(made);
  return Stream(context, handle);
}

StatusOr<Event> makeEvent(const Context &context, bool timing) {
  EventHandle handle = nullptr;
  Status made =
      context.check(context.driver().eventCreate(&handle, timing ? 0 : kDisableTiming), "making an event");
  if (!made.ok())
    return std::unexpected(made);
  return Event(context, handle);
}

} // namespace gradc::cuda
