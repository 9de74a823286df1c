/* classify WEIGHTS.safetensors: reads 28 x 28 bytes of a picture from standard input and prints its class. */
#include "lenet.h"

#include <stdio.h>
#include <stdlib.h>

static int64_t read_file(void *file, void *bytes, size_t n) {
  return (int64_t)fread(bytes, 1, n, (FILE *)file);
}

static int fail(const char *what, gradc_status status) {
  fprintf(stderr, "%s: %s\n", what, lenet_status_text(status));
  return 1;
}

int main(int argc, char **argv) {
  unsigned char pixels[28 * 28];
  float image[28 * 28], logits[10];
  int best = 0;
  FILE *weights = argc > 1 ? fopen(argv[1], "rb") : NULL;
  gradc_stream stream = {weights, read_file};
  void *params = aligned_alloc(LENET_ALIGN, (LENET_PARAM_BYTES + 63) / 64 * 64);
  void *workspace = aligned_alloc(LENET_ALIGN, (LENET_INFER_WORKSPACE + 63) / 64 * 64);
  gradc_status status = lenet_check_cpu();

  if (status != GRADC_OK)
    return fail("this processor", status);
  if (weights == NULL || params == NULL || workspace == NULL ||
      fread(pixels, 1, sizeof pixels, stdin) != sizeof pixels) {
    fprintf(stderr, "usage: classify WEIGHTS.safetensors < 784 bytes\n");
    return 2;
  }
  status = lenet_load(params, LENET_PARAM_BYTES, &stream);
  if (status != GRADC_OK)
    return fail(argv[1], status);
  for (int i = 0; i < 28 * 28; ++i)
    image[i] = (float)pixels[i] / 255.0f;
  status = lenet_infer(1, image, logits, params, workspace, LENET_INFER_WORKSPACE, NULL);
  if (status != GRADC_OK)
    return fail("inference", status);
  for (int i = 1; i < 10; ++i)
    best = logits[i] > logits[best] ? i : best;
  printf("class %d, score %.3f\n", best, (double)logits[best]);
  fclose(weights);
  free(params);
  free(workspace);
  return 0;
}
