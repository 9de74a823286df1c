#include "nvrtc.h"
#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fmt/format.h>

namespace cudasim::test {
namespace {

using Program = void *;
namespace fs = std::filesystem;

std::vector<std::string> folders() {
  std::vector<std::string> result{""};
  if (const char *root = std::getenv("CUDA_PATH"))
    result.push_back(std::string(root) + "/lib64/");
  std::vector<std::string> installed;
  std::error_code error;
  for (const auto &entry : fs::directory_iterator("/usr/local", error))
    if (entry.path().filename().string().starts_with("cuda"))
      installed.push_back(entry.path().string() + "/lib64/");
  std::sort(installed.rbegin(), installed.rend());
  result.insert(result.end(), installed.begin(), installed.end());
  return result;
}

// NVRTC loads its builtins by soname, which only works when they are loaded already or in the loader's path.
void loadBuiltins(const std::string &folder) {
  std::error_code error;
  if (folder.empty())
    return;
  for (const auto &entry : fs::directory_iterator(folder, error))
    if (entry.path().filename().string().starts_with("libnvrtc-builtins.so."))
      dlopen(entry.path().c_str(), RTLD_NOW | RTLD_GLOBAL);
}

template <class F> F *function(void *handle, const char *name) {
  return reinterpret_cast<F *>(dlsym(handle, name));
}

} // namespace

bool Nvrtc::open(std::string &why) {
  for (const std::string &folder : folders())
    for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12"}) {
      loadBuiltins(folder);
      handle = dlopen((folder + name).c_str(), RTLD_NOW);
      if (handle)
        return true;
    }
  why = "no libnvrtc.so.13 or .12 in the loader's path, $CUDA_PATH/lib64 or /usr/local/cuda*/lib64";
  return false;
}

const Nvrtc *Nvrtc::get(std::string &why) {
  static std::string reason;
  static Nvrtc nvrtc;
  static bool found = nvrtc.open(reason);
  why = reason;
  return found ? &nvrtc : nullptr;
}

std::expected<std::string, std::string> Nvrtc::compile(const std::string &source,
                                                       std::string_view architecture,
                                                       const std::vector<std::string> &options) const {
  auto *create =
      function<int(Program *, const char *, const char *, int, const char *const *, const char *const *)>(
          handle, "nvrtcCreateProgram");
  auto *build = function<int(Program, int, const char *const *)>(handle, "nvrtcCompileProgram");
  auto *destroy = function<int(Program *)>(handle, "nvrtcDestroyProgram");
  auto read = [&](Program program, const char *size, const char *get) {
    size_t bytes = 0;
    function<int(Program, size_t *)>(handle, size)(program, &bytes);
    std::string text(bytes, '\0');
    function<int(Program, char *)>(handle, get)(program, text.data());
    return text.substr(0, text.find('\0'));
  };
  Program program = nullptr;
  create(&program, source.c_str(), "corpus.cu", 0, nullptr, nullptr);
  std::vector<std::string> all{fmt::format("--gpu-architecture={}", architecture), "--no-cache"};
  all.insert(all.end(), options.begin(), options.end());
  std::vector<const char *> pointers;
  for (const std::string &option : all)
    pointers.push_back(option.c_str());
  int code = build(program, static_cast<int>(pointers.size()), pointers.data());
  auto result = code == 0
                    ? std::expected<std::string, std::string>(read(program, "nvrtcGetPTXSize", "nvrtcGetPTX"))
                    : std::unexpected(read(program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog"));
  destroy(&program);
  return result;
}

} // namespace cudasim::test
