// The C compiler of the system as assembler of tables and linker.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/result.h"

namespace gradc {

/// Where the parts of compiled models lie: lib/gradc beside the folder of this executable, in a build tree as where it
/// was installed.
std::string runtimeFolder();

/// A folder for one link, gone at the end. Tools run in it, so that file names in it are the same every time and no
/// path of this machine reaches an output.
class LinkFolder {
public:
  static StatusOr<LinkFolder> create();
  LinkFolder(LinkFolder &&other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  LinkFolder &operator=(LinkFolder &&) = delete;
  ~LinkFolder();

  std::string path(const std::string &name) const { return path_ + "/" + name; }
  Status write(const std::string &name, std::string_view bytes);
  StatusOr<std::string> read(const std::string &name) const;
  /// Runs a tool; what it says is in the error when it fails.
  Status run(const std::vector<std::string> &command);
  /// The first line that a tool prints.
  StatusOr<std::string> ask(const std::vector<std::string> &command);

private:
  explicit LinkFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

} // namespace gradc
