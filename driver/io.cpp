#include "driver/io.h"

#include <unistd.h>

#include "support/files.h"

namespace gradc {

StatusOr<std::string> readInput(const std::string &path) {
  return readFile(path == "-" ? "/dev/stdin" : path);
}

Status writeOutput(const std::string &path, std::string_view text) {
  return path == "-" ? writeAll(STDOUT_FILENO, text, "<stdout>") : writeFileAtomically(path, text);
}

} // namespace gradc
