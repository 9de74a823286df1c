/* Initial values of a variable, element by element: a pure function of seed, name and rule. C, because compiled objects
 * carry it; runtime/init.cpp uses the same, so a run starts from the same bits wherever it starts. */
#pragma once

#include <math.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  GRADC_INIT_CONSTANT,
  GRADC_INIT_UNIFORM,
  GRADC_INIT_NORMAL,
  GRADC_INIT_SPARSE_NORMAL,
  GRADC_INIT_VALUES
} gradc_init_kind;

typedef struct gradc_init_rule {
  int32_t kind;    /* gradc_init_kind */
  double a, b;     /* constant: a; uniform: a .. b; normal: mean, deviation; sparse: density, deviation */
  uint64_t stream; /* hash of the variable's name (support/philox.h) */
  const float *values;
} gradc_init_rule;

/* Philox4x32-10 as in support/philox.h. */
static inline void gradc_random_bits(uint64_t seed, uint64_t stream, uint64_t draw, uint64_t element,
                                     uint32_t c[4]) {
  uint32_t k0 = (uint32_t)(seed ^ stream), k1 = (uint32_t)((seed ^ stream) >> 32);
  c[0] = (uint32_t)element;
  c[1] = (uint32_t)(element >> 32);
  c[2] = (uint32_t)draw;
  c[3] = (uint32_t)(draw >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = (uint64_t)0xD2511F53 * c[0], p1 = (uint64_t)0xCD9E8D57 * c[2];
    c[0] = (uint32_t)(p1 >> 32) ^ c[1] ^ k0;
    c[2] = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
    c[1] = (uint32_t)p1;
    c[3] = (uint32_t)p0;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
}

/* 53 bits, in [0, 1). */
static inline double gradc_unit_double(uint32_t high, uint32_t low) {
  return (double)(((uint64_t)high << 32 | low) >> 11) * (1.0 / 9007199254740992.0);
}

static inline double gradc_random_uniform(uint64_t seed, uint64_t stream, uint64_t element, uint64_t draw) {
  uint32_t bits[4];
  gradc_random_bits(seed, stream, draw, element, bits);
  return gradc_unit_double(bits[0], bits[1]);
}

/* Standard normal (Box and Muller 1958). */
static inline double gradc_random_normal(uint64_t seed, uint64_t stream, uint64_t element) {
  uint32_t bits[4];
  gradc_random_bits(seed, stream, 0, element, bits);
  return sqrt(-2 * log(1 - gradc_unit_double(bits[0], bits[1]))) *
         cos(2 * 3.141592653589793238462643383279502884 * gradc_unit_double(bits[2], bits[3]));
}

/* Values are computed in double, rounded once. */
static inline float gradc_init_uniform(const gradc_init_rule *rule, uint64_t seed, uint64_t element) {
  return (float)(rule->a + (rule->b - rule->a) * gradc_random_uniform(seed, rule->stream, element, 0));
}

static inline float gradc_init_value(const gradc_init_rule *rule, uint64_t seed, uint64_t element) {
  double value = rule->a;
  if (rule->kind == GRADC_INIT_VALUES)
    return rule->values[element];
  if (rule->kind == GRADC_INIT_UNIFORM)
    return gradc_init_uniform(rule, seed, element);
  if (rule->kind == GRADC_INIT_NORMAL)
    value = rule->a + rule->b * gradc_random_normal(seed, rule->stream, element);
  else if (rule->kind == GRADC_INIT_SPARSE_NORMAL)
    value = gradc_random_uniform(seed, rule->stream, element, 1) < rule->a
                ? rule->b * gradc_random_normal(seed, rule->stream, element)
                : 0.0;
  return (float)value;
}

#ifdef __cplusplus
}
#endif
