#include "codegen/cuda/nvrtc.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gradc {
namespace {

constexpr const char *kNames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
constexpr int kSuccess = 0, kCompilation = 6; // nvrtcResult

/// NVRTC opens its builtins by name alone, which fails where only we know the folder: open them first.
void openBuiltins(const std::string &nvrtc) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(nvrtc).parent_path();
  for (const auto &entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("libnvrtc-builtins.so."))
      (void)DynamicLibrary::open(entry.path().string());
  }
}

/// The first lines of a log that may be very long.
std::string beginning(const std::string &log) {
  constexpr size_t kMost = 2000;
  return log.size() <= kMost ? log : log.substr(0, kMost) + "…";
}

/// Two lines of comment stand around each inline assembly, a tenth of the text when it is packed.
std::string withoutComments(const std::string &ptx) {
  std::string lines;
  for (size_t begin = 0, end = 0; begin < ptx.size(); begin = end) {
    end = std::min(ptx.find('\n', begin), ptx.size() - 1) + 1;
    const std::string_view line = std::string_view(ptx).substr(begin, end - begin);
    if (!line.starts_with("\t// "))
      lines += line;
  }
  return lines;
}

} // namespace

StatusOr<const Nvrtc *> Nvrtc::load() {
  static const StatusOr<Nvrtc> loaded = make();
  if (!loaded)
    return std::unexpected(loaded.error());
  return &*loaded;
}

StatusOr<Nvrtc> Nvrtc::make() {
  StatusOr<DynamicLibrary> library = openCudaLibrary(kNames);
  if (!library)
    return failure(
        ExitCode::Device,
        fmt::format("NVRTC, which compiles CUDA kernels, cannot be loaded: {}; it is part of the CUDA "
                    "toolkit 12 and 13: set CUDA_PATH to the toolkit's folder, or LD_LIBRARY_PATH",
                    library.error().text));
  Nvrtc nvrtc;
  nvrtc.library_ = *library;
  openBuiltins(nvrtc.path());
  if (Status found = nvrtc.findFunctions(); !found.ok())
    return std::unexpected(found);
  int count = 0;
  nvrtc.version_(&nvrtc.major_, &nvrtc.minor_);
  nvrtc.numArchitectures_(&count);
  nvrtc.architectures_.resize(static_cast<size_t>(std::max(count, 0)));
  nvrtc.supportedArchitectures_(nvrtc.architectures_.data());
  return nvrtc;
}

Status Nvrtc::findFunctions() {
  const char *missing = nullptr;
  auto find = [&](const char *name, auto *&into) {
    if (!library_.find(name, into))
      missing = name;
  };
  find("nvrtcVersion", version_);
  find("nvrtcGetNumSupportedArchs", numArchitectures_);
  find("nvrtcGetSupportedArchs", supportedArchitectures_);
  find("nvrtcCreateProgram", createProgram_);
  find("nvrtcDestroyProgram", destroyProgram_);
  find("nvrtcCompileProgram", compileProgram_);
  find("nvrtcGetProgramLogSize", logSize_);
  find("nvrtcGetProgramLog", log_);
  find("nvrtcGetPTXSize", ptxSize_);
  find("nvrtcGetPTX", ptx_);
  find("nvrtcGetCUBINSize", cubinSize_);
  find("nvrtcGetCUBIN", cubin_);
  find("nvrtcGetErrorString", errorString_);
  if (missing)
    return {ExitCode::Device,
            fmt::format("'{}' is no NVRTC of CUDA 12 or 13: it has no {}", path(), missing)};
  return okStatus();
}

std::string Nvrtc::version() const { return fmt::format("{}.{}", major_, minor_); }

int Nvrtc::newestUpTo(int architecture) const {
  const auto after = std::ranges::upper_bound(architectures_, architecture);
  return after == architectures_.begin() ? 0 : *std::prev(after);
}

Status Nvrtc::check(int architecture) const {
  if (std::ranges::find(architectures_, architecture) != architectures_.end())
    return okStatus();
  return {ExitCode::Device, fmt::format("NVRTC {} makes no code for sm_{}, only for sm_{}", version(),
                                        architecture, fmt::join(architectures_, ", sm_"))};
}

std::vector<std::string> Nvrtc::options(int architecture, CudaCodeForm form) const {
  std::vector<std::string> options = {
      fmt::format("--gpu-architecture={}_{}", form == CudaCodeForm::Ptx ? "compute" : "sm", architecture),
      "--std=c++17",
      "--fmad=false", // each operation rounds by itself: the bits are the CPU's
  };
  if (major_ >= 13)
    options.emplace_back("--no-cache"); // its own cache asks a driver for things
  return options;
}

StatusOr<CudaCode> Nvrtc::compile(const std::string &text, const std::string &name, int architecture,
                                  CudaCodeForm form) const {
  if (Status can = check(architecture); !can.ok())
    return std::unexpected(can);
  Program program = nullptr;
  Code code = createProgram_(&program, text.c_str(), name.c_str(), 0, nullptr, nullptr);
  if (code != kSuccess)
    return failure(ExitCode::Device, fmt::format("NVRTC {} fails: {}", version(), errorString_(code)));
  std::vector<std::string> options = this->options(architecture, form);
  std::vector<const char *> words;
  for (const std::string &option : options)
    words.push_back(option.c_str());
  code = compileProgram_(program, static_cast<int>(words.size()), words.data());
  CudaCode made{.log = logOf(program)};
  StatusOr<std::string> bytes;
  if (code == kCompilation)
    bytes = failure(ExitCode::Internal, fmt::format("NVRTC {} does not compile '{}' for sm_{}:\n{}",
                                                    version(), name, architecture, beginning(made.log)));
  else if (code != kSuccess)
    bytes = failure(ExitCode::Device, fmt::format("NVRTC {} fails: {}", version(), errorString_(code)));
  else
    bytes = bytesOf(program, form);
  destroyProgram_(&program);
  if (!bytes)
    return std::unexpected(bytes.error());
  made.bytes = *std::move(bytes);
  return made;
}

std::string Nvrtc::logOf(Program program) const {
  size_t size = 0;
  if (logSize_(program, &size) != kSuccess || size <= 1)
    return "";
  std::string log(size, '\0');
  log_(program, log.data());
  log.resize(log.find('\0') == std::string::npos ? size : log.find('\0'));
  return log;
}

StatusOr<std::string> Nvrtc::bytesOf(Program program, CudaCodeForm form) const {
  const bool ptx = form == CudaCodeForm::Ptx;
  size_t size = 0;
  Code code = (ptx ? ptxSize_ : cubinSize_)(program, &size);
  std::string bytes(size, '\0');
  if (code == kSuccess)
    code = (ptx ? ptx_ : cubin_)(program, bytes.data());
  if (code != kSuccess)
    return failure(ExitCode::Device, fmt::format("NVRTC {} fails: {}", version(), errorString_(code)));
  if (ptx && bytes.ends_with('\0')) // the text's end
    bytes.pop_back();
  return ptx ? withoutComments(bytes) : bytes;
}

} // namespace gradc
