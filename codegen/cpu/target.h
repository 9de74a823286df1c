// The processor that code is made for, as a value: nothing in code generation asks the machine it runs on.
//
// The name is derived from feature bits, because the model number lies under some hypervisors. Cache sizes come
// from a static table of that name, so that two machines of one name share cached code.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "support/result.h"

namespace gradc {

struct CpuTarget {
  std::string name;     // as LLVM's -mcpu knows it: "sapphirerapids", "skylake-avx512", "haswell", "x86-64"
  std::string features; // LLVM's feature string on top of the name; "+avx512f,…" or empty
  std::string triple;
  int vectorBits = 128;     // width of a vector register: 512, 256, 128
  int vectorRegisters = 16; // 32 with AVX-512 and on AArch64
  bool fma =
      false; // has a fused multiply-add instruction; without it llvm.fma is a call and bits of class nofma
  int64_t l1Bytes = 32 << 10;  // data
  int64_t l2Bytes = 512 << 10; // of one core

  /// Lanes of a f32 register.
  int floatLanes() const { return vectorBits / 32; }
  /// Registers that a vector of 16 f32 takes.
  int registersPerVector() const { return 512 / vectorBits; }
  /// Everything that decides which code is made: part of the cache key.
  std::string key() const { return triple + "/" + name + "/" + features; }
};

/// The best x86 processor of the table whose instructions are all among the features, which have LLVM's names. AMD's are
/// known by instructions that only they have.
std::string_view processorWith(const std::set<std::string, std::less<>> &features);
/// The machine this process runs on.
CpuTarget hostCpuTarget();
/// "native" or a processor that LLVM knows; the error proposes the nearest name.
StatusOr<CpuTarget> parseCpuTarget(std::string_view mcpu);

} // namespace gradc
