#include "support/files.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

namespace gradc {
namespace {

int openRetrying(const char *path, int flags, mode_t mode = 0) {
  int fd;
  do
    fd = ::open(path, flags | O_CLOEXEC, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// Makes the rename itself durable. Some file systems cannot sync folders; that is no error of the file's.
void syncFolder(const std::string &path) {
  Descriptor folder(openRetrying(folderOf(path).c_str(), O_RDONLY | O_DIRECTORY));
  if (folder.isOpen())
    (void)::fsync(folder.get());
}

/// Of `path`, beside it; removeLeftovers() knows them by their form.
std::string temporaryName(const std::string &path, unsigned number) {
  return fmt::format("{}.{}-{}.tmp", path, ::getpid(), number);
}

bool isTemporaryOf(const char *file, std::string_view name) {
  if (std::strncmp(file, name.data(), name.size()) != 0 || file[name.size()] != '.')
    return false;
  file += name.size() + 1;
  return std::strcmp(file + std::strspn(file, "0123456789-"), ".tmp") == 0;
}

} // namespace

std::string systemMessage(std::string_view what, std::string_view path) {
  return fmt::format("cannot {} '{}': {}", what, path, std::strerror(errno));
}

Descriptor::~Descriptor() {
  if (fd_ >= 0)
    ::close(fd_);
}

StatusOr<std::string> readFile(const std::string &path, int64_t maxBytes) {
  Descriptor file(openRetrying(path.c_str(), O_RDONLY));
  if (!file.isOpen())
    return ioFailure(systemMessage("open", path));
  struct stat info {};
  std::string bytes;
  size_t used = 0;
  if (::fstat(file.get(), &info) == 0 && S_ISREG(info.st_mode) && info.st_size < maxBytes)
    bytes.resize(static_cast<size_t>(info.st_size) + 1); // one more, so that the end is seen without growing
  for (;;) {
    if (used == bytes.size())
      bytes.resize(used + used / 2 + 65536);
    ssize_t got = ::read(file.get(), bytes.data() + used, bytes.size() - used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return ioFailure(systemMessage("read", path));
    if (got == 0)
      break;
    used += static_cast<size_t>(got);
    if (static_cast<int64_t>(used) > maxBytes)
      return ioFailure(fmt::format("cannot read '{}': it has more than {} bytes", path, maxBytes));
  }
  bytes.resize(used);
  return bytes;
}

Status writeAll(int fd, std::string_view bytes, std::string_view path) {
  while (!bytes.empty()) {
    ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return ioError(systemMessage("write", path));
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return okStatus();
}

StatusOr<AtomicFile> AtomicFile::open(std::string path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) {
    int fd = openRetrying(path.c_str(), O_WRONLY);
    if (fd < 0)
      return ioFailure(systemMessage("write", path));
    return AtomicFile(std::move(path), "", fd);
  }
  static std::atomic<unsigned> counter{0}; // only makes names of temporary files differ
  for (;;) {
    std::string temporary = temporaryName(path, counter++);
    int fd = openRetrying(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (fd >= 0)
      return AtomicFile(std::move(path), std::move(temporary), fd);
    if (errno != EEXIST)
      return ioFailure(systemMessage("write", path));
  }
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)) {}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0)
    ::close(fd_);
  if (!temporary_.empty())
    ::unlink(temporary_.c_str());
}

Status AtomicFile::write(std::string_view bytes) { return writeAll(fd_, bytes, path_); }

Status AtomicFile::commit() {
  if (temporary_.empty())
    return ::close(std::exchange(fd_, -1)) == 0 ? okStatus() : ioError(systemMessage("write", path_));
  if (::fsync(fd_) != 0 || ::close(std::exchange(fd_, -1)) != 0 ||
      ::rename(temporary_.c_str(), path_.c_str()) != 0)
    return ioError(systemMessage("write", path_)); // the destructor removes the temporary file
  temporary_.clear();
  syncFolder(path_);
  return okStatus();
}

StatusOr<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string &path) {
  Descriptor file(openRetrying(path.c_str(), O_RDONLY));
  if (!file.isOpen())
    return ioFailure(systemMessage("open", path));
  struct stat facts {};
  const bool known = ::fstat(file.get(), &facts) == 0;
  // A size of 0 is refused as what it is, an invalid argument.
  const size_t size = known && S_ISREG(facts.st_mode) ? static_cast<size_t>(facts.st_size) : 0;
  void *data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED)
    return ioFailure(systemMessage("map", path));
  return std::shared_ptr<const MappedFile>(new MappedFile(data, size));
}

MappedFile::~MappedFile() { ::munmap(data_, size_); }

StatusOr<Descriptor> lockFolder(const std::string &folder) {
  Descriptor lock(openRetrying(folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (!lock.isOpen() || ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0)
    return lock;
  if (errno == EWOULDBLOCK)
    return ioFailure(fmt::format("'{}' is in use: another run writes into it", folder));
  return Descriptor();
}

void removeLeftovers(const std::string &folder, std::string_view name) {
  DIR *files = ::opendir(folder.c_str());
  if (!files)
    return;
  while (const dirent *file = ::readdir(files))
    if (isTemporaryOf(file->d_name, name))
      ::unlinkat(::dirfd(files), file->d_name, 0);
  ::closedir(files);
}

Status writeFileAtomically(const std::string &path, std::string_view bytes) {
  StatusOr<AtomicFile> file = AtomicFile::open(path);
  if (!file)
    return file.error();
  if (Status status = file->write(bytes); !status.ok())
    return status;
  return file->commit();
}

} // namespace gradc
