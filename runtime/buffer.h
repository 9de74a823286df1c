// Memory for tensors: 64-byte aligned, on huge pages where the kernel grants them, zeroed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "support/result.h"

namespace gradc {

class ThreadPool;

class Buffer {
public:
  Buffer() = default;
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept;
  ~Buffer();

  /// Zeroed memory. With a pool its threads touch it, each its share, so that page faults cost their time once
  /// and in parallel. Fails when the system has not that much (exit code 70).
  static StatusOr<Buffer> allocate(int64_t bytes, ThreadPool *pool = nullptr);
  /// Memory of someone else, which is only read: where it is aligned as a buffer is, else an empty buffer.
  static Buffer borrow(std::string_view bytes);

  std::byte *data() const { return data_; }
  template <class T> T *as() const { return reinterpret_cast<T *>(data_); }
  int64_t size() const { return size_; }

private:
  std::byte *data_ = nullptr;
  int64_t size_ = 0;
  bool isBorrowed_ = false;
};

} // namespace gradc
