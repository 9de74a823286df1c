/* Runs programs (runtime/abi.h) in memory that the caller owns: no allocation, no state, no library. Included by the one C
 * file of a compiled object, so everything is static. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "runtime/abi.h"
#include "runtime/embed/model.h"

enum { GRADC_ALIGNMENT = 64, GRADC_LANES = 16 };

/* Where a variable lies: in the parameters or in the state. */
typedef struct gradc_slot {
  size_t offset;
  int in_state;
} gradc_slot;

/* A program with the places of its outside in the workspace: arena first, then arguments, results and scratch. */
typedef struct gradc_unit {
  const gradc_program *program;
  int64_t batch;
  double work; /* estimated seconds of one run */
  const gradc_slot *vars;
  const size_t *args, *results; /* offsets in the workspace */
  size_t scratch;               /* offset of the first thread's */
} gradc_unit;

/* Everything that a step needs to find its buffers. */
typedef struct gradc_frame {
  const gradc_unit *unit;
  char *params, *state, *workspace;
  void *const *args;    /* one per argument of the program; null: at its place in the workspace */
  void *const *results; /* the same */
  size_t threads;       /* whose scratch fits the workspace */
  const gradc_parallel *parallel;
} gradc_frame;

static size_t gradc_round_up(size_t bytes) {
  return (bytes + GRADC_ALIGNMENT - 1) / GRADC_ALIGNMENT * GRADC_ALIGNMENT;
}

static int gradc_aligned(const void *pointer, size_t alignment) {
  return (uintptr_t)pointer % alignment == 0;
}

static void gradc_copy(void *to, const void *from, size_t bytes) {
  char *t = (char *)to;
  const char *f = (const char *)from;
  for (size_t i = 0; i < bytes; ++i)
    t[i] = f[i];
}

static void gradc_zero(void *to, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i)
    ((char *)to)[i] = 0;
}

static size_t gradc_element_size(int32_t dtype) {
  static const unsigned char sizes[] = {4, 8, 2, 2, 1, 1, 4, 8, 1};
  return sizes[dtype];
}

/* Bytes of one example of a tensor whose first dimension is the batch. */
static size_t gradc_example_bytes(const gradc_port *port) {
  size_t bytes = gradc_element_size(port->dtype);
  for (int32_t i = 1; i < port->rank; ++i)
    bytes *= (size_t)port->shape[i];
  return bytes;
}

static void *gradc_resolve(const gradc_frame *frame, const gradc_ref *ref) {
  const gradc_unit *unit = frame->unit;
  char *base = frame->workspace;
  switch (ref->space) {
  case GRADC_SPACE_VAR:
    base = (unit->vars[ref->index].in_state ? frame->state : frame->params) + unit->vars[ref->index].offset;
    break;
  case GRADC_SPACE_ARGUMENT:
    base =
        frame->args[ref->index] ? (char *)frame->args[ref->index] : frame->workspace + unit->args[ref->index];
    break;
  case GRADC_SPACE_RESULT:
    base = frame->results[ref->index] ? (char *)frame->results[ref->index]
                                      : frame->workspace + unit->results[ref->index];
    break;
  default: break;
  }
  return base + ref->offset;
}

/* A step, cut into as many parts as threads have scratch. */
typedef struct gradc_job {
  const gradc_step *step;
  void *const *buffers;
  char *scratch;
  size_t stride, parts;
} gradc_job;

static void gradc_part(void *argument, size_t part) {
  const gradc_job *job = (const gradc_job *)argument;
  const uint64_t items = (uint64_t)job->step->items;
  gradc_ctx context;
  context.scratch = job->scratch + part * job->stride;
  job->step->kernel(&context, job->buffers, (int64_t)(items * part / job->parts),
                    (int64_t)(items * (part + 1) / job->parts));
}

/* Shorter steps are not cut: to wake threads takes as long. */
static const double gradc_least_work = 4e-6;

static void gradc_run_step(const gradc_frame *frame, const gradc_step *step) {
  void *buffers[GRADC_MAX_REFS];
  gradc_job job;
  for (int32_t i = 0; i < step->num_refs; ++i)
    buffers[i] = gradc_resolve(frame, &frame->unit->program->refs[step->first_ref + i]);
  job.step = step;
  job.buffers = buffers;
  job.scratch = frame->workspace + frame->unit->scratch;
  job.stride = gradc_round_up((size_t)frame->unit->program->scratch_bytes);
  job.parts = frame->threads < (size_t)step->items ? frame->threads : (size_t)step->items;
  if (job.parts < 2 || step->work < gradc_least_work) {
    job.parts = 1;
    gradc_part(&job, 0);
  } else {
    frame->parallel->run(frame->parallel->self, job.parts, gradc_part, &job);
  }
}

static void gradc_run(gradc_frame *frame) {
  for (int64_t i = 0; i < frame->unit->program->num_steps; ++i)
    gradc_run_step(frame, &frame->unit->program->steps[i]);
}

/* How many threads' scratch the workspace has; 0: it is too small for one. */
static size_t gradc_threads(const gradc_unit *unit, size_t workspace_bytes, const gradc_parallel *parallel) {
  const size_t stride = gradc_round_up((size_t)unit->program->scratch_bytes);
  const size_t wanted = parallel && parallel->run && parallel->threads > 1 ? parallel->threads : 1;
  size_t fitting;
  if (workspace_bytes < unit->scratch + stride)
    return 0;
  fitting = stride == 0 ? wanted : (workspace_bytes - unit->scratch) / stride;
  return fitting < wanted ? fitting : wanted;
}

static int gradc_is_lanes(const gradc_port *port) { return port->layout[0] == 'n'; }

/* Elements of 16 examples beside each other (layout n16), or back. */
static void gradc_interleave(char *lanes, char *rows, size_t examples, size_t example_bytes, size_t size,
                             int back) {
  const size_t elements = example_bytes / size;
  for (size_t n = 0; n < examples; ++n) {
    char *block = lanes + n / GRADC_LANES * GRADC_LANES * example_bytes + n % GRADC_LANES * size;
    char *row = rows + n * example_bytes;
    for (size_t i = 0; i < elements; ++i)
      if (back)
        gradc_copy(row + i * size, block + i * GRADC_LANES * size, size);
      else
        gradc_copy(block + i * GRADC_LANES * size, row + i * size, size);
  }
}

/* Puts `rows` examples to the argument's place, or returns where they may be read as they are. */
static void *gradc_feed(const gradc_frame *frame, int32_t argument, const void *examples, size_t rows) {
  const gradc_port *port = &frame->unit->program->args[argument];
  const size_t each = gradc_example_bytes(port);
  char *to = frame->workspace + frame->unit->args[argument];
  if (rows == (size_t)port->shape[0] && !gradc_is_lanes(port) && gradc_aligned(examples, GRADC_ALIGNMENT))
    return (void *)(uintptr_t)examples;
  if (rows < (size_t)port->shape[0])
    gradc_zero(to, (size_t)port->bytes);
  if (gradc_is_lanes(port))
    gradc_interleave(to, (char *)(uintptr_t)examples, rows, each, gradc_element_size(port->dtype), 0);
  else
    gradc_copy(to, examples, rows * each);
  return 0;
}

/* Where a result may be written as it is; null where it goes through the workspace. */
static void *gradc_direct(const gradc_frame *frame, int32_t result, void *examples, size_t rows) {
  const gradc_port *port = &frame->unit->program->results[result];
  const int fits = rows == (size_t)port->shape[0] && !gradc_is_lanes(port);
  return fits && gradc_aligned(examples, GRADC_ALIGNMENT) ? examples : 0;
}

/* Brings `rows` examples of a result from the workspace to the caller. */
static void gradc_take(const gradc_frame *frame, int32_t result, void *examples, size_t rows) {
  const gradc_port *port = &frame->unit->program->results[result];
  const size_t each = gradc_example_bytes(port);
  char *from = frame->workspace + frame->unit->results[result];
  if (frame->results[result])
    return;
  if (gradc_is_lanes(port))
    gradc_interleave(from, (char *)examples, rows, each, gradc_element_size(port->dtype), 1);
  else
    gradc_copy(examples, from, rows * each);
}

/* The unit that makes `n` examples, or some of them, in the least time for each. */
static const gradc_unit *gradc_choose(const gradc_unit *units, size_t count, size_t n) {
  const gradc_unit *best = units;
  double least = 0;
  for (size_t i = 0; i < count; ++i) {
    const size_t rows = n < (size_t)units[i].batch ? n : (size_t)units[i].batch;
    const double each = units[i].work / (double)rows;
    if (i == 0 || each < least) {
      best = &units[i];
      least = each;
    }
  }
  return best;
}
