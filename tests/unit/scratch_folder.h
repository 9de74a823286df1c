// A folder for the files of this process's tests: two runs of the tests at a time do not meet.
#pragma once

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace gradc {

/// With a slash at the end.
inline const std::string &scratchFolder() {
  static const struct Folder {
    std::string path = testing::TempDir() + "gradc_unit_" + std::to_string(getpid()) + "/";
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
  } folder;
  return folder.path;
}

} // namespace gradc
