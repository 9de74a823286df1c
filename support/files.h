// Reading files whole and writing them so that a reader sees either the old content or the new, whatever
// moment the power goes. Errors read "cannot open 'x.json': No such file or directory".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "support/result.h"

namespace gradc {

inline constexpr int64_t kMaxFileBytes = int64_t{1} << 34;

/// A file descriptor, closed at the end of its owner's life; -1: none.
class Descriptor {
public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor &operator=(Descriptor &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor();

  bool isOpen() const { return fd_ >= 0; }
  int get() const { return fd_; }

private:
  int fd_;
};

/// "cannot open 'x.json': No such file or directory", as errno has it.
std::string systemMessage(std::string_view what, std::string_view path);

/// The bytes of a file, at most `maxBytes` (a device or pipe may have no end).
StatusOr<std::string> readFile(const std::string &path, int64_t maxBytes = kMaxFileBytes);

/// The bytes of a file where the kernel maps them, for reading only; they change if the file does.
class MappedFile {
public:
  static StatusOr<std::shared_ptr<const MappedFile>> open(const std::string &path);
  ~MappedFile();
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;

  std::string_view bytes() const { return {static_cast<const char *>(data_), size_}; }

private:
  MappedFile(void *data, size_t size) : data_(data), size_(size) {}

  void *data_;
  size_t size_;
};

/// Replaces `path` by `bytes`: a temporary file in the same folder, fsync, rename, fsync of the folder. Where
/// it fails the old file is intact and no temporary file stays. What is not a regular file (/dev/stdout) is
/// written directly.
Status writeFileAtomically(const std::string &path, std::string_view bytes);

/// The same for a file written piece by piece. Without commit() nothing happens to `path`.
class AtomicFile {
public:
  static StatusOr<AtomicFile> open(std::string path);
  AtomicFile(AtomicFile &&other) noexcept;
  AtomicFile &operator=(AtomicFile &&) = delete;
  ~AtomicFile();

  Status write(std::string_view bytes);
  Status commit();

private:
  AtomicFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

  std::string path_;
  std::string temporary_; // empty: `path_` itself is written
  int fd_;
};

/// Keeps a folder for its owner: who asks for it meanwhile, in this process or another one, is refused. The kernel
/// lets go of it when the process ends, however it does. Not open where the file system has no locks.
StatusOr<Descriptor> lockFolder(const std::string &folder);

/// Removes what writers of `name` in the folder, and in no other, left because they were killed. Nobody may be writing
/// it now.
void removeLeftovers(const std::string &folder, std::string_view name);

/// Writes all bytes to a file descriptor; `path` is for the message.
Status writeAll(int fd, std::string_view bytes, std::string_view path);

} // namespace gradc
