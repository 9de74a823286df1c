#include "driver/toolchain.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "support/files.h"

namespace gradc {
namespace {

constexpr const char *kSaid = "said.txt"; // what the last tool printed

/// Runs a command in a folder with its output in kSaid: the exit code, or what kept it from running.
StatusOr<int> spawnIn(const std::string &folder, const std::vector<std::string> &command) {
  std::vector<char *> words;
  for (const std::string &word : command)
    words.push_back(const_cast<char *>(word.c_str()));
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, kSaid, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t child = 0;
  const int problem = posix_spawnp(&child, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0)
    return failure(ExitCode::Device, fmt::format("cannot run '{}', which assembles and links: {}", command[0],
                                                 std::strerror(problem)));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

} // namespace

std::string runtimeFolder() {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path().parent_path() / "lib" / "gradc").string();
}

StatusOr<LinkFolder> LinkFolder::create() {
  std::error_code error;
  std::string path = (std::filesystem::temp_directory_path(error) / "gradc-link-XXXXXX").string();
  if (error)
    return ioFailure(fmt::format("there is no folder for temporary files: {}", error.message()));
  if (!mkdtemp(path.data()))
    return ioFailure(fmt::format("cannot make a folder '{}': {}", path, std::strerror(errno)));
  return LinkFolder(std::move(path));
}

LinkFolder::~LinkFolder() {
  std::error_code ignored;
  if (!path_.empty())
    std::filesystem::remove_all(path_, ignored);
}

Status LinkFolder::write(const std::string &name, std::string_view bytes) {
  return writeFileAtomically(path_ + "/" + name, bytes);
}

StatusOr<std::string> LinkFolder::read(const std::string &name) const { return readFile(path_ + "/" + name); }

Status LinkFolder::run(const std::vector<std::string> &command) {
  StatusOr<int> code = spawnIn(path_, command);
  if (!code)
    return code.error();
  if (*code == 0)
    return okStatus();
  return {ExitCode::Internal, fmt::format("'{}' failed with code {}:\n{}", command[0], *code,
                                          readFile(path_ + "/" + kSaid).value_or(""))};
}

StatusOr<std::string> LinkFolder::ask(const std::vector<std::string> &command) {
  if (Status done = run(command); !done.ok())
    return std::unexpected(done);
  std::string said = readFile(path_ + "/" + kSaid).value_or("");
  return said.substr(0, said.find('\n'));
}

} // namespace gradc
