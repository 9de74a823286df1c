// What a cubin says of its kernels: registers, stack, shared memory, instructions. It is an ELF file; what is read of it
// is not documented by NVIDIA, but the same in all that NVRTC 12 and 13 make for sm_75 to sm_120.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "codegen/cuda/target.h"
#include "support/result.h"

namespace gradc {

struct CubinKernel {
  std::string name;
  int registers = 0;       // of a thread
  int64_t stackBytes = 0;  // of a thread: spilled registers and arrays
  int64_t sharedBytes = 0; // static, with what the system reserves
  int64_t instructions = 0;
  std::map<uint32_t, int64_t>
      opcodes; // the low 12 bits of an instruction, and how often it stands in the code

  /// Of the instructions whose opcode is one of the kind's.
  int64_t count(std::initializer_list<uint32_t> kind) const;
};

// Opcodes of Turing to Blackwell with operands in registers, as comparing code with its source shows them.
inline constexpr uint32_t kSassFfma = 0x223, kSassFadd = 0x221, kSassFmul = 0x220, kSassLds = 0x984,
                          kSassSts = 0x388, kSassLdg = 0x981, kSassStg = 0x986, kSassLdl = 0x983,
                          kSassStl = 0x387, kSassHmma = 0x23c, kSassBar = 0xb1d, kSassShfl = 0xf89;

/// In the order of the file; the error says what is wrong with it.
StatusOr<std::vector<CubinKernel>> readCubin(std::string_view bytes);

/// Blocks that a multiprocessor holds at once: the least of what registers, shared memory, warps and blocks allow. 0:
/// the kernel cannot run.
int residentBlocks(const CudaTarget &target, const CubinKernel &kernel, int threads,
                   int64_t dynamicSharedBytes);
/// Resident warps as a share of the most.
double occupancy(const CudaTarget &target, int blocks, int threads);

} // namespace gradc
