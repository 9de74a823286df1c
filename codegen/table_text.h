// Tables of runtime/abi.h as C source, for objects and executables: data that names kernels by their symbols.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/program.h"
#include "runtime/cuda/abi.h"

namespace gradc {

/// A C string literal; never a trigraph, an escape that runs on, or a byte above 126.
std::string cString(std::string_view text);

/// Writes a source file of tables, each static.
class TableText {
public:
  /// Adds `static const gradc_program NAME = …;` with everything that it points to. Kernels that the file has not
  /// seen yet are declared.
  void addProgram(const std::string &name, const CompiledProgram &program);
  /// `static const gradc_cuda_program NAME = …;`. `images` are the initializers of its gradc_cuda_image.
  void addProgram(const std::string &name, const gradc_cuda_program &program,
                  const std::vector<std::string> &images);
  void add(std::string_view text) { text_ += text; }
  const std::string &text() const { return text_; }

private:
  void declareKernels(const CompiledProgram &program);
  /// The initializer of a gradc_program whose steps have these kernels.
  std::string table(const std::string &name, const gradc_program &program,
                    const std::vector<std::string> &kernels);
  std::string array(std::string_view type, const std::string &name, const std::vector<std::string> &rows);

  std::string text_;
  std::set<std::string> declared_;
  std::map<std::string, std::string> arrays_; // names by type and rows
};

} // namespace gradc
