#include "support/say.h"

#include <cerrno>
#include <cstring>

namespace gradc {

void sayText(std::FILE *file, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), file); // a failure stays noted in the file
}

Status finishOutput() {
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0)
    return okStatus();
  const int problem = errno != 0 ? errno : EIO; // an earlier failure's reason is forgotten
  return {ExitCode::Io, fmt::format("cannot write '<stdout>': {}", std::strerror(problem))};
}

} // namespace gradc
