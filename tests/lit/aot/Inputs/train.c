/* train FOLDER STEPS: trains the model tiny on FOLDER/images.raw and labels.raw through its object, as gradc train does
 * with the data in its order, and saves FOLDER/object.safetensors and object.ckpt; then uses the functions wrongly. */
#include "tiny.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH TINY_TRAIN_BATCH
#define PIXELS 64
#define CHECK(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                \
      exit(1);                                                                                               \
    }                                                                                                        \
  } while (0)

static int64_t write_file(void *self, void *bytes, size_t n) {
  return (int64_t)fwrite(bytes, 1, n, (FILE *)self);
}
static int64_t read_file(void *self, void *bytes, size_t n) {
  return (int64_t)fread(bytes, 1, n, (FILE *)self);
}

/* Runs everything here, the last first: no result depends on it. */
static void backwards(void *self, size_t count, void (*body)(void *, size_t), void *ctx) {
  (void)self;
  while (count-- > 0)
    body(ctx, count);
}

static void *block(size_t bytes) {
  void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
  CHECK(memory);
  memset(memory, 0x5a, bytes);
  return memory;
}

static FILE *open_file(const char *folder, const char *name, const char *mode) {
  char path[4096];
  FILE *file;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  file = fopen(path, mode);
  CHECK(file);
  return file;
}

static void *read_all(const char *folder, const char *name, size_t bytes) {
  FILE *file = open_file(folder, name, "rb");
  void *memory = block(bytes);
  CHECK(fread(memory, 1, bytes, file) == bytes);
  fclose(file);
  return memory;
}

static int is_untouched(const void *memory, size_t bytes) {
  for (size_t i = 0; i < bytes; ++i)
    if (((const unsigned char *)memory)[i] != 0x33)
      return 0;
  return 1;
}

int main(int argc, char **argv) {
  const char *folder = argv[1];
  const int steps = argc > 2 ? atoi(argv[2]) : 1;
  const size_t examples = (size_t)steps * BATCH;
  gradc_parallel parallel = {0, 3, backwards};
  const size_t workspace_bytes = TINY_TRAIN_WORKSPACE + TINY_INFER_WORKSPACE + 2 * TINY_THREAD_WORKSPACE;
  char *params = (char *)block(TINY_PARAM_BYTES), *state = (char *)block(TINY_STATE_BYTES);
  char *other = (char *)block(TINY_PARAM_BYTES), *state_before = (char *)block(TINY_STATE_BYTES);
  char *workspace = (char *)block(workspace_bytes);
  float *images = (float *)read_all(folder, "images.raw", examples * PIXELS * sizeof(float));
  int32_t *labels = (int32_t *)read_all(folder, "labels.raw", examples * sizeof(int32_t));
  float logits[70 * 3], one[3];
  tiny_hyper hyper = TINY_HYPER;
  tiny_metrics metrics;
  gradc_stream stream;

  CHECK(tiny_check_cpu() == GRADC_OK);
  CHECK(tiny_model()->abi == GRADC_ABI && tiny_model()->n_params == 4 && tiny_model()->n_classes == 3);
  CHECK(strcmp(tiny_model()->classes[2], "bottom") == 0);
  CHECK(tiny_init_params(params, TINY_PARAM_BYTES, state, TINY_STATE_BYTES, hyper.seed) == GRADC_OK);
  for (int step = 0; step < steps; ++step) {
    hyper.step = (uint64_t)step;
    CHECK(tiny_train_step(BATCH, images + step * BATCH * PIXELS, labels + step * BATCH, params, state, &hyper,
                          &metrics, workspace, workspace_bytes, step % 2 ? &parallel : 0) == GRADC_OK);
  }
  printf("loss %.6f accuracy %.6f\n", metrics.loss, metrics.accuracy);

  stream.io = write_file;
  stream.self = open_file(folder, "object.safetensors", "wb");
  CHECK(tiny_save(params, TINY_PARAM_BYTES, 0, 0, &stream) == GRADC_OK);
  fclose((FILE *)stream.self);
  stream.self = open_file(folder, "object.ckpt", "wb");
  CHECK(tiny_save(params, TINY_PARAM_BYTES, state, TINY_STATE_BYTES, &stream) == GRADC_OK);
  fclose((FILE *)stream.self);
  stream.io = read_file;
  stream.self = open_file(folder, "object.safetensors", "rb");
  CHECK(tiny_load(other, TINY_PARAM_BYTES, 0, 0, &stream) == GRADC_OK);
  fclose((FILE *)stream.self);
  for (size_t i = 0; i < tiny_model()->n_params; ++i)
    CHECK(memcmp(params + tiny_model()->params[i].offset, other + tiny_model()->params[i].offset,
                 tiny_model()->params[i].bytes) == 0);

  /* Pieces and remainders: each example has the same logits wherever it stands. */
  CHECK(tiny_infer(70, images, logits, params, workspace, workspace_bytes, &parallel) == GRADC_OK);
  for (int i = 0; i < 70; i += 23) {
    CHECK(tiny_infer(1, images + i * PIXELS, one, params, workspace, workspace_bytes, 0) == GRADC_OK);
    CHECK(memcmp(one, logits + i * 3, sizeof one) == 0);
  }

  /* Wrong calls: an error code each, and nothing written. */
  memcpy(other, params, TINY_PARAM_BYTES);
  memcpy(state_before, state, TINY_STATE_BYTES);
  memset(workspace, 0x33, workspace_bytes);
  memset(logits, 0x33, sizeof logits);
  memset(&metrics, 0x33, sizeof metrics);
#define STEP(n, image, label, p, s, h, m, w, bytes) tiny_train_step(n, image, label, p, s, h, m, w, bytes, 0)
  CHECK(STEP(BATCH, 0, labels, params, state, &hyper, &metrics, workspace, workspace_bytes) == GRADC_E_NULL);
  CHECK(STEP(BATCH, images, labels, 0, state, &hyper, &metrics, workspace, workspace_bytes) == GRADC_E_NULL);
  CHECK(STEP(BATCH, images, labels, params, 0, &hyper, &metrics, workspace, workspace_bytes) == GRADC_E_NULL);
  CHECK(STEP(BATCH, images, labels, params, state, 0, &metrics, workspace, workspace_bytes) == GRADC_E_NULL);
  CHECK(STEP(BATCH, images, labels, params, state, &hyper, 0, workspace, workspace_bytes) == GRADC_E_NULL);
  CHECK(STEP(BATCH, images, labels, params, state, &hyper, &metrics, 0, workspace_bytes) == GRADC_E_NULL);
  CHECK(STEP(BATCH, images, labels, params + 4, state, &hyper, &metrics, workspace, workspace_bytes) ==
        GRADC_E_ALIGN);
  CHECK(STEP(BATCH, (float *)((char *)images + 1), labels, params, state, &hyper, &metrics, workspace,
             workspace_bytes) == GRADC_E_ALIGN);
  CHECK(STEP(BATCH, images, labels, params, state, &hyper, &metrics, workspace, TINY_TRAIN_WORKSPACE - 1) ==
        GRADC_E_SIZE);
  CHECK(STEP(BATCH - 1, images, labels, params, state, &hyper, &metrics, workspace, workspace_bytes) ==
        GRADC_E_BATCH);
  labels[BATCH - 1] = 3;
  CHECK(STEP(BATCH, images, labels, params, state, &hyper, &metrics, workspace, workspace_bytes) ==
        GRADC_E_INDEX);
  labels[BATCH - 1] = -1;
  CHECK(STEP(BATCH, images, labels, params, state, &hyper, &metrics, workspace, workspace_bytes) ==
        GRADC_E_INDEX);
  CHECK(tiny_infer(0, images, logits, params, workspace, workspace_bytes, 0) == GRADC_E_SIZE);
  CHECK(tiny_infer(1, images, logits, params, workspace + 1, workspace_bytes, 0) == GRADC_E_ALIGN);
  CHECK(tiny_infer(1, images, 0, params, workspace, workspace_bytes, 0) == GRADC_E_NULL);
  CHECK(tiny_init_params(params, TINY_PARAM_BYTES - 1, state, TINY_STATE_BYTES, 1) == GRADC_E_SIZE);
  CHECK(tiny_load(params, TINY_PARAM_BYTES, 0, 0, 0) == GRADC_E_NULL);
  stream.self = open_file(folder, "images.raw", "rb");
  CHECK(tiny_load(params, TINY_PARAM_BYTES, 0, 0, &stream) == GRADC_E_FORMAT);
  fclose((FILE *)stream.self);
  stream.self = open_file(folder, "object.safetensors", "rb");
  CHECK(tiny_load(params, TINY_PARAM_BYTES, state, TINY_STATE_BYTES, &stream) == GRADC_E_FORMAT);
  fclose((FILE *)stream.self);
  CHECK(STEP(BATCH, images, labels, params, state + 4, &hyper, &metrics, workspace, workspace_bytes) ==
        GRADC_E_ALIGN);
  CHECK(tiny_infer(1, images, logits, 0, workspace, workspace_bytes, 0) == GRADC_E_NULL);
  CHECK(tiny_infer(1, images, (float *)((char *)logits + 1), params, workspace, workspace_bytes, 0) ==
        GRADC_E_ALIGN);
  CHECK(tiny_infer(1, images, logits, params, workspace, TINY_INFER_WORKSPACE - 1, 0) == GRADC_E_SIZE);
  parallel.run = 0;
  CHECK(tiny_infer(1, images, logits, params, workspace, workspace_bytes, &parallel) == GRADC_E_NULL);
  CHECK(memcmp(other, params, TINY_PARAM_BYTES) == 0);
  CHECK(memcmp(state_before, state, TINY_STATE_BYTES) == 0);
  CHECK(is_untouched(workspace, workspace_bytes) && is_untouched(logits, sizeof logits));
  CHECK(is_untouched(&metrics, sizeof metrics));
  labels[BATCH - 1] = 0;
  for (int pixel = 0; pixel < 64; ++pixel) /* all of an example: dropout must not be able to hide it */
    images[pixel] = 1e38f * 1e38f;
  CHECK(STEP(BATCH, images, labels, params, state, &hyper, &metrics, workspace, workspace_bytes) ==
        GRADC_E_NONFINITE);
  puts(tiny_status_text(GRADC_E_NONFINITE));
  free(params), free(state), free(other), free(state_before), free(workspace), free(images), free(labels);
  return 0;
}
