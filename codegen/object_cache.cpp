#include "codegen/object_cache.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "support/files.h"
#include "support/hash.h"

namespace gradc {
namespace {

namespace fs = std::filesystem;

/// A folder that nobody else may write into; links to one are refused.
bool isPrivateFolder(const std::string &path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == geteuid() &&
         (info.st_mode & 077) == 0;
}

bool makeFolders(const std::string &path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    mkdir(path.substr(0, at).c_str(), 0700);
  mkdir(path.c_str(), 0700);
  return isPrivateFolder(path);
}

} // namespace

std::string defaultCacheFolder() {
  if (const char *folder = std::getenv("GRADC_CACHE_DIR"); folder && *folder)
    return folder;
  if (const char *folder = std::getenv("XDG_CACHE_HOME"); folder && *folder == '/')
    return std::string(folder) + "/gradc";
  if (const char *home = std::getenv("HOME"); home && *home == '/')
    return std::string(home) + "/.cache/gradc";
  return "";
}

ObjectCache ObjectCache::open(const std::string &folder) {
  ObjectCache cache;
  if (!folder.empty() && makeFolders(folder + "/code"))
    cache.folder_ = folder + "/code";
  return cache;
}

std::string ObjectCache::path(const std::string &key) const {
  return folder_ + "/" + hex(hash128(key + "/" + generatorBuildId())) + ".o";
}

std::optional<KernelObject> ObjectCache::load(const std::string &key) const {
  if (!enabled())
    return std::nullopt;
  std::string file = path(key);
  StatusOr<std::string> text = readFile(file, int64_t{64} << 20);
  KernelObject object;
  if (!text || !unserialize(*text, object))
    return std::nullopt;
  utimensat(AT_FDCWD, file.c_str(), nullptr, 0); // used now
  return object;
}

void ObjectCache::store(const std::string &key, const KernelObject &object) const {
  if (!enabled())
    return;
  // Renaming makes it whole or absent for others; its hash makes up for the missing fsync after a power cut.
  std::string target = path(key), temporary = target + "." + std::to_string(getpid()) + ".tmp";
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return;
  bool written = writeAll(fd, serialize(object), temporary).ok();
  written = close(fd) == 0 && written;
  if (!written || rename(temporary.c_str(), target.c_str()) != 0)
    unlink(temporary.c_str());
}

void ObjectCache::trim(int64_t maxBytes) const {
  struct Entry {
    fs::file_time_type used;
    int64_t bytes;
    fs::path path;
  };
  std::vector<Entry> entries;
  int64_t total = 0;
  std::error_code error;
  for (const fs::directory_entry &file : fs::directory_iterator(folder_, error)) {
    auto bytes = static_cast<int64_t>(file.file_size(error));
    if (error)
      continue;
    entries.push_back({file.last_write_time(error), bytes, file.path()});
    total += bytes;
  }
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry &entry : entries) {
    if (total <= maxBytes)
      return;
    fs::remove(entry.path, error);
    total -= entry.bytes;
  }
}

std::string generatorBuildId() {
  static const std::string id = [] {
    std::string found;
    auto visit = [](dl_phdr_info *info, size_t, void *data) {
      for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) &header = info->dlpi_phdr[i];
        if (header.p_type != PT_NOTE)
          continue;
        auto *at = reinterpret_cast<const char *>(info->dlpi_addr + header.p_vaddr),
             *end = at + header.p_memsz;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
          auto *note = reinterpret_cast<const ElfW(Nhdr) *>(at);
          const char *name = at + sizeof *note, *text = name + ((note->n_namesz + 3) & ~3u);
          if (note->n_type == NT_GNU_BUILD_ID && std::string_view(name, 3) == "GNU")
            *static_cast<std::string *>(data) = std::string(text, note->n_descsz);
          at = text + ((note->n_descsz + 3) & ~3u);
        }
      }
      return 1; // the program itself comes first
    };
    dl_iterate_phdr(visit, &found);
    if (!found.empty())
      return hex(hash128(found));
    struct stat info{}; // linked without a build id
    stat("/proc/self/exe", &info);
    return fmt::format("{}-{}-{}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }();
  return id;
}

} // namespace gradc
