#include "support/dynamic_library.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <dlfcn.h>
#include <link.h>

#include <fmt/format.h>

namespace gradc {

namespace fs = std::filesystem;

StatusOr<DynamicLibrary> DynamicLibrary::open(const std::string &nameOrPath) {
  DynamicLibrary library;
  library.handle_ = dlopen(nameOrPath.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library.handle_)
    return failure(ExitCode::Device, dlerror());
  return library;
}

void *DynamicLibrary::symbol(const char *name) const { return dlsym(handle_, name); }

std::string DynamicLibrary::path() const {
  link_map *map = nullptr;
  return dlinfo(handle_, RTLD_DI_LINKMAP, static_cast<void *>(&map)) == 0 && map ? map->l_name : "";
}

std::vector<std::string> cudaToolkitFolders() {
  if (const char *root = std::getenv("CUDA_PATH"); root && *root)
    return {std::string(root) + "/lib64", std::string(root) + "/lib"};
  std::vector<std::string> folders;
  std::error_code error;
  for (const fs::directory_entry &entry : fs::directory_iterator("/usr/local", error))
    if (entry.path().filename().string().starts_with("cuda"))
      folders.push_back((entry.path() / "lib64").string());
  std::ranges::sort(folders, std::greater());
  return folders;
}

StatusOr<DynamicLibrary> openCudaLibrary(std::span<const char *const> names) {
  std::string problem, where;
  for (const std::string &folder : cudaToolkitFolders())
    where += fmt::format("{}{}", where.empty() ? "" : ", ", folder);
  for (const char *name : names) {
    StatusOr<DynamicLibrary> library = DynamicLibrary::open(name);
    if (library)
      return library;
    if (problem.empty())
      problem = library.error().text;
    for (const std::string &folder : cudaToolkitFolders()) {
      const std::string path = folder + "/" + name;
      std::error_code error;
      if (!fs::exists(path, error))
        continue;
      library = DynamicLibrary::open(path);
      if (library)
        return library;
      problem = library.error().text;
    }
  }
  return failure(ExitCode::Device, fmt::format("{}; looked where the loader does{}{}", problem,
                                               where.empty() ? "" : " and in ", where));
}

} // namespace gradc
