/* Time of one inference through a compiled object: minimum, median and 99th percentile over calls, in microseconds.
 * latency.py compiles it: -DHEADER="lenet.h" -DMODEL=lenet -DUPPER=LENET, batch 1. */
#define _POSIX_C_SOURCE 199309L
#include HEADER

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)

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

int main(int argc, char **argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 2;
  const gradc_model *model = JOIN(MODEL, _model)();
  const size_t workspace_bytes = JOIN(UPPER, _INFER_WORKSPACE), capacity = 4000000;
  float *params = block(JOIN(UPPER, _PARAM_BYTES)), *input = block(model->inputs[0].bytes);
  float *output = block(model->outputs[0].bytes);
  void *workspace = block(workspace_bytes);
  double *times = malloc(capacity * sizeof *times);
  size_t count = 0;
  if (JOIN(MODEL, _check_cpu)() != GRADC_OK)
    return 6;
  for (size_t i = 0; i < JOIN(UPPER, _PARAM_BYTES) / sizeof(float); ++i)
    params[i] = (float)((int)(i * 7919 % 1000) - 500) * 1e-4f;
  for (size_t i = 0; i < model->inputs[0].bytes / sizeof(float); ++i)
    input[i] = (float)(i % 251) / 250;
  for (double start = now(), last = start; count < capacity && last - start < seconds * 1e6;) {
    const double before = now();
    if (JOIN(MODEL, _infer)(1, input, output, params, workspace, workspace_bytes, 0) != GRADC_OK)
      return 1;
    last = now();
    times[count++] = last - before;
  }
  qsort(times, count, sizeof *times, ascending);
  printf("{\"model\": \"%s\", \"calls\": %zu, \"min_us\": %.3f, \"median_us\": %.3f, \"p99_us\": %.3f, "
         "\"param_bytes\": %zu}\n",
         model->model, count, times[0], times[count / 2], times[count - 1 - count / 100],
         (size_t)JOIN(UPPER, _PARAM_BYTES));
  return 0;
}
