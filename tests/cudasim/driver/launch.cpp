// From the arguments of a launch to a launch of the machine, with the documented checks.
#include <cstring>

#include <fmt/format.h>

#include "driver/module.h"

namespace cudasim {
namespace {

/// Why a call was refused goes to the log only: the API gives just a number.
CUresult refuse(Driver &driver, const Function &function, CUresult code, std::string_view why) {
  driver.log.write("refused", fmt::format(R"("kernel": {}, "code": {}, "why": {})", quoted(function.name),
                                          int(code), quoted(why)));
  return code;
}

/// `extra` is a list of keys and values that gives all parameters as one buffer.
CUresult parametersFromBuffer(void **extra, std::vector<std::byte> &parameters) {
  const void *buffer = nullptr;
  size_t bytes = 0;
  for (; reinterpret_cast<uintptr_t>(*extra) != CU_LAUNCH_PARAM_END; extra += 2)
    switch (reinterpret_cast<uintptr_t>(*extra)) {
    case CU_LAUNCH_PARAM_BUFFER_POINTER: buffer = extra[1]; break;
    case CU_LAUNCH_PARAM_BUFFER_SIZE: bytes = *static_cast<const size_t *>(extra[1]); break;
    default: return CUDA_ERROR_INVALID_VALUE;
    }
  if (!buffer || bytes != parameters.size())
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(parameters.data(), buffer, bytes);
  return CUDA_SUCCESS;
}

CUresult readParameters(const Kernel &kernel, void **pointers, void **extra,
                        std::vector<std::byte> &parameters) {
  parameters.assign(size_t(kernel.parameterBytes), std::byte{0});
  if (pointers && extra)
    return CUDA_ERROR_INVALID_VALUE;
  if (kernel.parameters.empty())
    return CUDA_SUCCESS;
  if (extra)
    return parametersFromBuffer(extra, parameters);
  if (!pointers)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t index = 0; index < kernel.parameters.size(); ++index) {
    auto [offset, bytes] = kernel.parameters[index];
    if (!pointers[index])
      return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(parameters.data() + offset, pointers[index], size_t(bytes));
  }
  return CUDA_SUCCESS;
}

} // namespace

CUresult makeLaunch(Driver &driver, Context &context, const CUDA_KERNEL_NODE_PARAMS &asked,
                    KernelLaunch &made) {
  made.function = find(driver.functions, context, asked.func);
  if (!made.function)
    return CUDA_ERROR_INVALID_HANDLE;
  const Function &function = *made.function;
  Launch &launch = made.launch;
  launch.kernel = function.kernel;
  launch.grid = {asked.gridDimX, asked.gridDimY, asked.gridDimZ};
  launch.block = {asked.blockDimX, asked.blockDimY, asked.blockDimZ};
  launch.sharedBytes = asked.sharedMemBytes;
  launch.maxSharedBytes = function.dynamicSharedLimit(*driver.profile);
  launch.registers = function.registers;
  if (readParameters(*function.kernel, asked.kernelParams, asked.extra, launch.parameters) != CUDA_SUCCESS)
    return refuse(driver, function, CUDA_ERROR_INVALID_VALUE, "the parameters are not those of the kernel");
  if (std::optional<Fault> fault = checkLaunch(launch, *driver.profile))
    return refuse(driver, function, CUresult(fault->code), fault->text);
  return CUDA_SUCCESS;
}

std::optional<Failure> runKernel(Driver &driver, Context &context, const KernelLaunch &kernel,
                                 uint64_t replay) {
  Options options = driver.options;
  if (options.seed != 0)
    options.seed += driver.launches; // each launch in another order
  auto counters = run(kernel.launch, *driver.memory, *driver.profile, options);
  if (!counters)
    return Failure{CUresult(counters.error().code), counters.error().text};
  context.clock += 1e-3 + double(counters->warpInstructions) * 1e-6;
  if (driver.log.on())
    driver.log.write("launch",
                     fmt::format(R"("replay": {}, "counters": {})", replay, counters->json(kernel.launch)));
  return std::nullopt;
}

} // namespace cudasim
