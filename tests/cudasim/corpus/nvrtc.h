// NVRTC through dlopen, with the handful of functions that tests need and no header of CUDA's.
#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace cudasim::test {

class Nvrtc {
public:
  static const Nvrtc *get(std::string &why); // null: not on this machine, and why

  // PTX for "compute_80"; the error is the compiler's log.
  std::expected<std::string, std::string> compile(const std::string &source, std::string_view architecture,
                                                  const std::vector<std::string> &options = {}) const;

private:
  bool open(std::string &why);
  void *handle = nullptr;
};

} // namespace cudasim::test
