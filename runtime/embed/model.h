#ifndef GRADC_ABI /* the same text in every generated header */
#define GRADC_ABI 1
typedef enum {
  GRADC_OK,
  GRADC_E_NULL,      /* a pointer that is needed is null */
  GRADC_E_SIZE,      /* a block or the workspace is too small, or n is 0 */
  GRADC_E_ALIGN,     /* a pointer is not aligned as it should be */
  GRADC_E_BATCH,     /* there is no training step for this n */
  GRADC_E_INDEX,     /* a label is out of range */
  GRADC_E_NONFINITE, /* the step was made, and its loss is not finite */
  GRADC_E_CPU,       /* the processor lacks instructions that the code needs */
  GRADC_E_FORMAT     /* the stream failed, or is no safetensors file of this model in f32 */
} gradc_status;
typedef enum {
  GRADC_F32,
  GRADC_F64,
  GRADC_BF16,
  GRADC_F16,
  GRADC_I8,
  GRADC_U8,
  GRADC_I32,
  GRADC_I64,
  GRADC_BOOL
} gradc_dtype;
typedef struct {
  const char *name;
  gradc_dtype dtype;
  int32_t rank;
  int64_t shape[8];     /* -1: the batch */
  size_t offset, bytes; /* in its block; inputs and outputs: 0 and the bytes of one example */
} gradc_tensor;
typedef struct {
  uint32_t abi; /* GRADC_ABI */
  const char *model, *hash, *target;
  size_t n_inputs, n_outputs, n_params, n_state, n_classes;
  const gradc_tensor *inputs, *outputs, *params, *state;
  const char *const *classes;
} gradc_model;
typedef struct {
  void *self;
  uint32_t threads; /* how many calls of body run at once at most */
  /* Calls body(ctx, i) once for each i < count, in any order, on any threads, and returns when all are done. */
  void (*run)(void *self, size_t count, void (*body)(void *ctx, size_t i), void *ctx);
} gradc_parallel;
typedef struct {
  void *self;
  int64_t (*io)(void *self, void *bytes, size_t n); /* bytes moved, 0 at the end, < 0: error */
} gradc_stream;
#endif
