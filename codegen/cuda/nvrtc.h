// NVIDIA's compiler from CUDA C++ text to code, a library that is loaded when it is first needed. It asks for no
// device and no driver. The same text, options and version give the same bytes.
#pragma once

#include <string>
#include <vector>

#include "support/dynamic_library.h"
#include "support/result.h"

namespace gradc {

enum class CudaCodeForm { Ptx, Cubin };

struct CudaCode {
  std::string bytes;
  std::string log; // warnings; empty where there are none
};

class Nvrtc {
public:
  /// The same object for the whole process. The error says what is missing and how to get it.
  static StatusOr<const Nvrtc *> load();

  /// "13.0", and as CUDA counts: 13000
  std::string version() const;
  int number() const { return major_ * 1000 + minor_ * 10; }
  std::string path() const { return library_.path(); }
  /// 75, 80, …: ascending.
  const std::vector<int> &architectures() const { return architectures_; }
  /// The newest of them that is not newer than this one: its PTX runs there. 0: all are newer.
  int newestUpTo(int architecture) const;
  /// Whether it makes code for this one: exit code 6 with what it knows.
  Status check(int architecture) const;

  /// What decides code beside the text, in the order of the command line.
  std::vector<std::string> options(int architecture, CudaCodeForm form) const;
  /// `name` is the file of messages. Text that does not compile is a bug of ours: the error has the log's beginning.
  StatusOr<CudaCode> compile(const std::string &text, const std::string &name, int architecture,
                             CudaCodeForm form) const;

private:
  using Program = struct NvrtcProgram *;
  using Code = int; // nvrtcResult

  static StatusOr<Nvrtc> make();
  Status findFunctions();
  std::string logOf(Program program) const;
  /// By nvrtcGetPTX and nvrtcGetPTXSize, or those of the cubin.
  StatusOr<std::string> bytesOf(Program program, CudaCodeForm form) const;

  DynamicLibrary library_;
  int major_ = 0, minor_ = 0;
  std::vector<int> architectures_;

  Code (*version_)(int *, int *) = nullptr;
  Code (*numArchitectures_)(int *) = nullptr;
  Code (*supportedArchitectures_)(int *) = nullptr;
  Code (*createProgram_)(Program *, const char *, const char *, int, const char *const *,
                         const char *const *) = nullptr;
  Code (*destroyProgram_)(Program *) = nullptr;
  Code (*compileProgram_)(Program, int, const char *const *) = nullptr;
  Code (*logSize_)(Program, size_t *) = nullptr;
  Code (*log_)(Program, char *) = nullptr;
  Code (*ptxSize_)(Program, size_t *) = nullptr;
  Code (*ptx_)(Program, char *) = nullptr;
  Code (*cubinSize_)(Program, size_t *) = nullptr;
  Code (*cubin_)(Program, char *) = nullptr;
  const char *(*errorString_)(Code) = nullptr;
};

} // namespace gradc
