// A CUDA device for tests: loads the PTX that NVRTC makes and executes it on the CPU, 32 lanes an instruction, strictly.
// What it checks, its options and its counters: docs/cudasim.md.
#pragma once
#include "machine/memory.h"
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cudasim {

// Codes are the values of CUresult.
enum : int {
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kInvalidImage = 200,
  kNoBinaryForGpu = 209,
  kInvalidPtx = 218,
  kUnsupportedPtxVersion = 222,
  kNotFound = 500,
  kIllegalAddress = 700,
  kOutOfResources = 701,
  kLaunchTimeout = 702,
  kMisalignedAddress = 716,
  kLaunchFailed = 719,
};

struct Fault {
  int code = 0;
  std::string text;
};

struct DeviceProfile {
  std::string_view name; // "sm_80"
  std::string_view product;
  int major, minor;
  int multiprocessors;
  int64_t sharedPerBlock, sharedPerBlockOptIn, sharedPerMultiprocessor;
  int64_t globalBytes;
  int maxThreadsPerBlock, maxThreadsPerMultiprocessor, maxBlocksPerMultiprocessor;
  int registersPerMultiprocessor;
  int ptxMajor, ptxMinor; // newest PTX that its driver takes
  int64_t l2Bytes;
  int clockKhz, memoryClockKhz, memoryBusBits;
};
const DeviceProfile *findProfile(std::string_view name); // sm_75, 80, 86, 89, 90, 100, 120; null: unknown

struct Program; // a decoded kernel

struct Kernel {
  std::string name;
  std::vector<std::pair<int64_t, int64_t>> parameters; // offset, bytes
  int64_t parameterBytes = 0;
  int64_t staticShared = 0, localBytes = 0;
  int maxThreads = 0;                 // .maxntid as a product, 0 when not given
  std::array<uint32_t, 3> required{}; // .reqntid
  int target = 0;                     // 80 for sm_80
  std::shared_ptr<const Program> program;
};

class Module {
public:
  // Parses, decodes and checks all kernels; a fault's text names the PTX line.
  static std::expected<std::unique_ptr<Module>, Fault> load(std::string_view ptx, Memory &,
                                                            const DeviceProfile * = nullptr);
  ~Module();
  const Kernel *kernel(std::string_view name) const;              // null: no such kernel
  std::pair<void *, int64_t> global(std::string_view name) const; // address and bytes; null: no such variable
  const std::vector<std::unique_ptr<Kernel>> &kernels() const { return all; }

private:
  explicit Module(Memory &memory) : memory(memory) {}
  Memory &memory;
  std::vector<std::unique_ptr<Kernel>> all;
  std::vector<std::pair<std::string, std::pair<void *, int64_t>>> globals;
};

struct Launch {
  const Kernel *kernel = nullptr;
  std::array<uint32_t, 3> grid{1, 1, 1}, block{1, 1, 1};
  uint32_t sharedBytes = 0; // dynamic
  int64_t maxSharedBytes =
      -1;            // what cuFuncSetAttribute allowed; -1: the default (48 KB with the static part)
  int registers = 0; // a thread, from the cubin; 0: unknown, not checked
  std::vector<std::byte> parameters; // laid out as Kernel::parameters says
};

struct Options {
  bool races = true;               // shared memory within a block, global memory between blocks
  bool uninitialised = true;       // reads of global and shared memory that nobody wrote
  bool approximate = true;         // .approx instructions err by up to their documented bound
  uint64_t seed = 0;               // of the order of warps and blocks (0: by index) and of the errors
  int64_t budget = 20'000'000'000; // warp instructions a launch
  static Options fromEnvironment();
};

enum class OpClass : uint8_t {
  Integer,
  Float,
  Fma,
  Double,
  Half,
  Special,
  Convert,
  Move,
  Compare,
  Load,
  Store,
  Atomic,
  Shuffle,
  Matrix,
  Async,
  Barrier,
  Branch,
  Count
};
std::string_view nameOf(OpClass);

// Of one launch; the same for any seed of the same kernel without divergence on data races.
struct Counters {
  uint64_t warpInstructions = 0, laneInstructions = 0;
  std::array<uint64_t, static_cast<size_t>(OpClass::Count)> classes{}; // warp instructions
  uint64_t globalLoadRequests = 0, globalLoadSectors = 0,
           globalLoadBytes = 0; // a request: one instruction of a warp
  uint64_t globalStoreRequests = 0, globalStoreSectors = 0, globalStoreBytes = 0;
  uint64_t globalLoadDistinct = 0, globalStoreDistinct = 0; // sectors, each once a launch
  uint64_t atomicRequests = 0;
  uint64_t sharedLoadRequests = 0, sharedStoreRequests = 0;
  uint64_t sharedWaves = 0, sharedReplays = 0; // replays: waves beyond those that the width needs
  uint64_t localRequests = 0;
  uint64_t divergentBranches = 0, barriers = 0, blocks = 0, threads = 0;
  std::vector<std::pair<std::string, uint64_t>>
      opcodes; // warp instructions by opcode with modifiers, sorted by name

  uint64_t of(std::string_view opcode) const;
  uint64_t of(OpClass c) const { return classes[static_cast<size_t>(c)]; }
  std::string json(const Launch &) const; // one line
};

// What a device refuses before a kernel runs: limits, shared memory, registers, parameters. Nothing: it would run.
std::optional<Fault> checkLaunch(const Launch &, const DeviceProfile &);

std::expected<Counters, Fault> run(const Launch &, Memory &, const DeviceProfile &, const Options &);

} // namespace cudasim
