/* Which instructions a processor has, as a set of bits: recorded with compiled code and asked for where it starts. Plain
 * C, because compiled objects carry it too; no state, no library. */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(bit, name as LLVM has it, leaf, subleaf, register a b c d, bit of it, bits of XCR0 that the system must have set) */
#define GRADC_X86_FEATURES(X)                                                                                \
  X(0, "sse3", 1, 0, 2, 0, 0)                                                                                \
  X(1, "ssse3", 1, 0, 2, 9, 0)                                                                               \
  X(2, "sse4.1", 1, 0, 2, 19, 0)                                                                             \
  X(3, "sse4.2", 1, 0, 2, 20, 0)                                                                             \
  X(4, "popcnt", 1, 0, 2, 23, 0)                                                                             \
  X(5, "cx16", 1, 0, 2, 13, 0)                                                                               \
  X(6, "movbe", 1, 0, 2, 22, 0)                                                                              \
  X(7, "avx", 1, 0, 2, 28, 0x6)                                                                              \
  X(8, "f16c", 1, 0, 2, 29, 0x6)                                                                             \
  X(9, "fma", 1, 0, 2, 12, 0x6)                                                                              \
  X(10, "lzcnt", 0x80000001u, 0, 2, 5, 0)                                                                    \
  X(11, "bmi", 7, 0, 1, 3, 0)                                                                                \
  X(12, "avx2", 7, 0, 1, 5, 0x6)                                                                             \
  X(13, "bmi2", 7, 0, 1, 8, 0)                                                                               \
  X(14, "avx512f", 7, 0, 1, 16, 0xe6)                                                                        \
  X(15, "avx512dq", 7, 0, 1, 17, 0xe6)                                                                       \
  X(16, "avx512cd", 7, 0, 1, 28, 0xe6)                                                                       \
  X(17, "avx512bw", 7, 0, 1, 30, 0xe6)                                                                       \
  X(18, "avx512vl", 7, 0, 1, 31, 0xe6)                                                                       \
  X(19, "avx512ifma", 7, 0, 1, 21, 0xe6)                                                                     \
  X(20, "avx512vbmi", 7, 0, 2, 1, 0xe6)                                                                      \
  X(21, "avx512vbmi2", 7, 0, 2, 6, 0xe6)                                                                     \
  X(22, "gfni", 7, 0, 2, 8, 0)                                                                               \
  X(23, "vaes", 7, 0, 2, 9, 0x6)                                                                             \
  X(24, "vpclmulqdq", 7, 0, 2, 10, 0x6)                                                                      \
  X(25, "avx512vnni", 7, 0, 2, 11, 0xe6)                                                                     \
  X(26, "avx512bitalg", 7, 0, 2, 12, 0xe6)                                                                   \
  X(27, "avx512vpopcntdq", 7, 0, 2, 14, 0xe6)                                                                \
  X(28, "amx-bf16", 7, 0, 3, 22, 0x60000)                                                                    \
  X(29, "avx512fp16", 7, 0, 3, 23, 0xe6)                                                                     \
  X(30, "amx-tile", 7, 0, 3, 24, 0x60000)                                                                    \
  X(31, "amx-int8", 7, 0, 3, 25, 0x60000)                                                                    \
  X(32, "avx512bf16", 7, 1, 0, 5, 0xe6)                                                                      \
  X(33, "avxvnni", 7, 1, 0, 4, 0x6)

#if defined(__x86_64__)
static inline void gradc_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t registers[4]) {
  __asm__ volatile("cpuid"
                   : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
                   : "a"(leaf), "c"(subleaf));
}

/* The features of the processor that this runs on, as far as the system saves their registers. */
static inline uint64_t gradc_cpu_features(void) {
  uint32_t r[4];
  uint64_t features = 0, enabled = 0;
  gradc_cpuid(0, 0, r);
  const uint32_t last = r[0];
  gradc_cpuid(0x80000000u, 0, r);
  const uint32_t last_extended = r[0];
  gradc_cpuid(1, 0, r);
  if ((r[2] >> 27 & 1) != 0) { /* OSXSAVE */
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    enabled = (uint64_t)high << 32 | low;
  }
#define GRADC_FEATURE(bit, name, leaf, subleaf, reg, position, state)                                        \
  if ((leaf) <= ((leaf) >= 0x80000000u ? last_extended : last)) {                                            \
    gradc_cpuid(leaf, subleaf, r);                                                                           \
    if ((r[reg] >> (position)&1) != 0 && (enabled & (state)) == (state))                                     \
      features |= (uint64_t)1 << (bit);                                                                      \
  }
  GRADC_X86_FEATURES(GRADC_FEATURE)
#undef GRADC_FEATURE
  return features;
}
#else
static inline uint64_t gradc_cpu_features(void) {
  return 0;
} /* elsewhere the base is what code is made for */
#endif

#ifdef __cplusplus
}
#endif
