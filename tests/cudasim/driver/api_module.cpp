// The driver API: modules and the names in them.
#include <cstring>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "driver/capture.h"
#include "driver/execute.h"
#include "driver/module.h"

using namespace cudasim;

namespace {

/// The log buffers of a call; a buffer's size is given, and the bytes written are returned, as the value of an option.
struct JitLogs {
  struct Buffer {
    char *text = nullptr;
    void **size = nullptr;

    void write(std::string_view message) const {
      if (!text || !size || *size == nullptr)
        return;
      size_t room =
          reinterpret_cast<uintptr_t>(*size) & 0xffffffff; // an unsigned int in the place of a pointer
      size_t bytes = std::min(room - 1, message.size());
      std::memcpy(text, message.data(), bytes);
      text[bytes] = 0;
      *size = reinterpret_cast<void *>(message.empty() ? 0 : bytes + 1);
    }
  };
  Buffer error, info;
};

CUresult readOptions(unsigned count, const CUjit_option *options, void **values, JitLogs &logs) {
  if (count != 0 && (!options || !values))
    return CUDA_ERROR_INVALID_VALUE;
  for (unsigned index = 0; index < count; ++index)
    switch (options[index]) {
    case CU_JIT_ERROR_LOG_BUFFER: logs.error.text = static_cast<char *>(values[index]); break;
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES: logs.error.size = &values[index]; break;
    case CU_JIT_INFO_LOG_BUFFER: logs.info.text = static_cast<char *>(values[index]); break;
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES: logs.info.size = &values[index]; break;
    default:
      if (options[index] < 0 || options[index] >= CU_JIT_NUM_OPTIONS)
        return CUDA_ERROR_INVALID_VALUE; // others change speed only
    }
  return CUDA_SUCCESS;
}

CUresult load(CUmodule *module, const void *data, unsigned count, const CUjit_option *options,
              void **values) {
  return callInContext([&](Driver &driver, Context &context) {
    JitLogs logs;
    if (!module || !data)
      return CUDA_ERROR_INVALID_VALUE;
    if (CUresult refused = refuseUnsafe(context); refused != CUDA_SUCCESS)
      return refused;
    if (CUresult bad = readOptions(count, options, values, logs); bad != CUDA_SUCCESS)
      return bad;
    auto image = loadImage(driver, data);
    logs.error.write(image ? "" : image.error().text);
    logs.info.write("");
    if (!image) {
      report(fmt::format("cudasim: a module was refused: {}", image.error().text));
      return image.error().code;
    }
    std::shared_ptr<LoadedModule> loaded = driver.modules.add(std::make_shared<LoadedModule>());
    loaded->context = &context;
    loaded->image = *image;
    *module = loaded->handle<CUmodule>();
    return CUDA_SUCCESS;
  });
}

} // namespace

CUDASIM_API cuModuleLoadData(CUmodule *module, const void *image) {
  return load(module, image, 0, nullptr, nullptr);
}

CUDASIM_API cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options,
                               void **values) {
  return load(module, image, count, options, values);
}

CUDASIM_API cuModuleLoad(CUmodule *module, const char *path) {
  if (!path)
    return CUDA_ERROR_INVALID_VALUE;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return CUDA_ERROR_FILE_NOT_FOUND;
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return load(module, std::move(bytes).str().c_str(), 0, nullptr, nullptr);
}

CUDASIM_API cuModuleUnload(CUmodule handle) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<LoadedModule> module = find(driver.modules, context, handle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    if (CUresult refused = refuseUnsafe(context); refused != CUDA_SUCCESS)
      return refused;
    if (CUresult failed = runAll(driver, context); failed != CUDA_SUCCESS)
      return failed;
    for (const auto &[name, function] : module->functions)
      driver.functions.remove(*function);
    driver.modules.remove(*module);
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuModuleGetFunction(CUfunction *handle, CUmodule moduleHandle, const char *name) {
  return callInContext([&](Driver &driver, Context &context) {
    if (!handle || !name)
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<LoadedModule> module = find(driver.modules, context, moduleHandle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    auto found = module->functions.find(name);
    if (found == module->functions.end()) {
      const Kernel *kernel = module->image->module->kernel(name);
      if (!kernel)
        return CUDA_ERROR_NOT_FOUND;
      auto function = driver.functions.add(std::make_shared<Function>());
      function->context = &context;
      function->name = name;
      function->image = module->image;
      function->kernel = kernel;
      auto registers = module->image->facts.registers.find(name);
      function->registers = registers == module->image->facts.registers.end() ? 0 : registers->second;
      found = module->functions.emplace(name, function).first;
    }
    *handle = found->second->handle<CUfunction>();
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuModuleGetFunctionCount(unsigned *count, CUmodule handle) {
  return callInContext([&](Driver &driver, Context &context) {
    std::shared_ptr<LoadedModule> module = find(driver.modules, context, handle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!count)
      return CUDA_ERROR_INVALID_VALUE;
    *count = unsigned(module->image->module->kernels().size());
    return CUDA_SUCCESS;
  });
}

CUDASIM_API cuModuleGetGlobal_v2(CUdeviceptr *pointer, size_t *bytes, CUmodule handle, const char *name) {
  return callInContext([&](Driver &driver, Context &context) {
    if (!name)
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<LoadedModule> module = find(driver.modules, context, handle);
    if (!module)
      return CUDA_ERROR_INVALID_HANDLE;
    auto [address, size] = module->image->module->global(name);
    if (!address)
      return CUDA_ERROR_NOT_FOUND;
    if (pointer)
      *pointer = reinterpret_cast<CUdeviceptr>(address);
    if (bytes)
      *bytes = size_t(size);
    return CUDA_SUCCESS;
  });
}
