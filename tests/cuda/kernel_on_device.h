// Runs one kernel on the simulated device, and on this processor.
#pragma once

#include <cstring>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "codegen/cuda/kernel.h"
#include "codegen/cuda/nvrtc.h"
#include "codegen/cuda/prelude.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "machine/machine.h"
#include "passes/pass.h"
#include "tests/support/kernel_runner.h"

namespace gradc::testing {

/// The module after passes; its first op is a kernel.
inline Module modulePassed(const std::string &text, const std::string &passes) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "kernel.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  Result<Pipeline> pipeline = parsePipeline(passes, diag);
  EXPECT_TRUE(pipeline) << diag.render();
  EXPECT_TRUE(PassManager({}).run(*module, *pipeline, diag)) << diag.render();
  return std::move(*module);
}

/// One program: the prelude, the steps' functions, and a launch of each of them.
inline std::string programText(const CudaKernelCode &code, const CudaTarget &target) {
  std::string functions;
  for (const CudaStep &step : code.steps) {
    const size_t open = step.text.find("unsigned char *shared") + std::strlen("unsigned char *shared");
    const std::string parameters = step.text.substr(open, step.text.find(") {", open) - open);
    std::string names;
    for (size_t at = parameters.find('*'); at != std::string::npos; at = parameters.find('*', at + 1))
      names += ", " + parameters.substr(at + 1, parameters.find(',', at) - at - 1);
    functions += step.text;
    functions += fmt::format("extern \"C\" __global__ void {0} launch_{1}({2}) {{\n"
                             "  extern __shared__ __align__(16) unsigned char shared[];\n"
                             "  {1}(int(blockIdx.x), shared{3});\n}}\n",
                             cudaLaunchBounds(target, step.threads, step.blocks, step.readsAhead),
                             step.symbol, parameters.substr(2), names);
  }
  return cudaPrelude(functions) + functions;
}

struct DeviceRun {
  std::vector<Tensor> results;
  std::vector<cudasim::Counters> counters; // of each step
};

inline DeviceRun runOnDevice(const Module &module, int architecture, const std::vector<Tensor> &arguments,
                             uint64_t seed = 1) {
  const Function &fn = *module.functions[0];
  const OpId kernel = fn.body().ops[0];
  const CudaTarget target = *parseCudaTarget(fmt::format("sm_{}", architecture));
  const CudaKernelCode code = emitCudaKernel(fn, kernel, target, "kernel");
  const std::string text = programText(code, target);
  StatusOr<CudaCode> ptx = (*Nvrtc::load())->compile(text, "kernel.cu", architecture, CudaCodeForm::Ptx);
  DeviceRun run;
  if (!ptx) {
    ADD_FAILURE() << ptx.error().text << "\n" << text;
    return run;
  }
  EXPECT_EQ(ptx->log, "") << text;
  const cudasim::DeviceProfile &profile = *cudasim::findProfile(target.name());
  cudasim::Memory memory;
  auto loaded = cudasim::Module::load(std::string_view(ptx->bytes.c_str()), memory, &profile);
  if (!loaded) {
    ADD_FAILURE() << loaded.error().text << "\n" << text;
    return run;
  }
  std::vector<void *> buffers;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Type &type = fn.type(fn.body().args[i]);
    buffers.push_back(memory.allocate(storageBytes(type)));
    toStorage(arguments[i], type,
              {static_cast<std::byte *>(buffers.back()), static_cast<size_t>(storageBytes(type))});
    memory.markWritten(buffers.back(), storageBytes(type));
  }
  for (ValueId value : fn.body().yields)
    buffers.push_back(memory.allocate(storageBytes(fn.type(value))));
  for (int64_t bytes : {code.workspaceBytes, code.partialBytes})
    buffers.push_back(memory.allocate(std::max<int64_t>(bytes, 1)));
  for (const CudaStep &step : code.steps) {
    cudasim::Launch launch{.kernel = (*loaded)->kernel("launch_" + step.symbol),
                           .grid = {static_cast<uint32_t>(step.blocks), 1, 1},
                           .block = {static_cast<uint32_t>(step.threads), 1, 1},
                           .sharedBytes = static_cast<uint32_t>(step.sharedBytes),
                           .maxSharedBytes = step.sharedBytes,
                           .parameters = {}};
    for (int buffer : step.buffers)
      launch.parameters.insert(
          launch.parameters.end(), reinterpret_cast<std::byte *>(&buffers[static_cast<size_t>(buffer)]),
          reinterpret_cast<std::byte *>(&buffers[static_cast<size_t>(buffer)]) + sizeof(void *));
    auto counters = cudasim::run(launch, memory, profile, {.seed = seed});
    if (!counters) {
      ADD_FAILURE() << counters.error().text << "\n" << text;
      return run;
    }
    run.counters.push_back(*counters);
  }
  for (size_t i = 0; i < fn.body().yields.size(); ++i) {
    const Type &type = fn.type(fn.body().yields[i]);
    run.results.push_back(fromStorage(
        {static_cast<std::byte *>(buffers[arguments.size() + i]), static_cast<size_t>(storageBytes(type))},
        type));
  }
  return run;
}

/// Numbers of any size in -1 .. 1, the same for the same seed.
inline Tensor randomTensor(const Type &type, uint32_t seed) {
  Tensor tensor(type);
  for (int64_t i = 0; i < type.elements(); ++i) {
    seed = seed * 1664525 + 1013904223;
    tensor.set(i, static_cast<double>(seed >> 8) / (1 << 23) - 1);
  }
  return tensor;
}

} // namespace gradc::testing
