// What the environment asks of the simulated device; read once, by cuInit.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace cudasim {

/// Faults that a test orders with CUDASIM_FAIL, a list such as "alloc:3,memory:64M".
struct Faults {
  uint64_t failingAllocation = 0;    // alloc:N, the N-th cuMemAlloc finds no memory
  uint64_t failingLaunch = 0;        // launch:N, the N-th kernel that runs fails
  bool noDevice = false;             // nodevice
  bool oldDriver = false;            // olddriver: a driver for CUDA 12
  bool stub = false;                 // stub: the library that the toolkit has for linking
  bool noMatmulAlgorithm = false;    // lt: cuBLASLt's heuristic finds no algorithm
  std::optional<size_t> totalMemory; // memory:64M
};

struct Settings {
  std::string profile = "sm_90"; // CUDASIM_PROFILE
  uint64_t seed = 0;             // CUDASIM_SEED; 0: the order is fixed, and as lazy as it may be
  std::string ptxFolder;         // CUDASIM_PTX_DIR
  std::string logFile;           // CUDASIM_LOG
  Faults faults;
};

std::expected<Faults, std::string> parseFaults(std::string_view text);
std::expected<Settings, std::string> readSettings();

} // namespace cudasim
