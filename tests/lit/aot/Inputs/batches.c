/* batches: N examples in one call give what N calls with one give, within rounding: products of at most 8 rows have an order
 * of their own (ir/order.h). A last part that fits no compiled size is taken along. */
#include "tiny.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 43, PIXELS = 64, CLASSES = 3 };

int main(void) {
  static float images[MOST * PIXELS], together[MOST * CLASSES + 1], alone[CLASSES];
  float *params = aligned_alloc(TINY_ALIGN, (TINY_PARAM_BYTES + 63) / 64 * 64);
  void *workspace = aligned_alloc(TINY_ALIGN, (TINY_INFER_WORKSPACE + 63) / 64 * 64);
  for (size_t i = 0; i < TINY_PARAM_BYTES / sizeof *params; ++i)
    params[i] = (float)(i * 37 % 101) / 50 - 1;
  for (size_t i = 0; i < MOST * PIXELS; ++i)
    images[i] = (float)(i * 7919 % 256) / 255;
  for (int64_t n = 1; n <= MOST; ++n) {
    together[n * CLASSES] = -77;
    if (tiny_infer(n, images, together, params, workspace, TINY_INFER_WORKSPACE, NULL) != GRADC_OK)
      return printf("%d examples: refused\n", (int)n), 1;
    if (together[n * CLASSES] != -77)
      return printf("%d examples: wrote behind the end\n", (int)n), 1;
    for (int64_t i = 0; i < n; ++i) {
      if (tiny_infer(1, images + i * PIXELS, alone, params, workspace, TINY_INFER_WORKSPACE, NULL) != GRADC_OK)
        return printf("one example: refused\n"), 1;
      for (int64_t c = 0; c < CLASSES; ++c)
        if (fabsf(alone[c] - together[i * CLASSES + c]) > 1e-5f)
          return printf("example %d of %d: %g, alone %g\n", (int)i, (int)n, together[i * CLASSES + c], alone[c]), 1;
    }
  }
  printf("1 to %d examples have the scores of one\n", (int)MOST);
  free(params);
  free(workspace);
  return 0;
}
