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

/* The programs for one kind of processor, or of CUDA device. */
typedef struct gradc_version {
  const char *processor; /* "sapphirerapids", "sm_90" */
  uint64_t features;     /* support/cpu_features.h: those that the code needs */
  int32_t architecture;  /* 90: the programs are the tables of gradc_cuda_programs for sm_90; 0: for processors */
  int32_t has_ptx;       /* each of these has PTX, too: for later architectures */
  const gradc_instance *instances;
  int64_t num_instances;
} gradc_version;

typedef struct gradc_image {
  const char *facts;             /* runtime/model_image.h: its text, packed (runtime/packed.h) */
  const gradc_version *versions; /* those for CUDA first, then the best first */
  const struct gradc_backend *backend; /* standalone/backend.h; null: all versions are for processors */
  const void *weights;           /* a safetensors file, or null */
  int64_t num_versions, weight_bytes, fact_bytes;
  int64_t fact_text_bytes; /* when unpacked */
} gradc_image;

/* Devices of CUDA, where they are linked in. */
extern const struct gradc_backend gradc_cuda_backend;

/* Defined by the tables that gradc compile writes. */
extern const gradc_image gradc_model_image;

#ifdef __cplusplus
}
#endif
