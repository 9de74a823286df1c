/* Time of one inference through a compiled object: minimum, median and 99th percentile over calls, in microseconds.
 * latency.py compiles it: -DHEADER="lenet.h" -DMODEL=lenet -DUPPER=LENET, batch 1. After each call a chain of
 * multiply-adds of about the same length is timed as well, which touches no memory: what its slowest hundredth is above
 * its median the machine does, not the object. In the end a block of the weights' size is read, as fast as it goes. */
#define _POSIX_C_SOURCE 199309L
#include HEADER

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

enum { WARM = 1000, CAPACITY = 4000000 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void *block(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

static void infer(void) {
  static float *params, *input, *output;
  static void *workspace;
  if (!params) {
    const gradc_model *model = JOIN(MODEL, _model)();
    params = block(JOIN(UPPER, _PARAM_BYTES));
    input = block(model->inputs[0].bytes);
    output = block(model->outputs[0].bytes);
    workspace = block(JOIN(UPPER, _INFER_WORKSPACE));
    for (size_t i = 0; i < JOIN(UPPER, _PARAM_BYTES) / sizeof(float); ++i)
      params[i] = (float)((int)(i * 7919 % 1000) - 500) * 1e-4f;
    for (size_t i = 0; i < model->inputs[0].bytes / sizeof(float); ++i)
      input[i] = (float)(i % 251) / 250;
  }
  if (JOIN(MODEL, _infer)(1, input, output, params, workspace, JOIN(UPPER, _INFER_WORKSPACE), 0) != GRADC_OK)
    exit(1);
}

static volatile double sink;

static void chain(long steps) {
  double x = sink;
  for (long i = 0; i < steps; ++i)
    x = x * 0.999999 + 1e-6;
  sink = x;
}

/* Calls both for so long; their sorted times. The count of calls. */
static size_t measure(double microseconds, size_t most, long steps, double *calls, double *control) {
  size_t count = 0;
  for (double start = now(), last = start; count < most && last - start < microseconds; ++count) {
    const double before = now();
    infer();
    const double middle = now();
    chain(steps);
    last = now();
    calls[count] = middle - before;
    control[count] = last - middle;
  }
  qsort(calls, count, sizeof *calls, ascending);
  qsort(control, count, sizeof *control, ascending);
  return count;
}

/* Median time of one pass over as many bytes as the weights have. */
static double read_pass(double *times) {
  enum { PASSES = 1000 };
  const size_t words = JOIN(UPPER, _PARAM_BYTES) / sizeof(uint64_t);
  uint64_t *data = block(words * sizeof *data);
  for (size_t i = 0; i < words; ++i)
    data[i] = i;
  for (int pass = 0; pass < PASSES; ++pass) {
    const double before = now();
    uint64_t sum = 0;
    for (size_t i = 0; i < words; ++i)
      sum += data[i];
    sink = (double)sum;
    times[pass] = now() - before;
  }
  free(data);
  qsort(times, PASSES, sizeof *times, ascending);
  return times[PASSES / 2];
}

static double p99(const double *times, size_t count) { return times[count - 1 - count / 100]; }

int main(int argc, char **argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 2;
  double *calls = malloc(CAPACITY * sizeof *calls), *control = malloc(CAPACITY * sizeof *control);
  long steps = 10000;
  size_t count;
  if (JOIN(MODEL, _check_cpu)() != GRADC_OK)
    return 6;
  count = measure(1e9, WARM, steps, calls, control);
  steps = (long)((double)steps * calls[count / 2] / control[count / 2]);
  count = measure(seconds * 1e6, CAPACITY, steps, calls, control);
  printf("{\"model\": \"%s\", \"calls\": %zu, \"min_us\": %.3f, \"median_us\": %.3f, \"p99_us\": %.3f, "
         "\"control_median_us\": %.3f, \"control_p99_us\": %.3f, \"param_bytes\": %zu, ",
         JOIN(MODEL, _model)()->model, count, calls[0], calls[count / 2], p99(calls, count),
         control[count / 2], p99(control, count), (size_t)JOIN(UPPER, _PARAM_BYTES));
  printf("\"read_us\": %.3f}\n", read_pass(calls));
  return 0;
}
