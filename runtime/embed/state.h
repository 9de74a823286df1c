/* Optimizer state between steps. C, because compiled objects carry it; runtime/variables.cpp uses the same.
 *
 * The momentum of a unit that has no gradient any more shrinks to below 2^-126, where a processor takes a hundred cycles
 * for what takes four, and stays there, as 0.9 times the smallest number rounds to itself. So it is dropped in time. When,
 * depends on the step alone, as all bits do. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether tiny numbers are dropped before this step: 0.9^64 takes 2^-100 to 2^-110. */
static inline int gradc_drops_before(uint64_t step) { return step > 0 && step % 64 == 0; }

/* What is below 2^-100 becomes zero of its sign. Most pieces have nothing so small, and are not written. */
static inline void gradc_drop_tiny(float *values, size_t count) {
  const float tiny = 1 / 1267650600228229401496703205376.0f; /* 2^100 */
  uint32_t found = 0;
  for (size_t i = 0; i < count; ++i)
    found |= (uint32_t)(values[i] != 0) & (uint32_t)(values[i] < tiny) & (uint32_t)(values[i] > -tiny);
  if (found)
    for (size_t i = 0; i < count; ++i)
      if (values[i] < tiny && values[i] > -tiny)
        values[i] *= 0;
}

#ifdef __cplusplus
}
#endif
