/* A whole model as data: what a stand-alone executable carries. */
#pragma once

#include "runtime/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gradc_instance {
  int32_t kind; /* gradc::ProgramKind */
  int64_t batch;
  const gradc_program *program;
} gradc_instance;

/* The programs for one kind of processor. */
typedef struct gradc_version {
  const char *processor;
  uint64_t features; /* support/cpu_features.h: those that the code needs */
  const gradc_instance *instances;
  int64_t num_instances;
} gradc_version;

typedef struct gradc_image {
  const char *facts;             /* runtime/model_image.h: its text, packed by zlib */
  const gradc_version *versions; /* the best first */
  const void *weights;           /* a safetensors file, or null */
  int64_t num_versions, weight_bytes, fact_bytes;
  int64_t fact_text_bytes; /* when unpacked */
} gradc_image;

/* Defined by the tables that gradc compile writes. */
extern const gradc_image gradc_model_image;

#ifdef __cplusplus
}
#endif
