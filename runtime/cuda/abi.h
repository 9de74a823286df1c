/* A program for a CUDA device: the table of runtime/abi.h, what each of its steps launches, and the code. Plain C, no
 * CUDA header. Steps run in order, each after all of the one before has ended. */
#pragma once

#include "runtime/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  GRADC_CUDA_EPILOGUE_NONE,
  GRADC_CUDA_EPILOGUE_BIAS,
  GRADC_CUDA_EPILOGUE_RELU,
  GRADC_CUDA_EPILOGUE_RELU_BIAS,
  GRADC_CUDA_EPILOGUE_GELU, /* the tanh form */
  GRADC_CUDA_EPILOGUE_GELU_BIAS
} gradc_cuda_epilogue;

typedef enum {
  GRADC_CUDA_COMPUTE_F32, /* pedantic: no tensor cores */
  GRADC_CUDA_COMPUTE_TF32, /* and the next: factors of f32 may be rounded to it for tensor cores */
  GRADC_CUDA_COMPUTE_BF16,
  GRADC_CUDA_COMPUTE_F16
} gradc_cuda_compute;

/* c[i] = epilogue(a[i] · b[i] + bias), row-major: a is m × k, b is k × n, each stored transposed where its flag is
 * set, c is m × n; i runs over `batch` and advances each pointer by its stride, in elements (0: shared). By cuBLASLt
 * where there is an epilogue, else by cuBLAS. The step's references: a, b, c, then bias[n] where the epilogue has one. */
typedef struct gradc_cuda_product {
  int64_t m, n, k, batch;
  int64_t stride_a, stride_b, stride_c;
  int32_t transpose_a, transpose_b;
  int32_t factor_dtype, result_dtype; /* gradc::DType */
  int32_t compute;                    /* gradc_cuda_compute */
  int32_t epilogue;                   /* gradc_cuda_epilogue */
} gradc_cuda_product;

/* What step i of the table does: a launch of a kernel, whose parameters are the step's references as pointers, or a
 * product. */
typedef struct gradc_cuda_step {
  const char *kernel; /* its name in the image of its part; null: a product */
  uint32_t blocks, threads;
  uint32_t shared_bytes; /* dynamic; above 48 KiB the kernel must be told first */
  gradc_cuda_product product;
  int32_t part;
} gradc_cuda_step;

/* A part's kernels for one architecture. A cubin serves later minor versions of its major version, too. */
typedef struct gradc_cuda_image {
  int32_t architecture; /* 90: sm_90 */
  int32_t is_ptx;       /* compiled by the driver, also for later architectures; else a cubin */
  int32_t toolkit;      /* that made it; 13000: CUDA 13.0. A driver for an older major version refuses it */
  const void *data;
  int64_t bytes;        /* of the code; PTX ends with a zero */
  int64_t packed_bytes; /* of `data`, which holds it packed (runtime/packed.h); 0: `data` is the code */
  int32_t part;         /* parts count from 0 */
} gradc_cuda_image;

typedef struct gradc_cuda_program {
  gradc_program table;          /* its steps have no address */
  const gradc_cuda_step *steps; /* table.num_steps */
  const gradc_cuda_image *images;
  int64_t num_images;
} gradc_cuda_program;

#ifdef __cplusplus
}
#endif
