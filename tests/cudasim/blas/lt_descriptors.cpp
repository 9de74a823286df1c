#include "blas/lt_descriptors.h"

#include <cstring>

using namespace cudasim;

namespace {

struct Field {
  void *address = nullptr; // null: no such attribute
  size_t bytes = 0;
};

template <typename T> Field field(T &value) { return {&value, sizeof value}; }

Field fieldOf(cublasLtMatrixLayoutOpaque_t &layout, cublasLtMatrixLayoutAttribute_t attribute) {
  switch (attribute) {
  case CUBLASLT_MATRIX_LAYOUT_TYPE: return field(layout.type);
  case CUBLASLT_MATRIX_LAYOUT_ORDER: return field(layout.order);
  case CUBLASLT_MATRIX_LAYOUT_ROWS: return field(layout.rows);
  case CUBLASLT_MATRIX_LAYOUT_COLS: return field(layout.columns);
  case CUBLASLT_MATRIX_LAYOUT_LD: return field(layout.leading);
  case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return field(layout.batch);
  case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return field(layout.batchStride);
  }
  return {};
}

Field fieldOf(cublasLtMatmulDescOpaque_t &matmul, cublasLtMatmulDescAttributes_t attribute) {
  switch (attribute) {
  case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE: return field(matmul.compute);
  case CUBLASLT_MATMUL_DESC_SCALE_TYPE: return field(matmul.scale);
  case CUBLASLT_MATMUL_DESC_POINTER_MODE: return field(matmul.pointers);
  case CUBLASLT_MATMUL_DESC_TRANSA: return field(matmul.operationA);
  case CUBLASLT_MATMUL_DESC_TRANSB: return field(matmul.operationB);
  case CUBLASLT_MATMUL_DESC_TRANSC: return field(matmul.operationC);
  case CUBLASLT_MATMUL_DESC_EPILOGUE: return field(matmul.epilogue);
  case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return field(matmul.bias);
  case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: return field(matmul.biasStride);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return field(matmul.aux);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return field(matmul.auxLeading);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE: return field(matmul.auxStride);
  case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return field(matmul.auxType);
  case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return field(matmul.biasType);
  }
  return {};
}

Field fieldOf(cublasLtMatmulPreferenceOpaque_t &preference, cublasLtMatmulPreferenceAttributes_t attribute) {
  switch (attribute) {
  case CUBLASLT_MATMUL_PREF_SEARCH_MODE: return field(preference.searchMode);
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return field(preference.workspaceBytes);
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return field(preference.reductions);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return field(preference.alignmentA);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return field(preference.alignmentB);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return field(preference.alignmentC);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return field(preference.alignmentD);
  }
  return {};
}

template <typename Descriptor, typename Attribute>
cublasStatus_t set(Descriptor *descriptor, Attribute attribute, const void *value, size_t bytes) {
  Field to = Live<Descriptor>::get().has(descriptor) ? fieldOf(*descriptor, attribute) : Field();
  if (!to.address || !value || bytes != to.bytes)
    return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(to.address, value, to.bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Descriptor, typename Attribute>
cublasStatus_t get(Descriptor *descriptor, Attribute attribute, void *value, size_t bytes, size_t *written) {
  Field from = Live<Descriptor>::get().has(descriptor) ? fieldOf(*descriptor, attribute) : Field();
  if (!from.address || (bytes != 0 && (!value || bytes < from.bytes)) || (bytes == 0 && !written))
    return CUBLAS_STATUS_INVALID_VALUE;
  if (bytes != 0)
    std::memcpy(value, from.address, from.bytes);
  if (written)
    *written = from.bytes;
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Descriptor> cublasStatus_t create(Descriptor **handle, Descriptor initial) {
  if (!handle)
    return CUBLAS_STATUS_INVALID_VALUE;
  *handle = Live<Descriptor>::get().add(std::make_unique<Descriptor>(initial));
  return CUBLAS_STATUS_SUCCESS;
}

template <typename Descriptor> cublasStatus_t destroy(Descriptor *descriptor) {
  return Live<Descriptor>::get().remove(descriptor) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

} // namespace

CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type,
                                                       uint64_t rows, uint64_t columns, int64_t leading) {
  return create(layout, {.type = uint32_t(type), .rows = rows, .columns = columns, .leading = leading});
}

CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy(layout);
}

CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                             cublasLtMatrixLayoutAttribute_t attribute,
                                                             const void *value, size_t bytes) {
  return set(layout, attribute, value, bytes);
}

CUDASIM_BLAS cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout,
                                                             cublasLtMatrixLayoutAttribute_t attribute,
                                                             void *value, size_t bytes, size_t *written) {
  return get(layout, attribute, value, bytes, written);
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *matmul,
                                                     cublasComputeType_t compute, cudaDataType scale) {
  return create(matmul, {.compute = compute, .scale = scale});
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) { return destroy(matmul); }

CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           const void *value, size_t bytes) {
  return set(matmul, attribute, value, bytes);
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t matmul,
                                                           cublasLtMatmulDescAttributes_t attribute,
                                                           void *value, size_t bytes, size_t *written) {
  return get(matmul, attribute, value, bytes, written);
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  return create(preference, {});
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference);
}

CUDASIM_BLAS cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
    size_t bytes) {
  return set(preference, attribute, value, bytes);
}
