/* Optimizer state between steps. C, because compiled objects carry it; runtime/variables.cpp uses the same.
 *
 * The momentum of a unit that has no gradient any more shrinks to below 2^-126, where a processor takes a hundred cycles
 * for what takes four, and stays there, as 0.9 times the smallest number rounds to itself. So it is dropped in time. When,
 * depends on the step alone, as all bits do. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether tiny numbers are dropped before this step: 0.9^64 takes 2^-100 to 2^-110. */
static inline int gradc_drops_before(uint64_t step) { return step > 0 && step % 64 == 0; }

/* Below 2^-100, and not zero: without the sign, the number's bits in order. */
static inline int gradc_is_tiny(float value) {
  const uint32_t limit = (127 - 100) << 24;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return (bits << 1) - 1 < limit - 1; /* zero becomes the largest */
}

/* Tiny numbers become zeros of their sign. Blocks, few of which have one, are looked through by vectors. */
static inline void gradc_drop_tiny(float *values, size_t count) {
  const size_t block = 64;
  for (size_t first = 0; first < count; first += block) {
    const size_t size = count - first < block ? count - first : block;
    int found = size < block; /* the rest is gone through at once */
    if (!found)
      for (size_t i = 0; i < block; ++i)
        found |= gradc_is_tiny(values[first + i]);
    for (size_t i = 0; found && i < size; ++i)
      if (gradc_is_tiny(values[first + i]))
        values[first + i] *= 0;
  }
}

#ifdef __cplusplus
}
#endif
