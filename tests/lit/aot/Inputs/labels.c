/* Labels of i8, which lie byte by byte: as many as the batch are looked at, and a label that is no class is found. */
#include "bytes.h"

#include <stdlib.h>
#include <string.h>

static void *block(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

int main(void) {
  static uint8_t images[BYTES_TRAIN_BATCH * 64];
  int8_t *labels = malloc(BYTES_TRAIN_BATCH); /* no byte more, so that the sanitizer sees a read beyond it */
  void *params = block(BYTES_PARAM_BYTES), *workspace = block(BYTES_TRAIN_WORKSPACE);
  const bytes_hyper hyper = {0.1f, 0, 0, 0};
  bytes_metrics metrics;
  gradc_status status = bytes_init_params(params, BYTES_PARAM_BYTES, NULL, 0, 0);
  for (int label = 0; label < 4 && status == GRADC_OK; ++label) {
    memset(labels, 1, BYTES_TRAIN_BATCH);
    labels[BYTES_TRAIN_BATCH - 1] = (int8_t)label;
    status = bytes_train_step(BYTES_TRAIN_BATCH, images, labels, params, NULL, &hyper, &metrics, workspace,
                              BYTES_TRAIN_WORKSPACE, NULL);
    if (label == 3)
      return status == GRADC_E_INDEX ? 0 : 1;
  }
  return 2;
}
