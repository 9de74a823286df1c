#include "runtime/buffer.h"

#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <sys/mman.h>

#include "runtime/thread_pool.h"

namespace gradc {
namespace {

constexpr int64_t kHugePage = 2 << 20;
/// From here on a huge page pays, even one that is used in part: kernels that walk columns touch hundreds of pages.
constexpr int64_t kLarge = kHugePage / 8;
constexpr int64_t kCacheLine = 64;
constexpr int64_t kTouchUnit = 1 << 20;

int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

Buffer &Buffer::operator=(Buffer &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(isBorrowed_, other.isBorrowed_);
  return *this;
}

Buffer::~Buffer() {
  if (!isBorrowed_)
    std::free(data_);
}

Buffer Buffer::borrow(std::string_view bytes) {
  Buffer buffer;
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kCacheLine != 0)
    return buffer;
  buffer.data_ = reinterpret_cast<std::byte *>(const_cast<char *>(bytes.data()));
  buffer.size_ = static_cast<int64_t>(bytes.size());
  buffer.isBorrowed_ = true;
  return buffer;
}

StatusOr<Buffer> Buffer::allocate(int64_t bytes, ThreadPool *pool) {
  Buffer buffer;
  if (bytes <= 0)
    return buffer;
  const int64_t alignment = bytes >= kLarge ? kHugePage : kCacheLine;
  const int64_t rounded = roundUp(bytes, alignment);
  buffer.data_ = static_cast<std::byte *>(std::aligned_alloc(alignment, rounded));
  if (!buffer.data_)
    return failure(ExitCode::Internal, fmt::format("out of memory: cannot allocate {} bytes", bytes));
  buffer.size_ = bytes;
  // A hint; small pages work too. A rest that would use little of its page gets small ones.
  if (alignment == kHugePage)
    (void)madvise(buffer.data_, bytes % kHugePage < kLarge ? bytes / kHugePage * kHugePage : rounded,
                  MADV_HUGEPAGE);
  const int64_t used = roundUp(bytes, kCacheLine);
  if (!pool || used < 2 * kTouchUnit) {
    std::memset(buffer.data_, 0, used);
    return buffer;
  }
  pool->parallelFor((used + kTouchUnit - 1) / kTouchUnit, 0, [&](int64_t begin, int64_t end, int) {
    const int64_t last = std::min(end * kTouchUnit, used);
    std::memset(buffer.data_ + begin * kTouchUnit, 0, last - begin * kTouchUnit);
  });
  return buffer;
}

} // namespace gradc
