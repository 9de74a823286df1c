// One CUDA device as the runtime uses it: its primary context, current in the thread that opened it, and memory,
// streams and events that give themselves back.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "runtime/cuda/driver.h"

namespace gradc::cuda {

class Context {
public:
  /// Device `index` of those that the driver shows. The error lists which there are.
  static StatusOr<std::unique_ptr<Context>> open(int index);
  Context(const Context &) = delete;
  ~Context();

  const Driver &driver() const { return driver_; }
  Status check(Code code, const char *what) const { return driver_.check(code, what); }

  std::string name() const { return name_; } // "NVIDIA H100 80GB HBM3"
  int index() const { return index_; }
  int architecture() const { return architecture_; } // 90: sm_90

  struct Memory {
    int64_t free = 0, total = 0;
  };
  Memory memory() const;

private:
  Context(const Driver &driver, int index) : driver_(driver), index_(index) {}
  Status start();

  const Driver &driver_;
  int index_, device_ = 0, architecture_ = 0;
  std::string name_;
  ContextHandle handle_ = nullptr;
};

/// Memory of the device, from one allocation. `what` and `peak`, the plan's bytes altogether, are for the message.
class DeviceMemory {
public:
  DeviceMemory() = default;
  DeviceMemory(DeviceMemory &&other) noexcept { *this = std::move(other); }
  DeviceMemory &operator=(DeviceMemory &&other) noexcept;
  ~DeviceMemory();

  static StatusOr<DeviceMemory> allocate(const Context &context, int64_t bytes, const char *what,
                                         int64_t peak);

  Address address() const { return address_; }
  int64_t bytes() const { return bytes_; }

private:
  const Context *context_ = nullptr;
  Address address_ = 0;
  int64_t bytes_ = 0;
};

/// Memory of the host that the device copies from and to by itself.
class PinnedMemory {
public:
  PinnedMemory() = default;
  PinnedMemory(PinnedMemory &&other) noexcept { *this = std::move(other); }
  PinnedMemory &operator=(PinnedMemory &&other) noexcept;
  ~PinnedMemory();

  /// Zeroed.
  static StatusOr<PinnedMemory> allocate(const Context &context, int64_t bytes);

  std::byte *data() const { return data_; }
  int64_t bytes() const { return bytes_; }

private:
  const Context *context_ = nullptr;
  std::byte *data_ = nullptr;
  int64_t bytes_ = 0;
};

/// What a handle is made and given back by.
template <class Handle, Code (*Driver::*destroy)(Handle)> class Owned {
public:
  Owned() = default;
  Owned(const Context &context, Handle handle) : context_(&context), handle_(handle) {}
  Owned(Owned &&other) noexcept { *this = std::move(other); }
  Owned &operator=(Owned &&other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_)
      (context_->driver().*destroy)(handle_);
  }
  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

private:
  const Context *context_ = nullptr;
  Handle handle_ = nullptr;
};

using Stream = Owned<StreamHandle, &Driver::streamDestroy>;
using Event = Owned<EventHandle, &Driver::eventDestroy>;
using GraphExec = Owned<GraphExecHandle, &Driver::graphExecDestroy>;
using LoadedModule = Owned<ModuleHandle, &Driver::moduleUnload>;

StatusOr<Stream> makeStream(const Context &context);
/// `timing`: for elapsed times; without it, cheaper.
StatusOr<Event> makeEvent(const Context &context, bool timing = false);

} // namespace gradc::cuda
