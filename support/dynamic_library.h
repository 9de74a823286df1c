// Libraries that are looked for when they are needed, so that neither building nor starting depends on them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "support/result.h"

namespace gradc {

/// A library that stays loaded until the process ends.
class DynamicLibrary {
public:
  /// By a path, or by a name that the loader looks up. The text of the error is the loader's.
  static StatusOr<DynamicLibrary> open(const std::string &nameOrPath);

  /// Null where there is none.
  void *symbol(const char *name) const;
  template <class Function> bool find(const char *name, Function *&into) const {
    into = reinterpret_cast<Function *>(symbol(name));
    return into != nullptr;
  }
  /// The file that the loader took.
  std::string path() const;

private:
  void *handle_ = nullptr;
};

/// Folders of CUDA toolkits: $CUDA_PATH's where it is set, else those of /usr/local/cuda*, the newest first.
std::vector<std::string> cudaToolkitFolders();

/// The first of these names that the loader finds, so $LD_LIBRARY_PATH decides, or that lies in a toolkit's folder.
/// The error says where was looked, and what is wrong with what was found.
StatusOr<DynamicLibrary> openCudaLibrary(std::span<const char *const> names);

} // namespace gradc
