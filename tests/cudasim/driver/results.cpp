#include "driver/results.h"

#include "driver/driver.h"

namespace cudasim {

const char *resultName(CUresult result) {
  switch (result) {
#define CUDASIM_RESULT(name, value, text)                                                                    \
  case name: return #name;
    CUDASIM_RESULTS(CUDASIM_RESULT)
#undef CUDASIM_RESULT
  }
  return nullptr;
}

const char *resultText(CUresult result) {
  switch (result) {
#define CUDASIM_RESULT(name, value, text)                                                                    \
  case name: return text;
    CUDASIM_RESULTS(CUDASIM_RESULT)
#undef CUDASIM_RESULT
  }
  return nullptr;
}

} // namespace cudasim

using namespace cudasim;

CUDASIM_API cuGetErrorName(CUresult error, const char **text) {
  if (!text)
    return CUDA_ERROR_INVALID_VALUE;
  *text = resultName(error);
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUDASIM_API cuGetErrorString(CUresult error, const char **text) {
  if (!text)
    return CUDA_ERROR_INVALID_VALUE;
  *text = resultText(error);
  return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
