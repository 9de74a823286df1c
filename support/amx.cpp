#include "support/amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace gradc {

#if defined(__x86_64__) && defined(__linux__)
namespace {

/// CPUID leaf 7: AMX-BF16 is bit 22 and AMX-TILE bit 24 of EDX.
bool processorHasTiles() {
  constexpr unsigned kNeeded = 1u << 22 | 1u << 24;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kNeeded) == kNeeded;
}

/// Tile registers are state that a process has to ask for: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA).
bool systemAllowsTiles() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

} // namespace

std::string_view whyNoAmx() {
  static const std::string_view reason = !processorHasTiles()   ? "the processor has no AMX-BF16"
                                         : !systemAllowsTiles() ? "the operating system refuses AMX tiles"
                                                                : "";
  return reason;
}
#else
std::string_view whyNoAmx() { return "the processor has no AMX-BF16"; }
#endif

} // namespace gradc
