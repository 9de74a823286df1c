/* The binary interface between compiled kernels and whoever runs them: JIT, stand-alone executable, CUDA host
 * code. Plain C, no dependency. A program is a table of steps over buffers; only this file knows its form. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A step of less work (gradc_step.work) stays with one thread: a fork costs more than it saves. */
#define GRADC_SPLIT_SECONDS 4e-6

/* What a kernel knows about the thread that runs it. */
typedef struct gradc_ctx {
  void *scratch; /* of this worker, 64-byte aligned, at least the step's scratch_bytes */
} gradc_ctx;

/* Runs grid items begin .. end-1. `buffers` has one pointer per buffer reference of the step, in order.
 * Items may run in any order and on any thread; the result does not depend on it. */
typedef void (*gradc_kernel)(const gradc_ctx *ctx, void *const *buffers, int64_t begin, int64_t end);

typedef enum {
  GRADC_SPACE_ARENA,    /* offset into the arena of intermediate values */
  GRADC_SPACE_VAR,      /* variable `index` of the program: parameters, buffers, optimiser slots */
  GRADC_SPACE_ARGUMENT, /* argument `index`: inputs of the batch, hyper-parameters, seed, step, row0 */
  GRADC_SPACE_RESULT,   /* result `index`: loss, metrics, outputs */
  GRADC_SPACE_CONSTANT  /* offset into the constant data */
} gradc_space;

typedef struct gradc_ref {
  int32_t space; /* gradc_space */
  int32_t index;
  int64_t offset; /* bytes */
} gradc_ref;

typedef struct gradc_step {
  gradc_kernel kernel;
  const char *name; /* the model's names, for profiles: "conv1+conv1.bias+relu" */
  int32_t first_ref, num_refs;
  int64_t items;         /* grid items */
  int64_t scratch_bytes; /* per worker */
  double work;           /* estimated seconds of one thread; 0: not known */
  double flops, bytes;   /* operations, and bytes read and written, of one run: for reports; 0: not known */
} gradc_step;

/* A tensor that the program reads or writes from outside. Shapes are logical; layout as ir/layout.h names it. */
typedef struct gradc_port {
  const char *name;
  const char *layout; /* "" is row-major */
  int32_t dtype;      /* gradc::DType */
  int32_t rank;
  int64_t shape[8];
  int64_t bytes; /* in memory, in the layout */
} gradc_port;

typedef struct gradc_program {
  const char *name;
  const gradc_step *steps;
  const gradc_ref *refs;
  const gradc_port *vars, *args, *results;
  const void *constants;
  int64_t num_steps, num_vars, num_args, num_results;
  int64_t arena_bytes, scratch_bytes, constant_bytes;
} gradc_program;

#ifdef __cplusplus
}
#endif
