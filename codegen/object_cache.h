// Compiled kernels on disk, by content. The folder holds machine code, so it belongs to the user alone (mode 0700,
// owner checked); entries carry a hash of themselves, and one that is stale, cut or changed is as if it were not there.
// The name of an entry is a hash of everything that decides its content. May be deleted at any time.
#pragma once

#include <optional>
#include <string>

#include "codegen/object.h"

namespace gradc {

class ObjectCache {
public:
  /// No cache: finds nothing, keeps nothing.
  ObjectCache() = default;
  /// `folder`/code, made if need be. Where it cannot be made or belongs to somebody else: no cache.
  static ObjectCache open(const std::string &folder);

  bool enabled() const { return !folder_.empty(); }
  const std::string &folder() const { return folder_; }

  std::optional<KernelObject> load(const std::string &key) const;
  /// Best effort: a full disk costs the next start some time, no more.
  void store(const std::string &key, const KernelObject &object) const;
  /// Removes the entries that were used longest ago, until the cache is small enough.
  void trim(int64_t maxBytes = int64_t{256} << 20) const;

private:
  std::string path(const std::string &key) const;

  std::string folder_;
};

/// $GRADC_CACHE_DIR, else $XDG_CACHE_HOME/gradc, else ~/.cache/gradc; empty where none is known.
std::string defaultCacheFolder();

/// The build of this program, from its linker's build id: code made by another build is not used.
std::string generatorBuildId();

} // namespace gradc
