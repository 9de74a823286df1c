#include "driver/cuda_report.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "codegen/cuda/cubin.h"
#include "codegen/cuda/estimate.h"
#include "codegen/cuda/module.h"
#include "codegen/cuda/program.h"

namespace gradc {
namespace {

std::string productName(const gradc_cuda_product &p) {
  return fmt::format("{} {}x{}x{}", p.epilogue == GRADC_CUDA_EPILOGUE_NONE ? "cublas" : "cublasLt", p.m, p.n,
                     p.k);
}

std::string reportRow(const CudaTarget &target, const CudaLaunch &launch, const CubinKernel &kernel) {
  const int blocks = residentBlocks(target, kernel, launch.threads, launch.sharedBytes);
  return fmt::format("{:>7} {:>7} {:>9} {:>5} {:>6} {:>5} {:>5} {:>5} {:>9} {:>8.0f}%  {}\n", launch.blocks,
                     launch.threads, kernel.registers, kernel.stackBytes,
                     kernel.sharedBytes + launch.sharedBytes, kernel.instructions, kernel.count({kSassFfma}),
                     kernel.count({kSassLds}), blocks, 100 * occupancy(target, blocks, launch.threads),
                     launch.name);
}

/// One that no block of can run, or that spills, says so: both are bugs of code generation.
std::string summary(const CudaTarget &target, const CudaModule &code,
                    const std::vector<CubinKernel> &kernels) {
  int64_t products = 0, stack = 0;
  int registers = 0;
  for (const CudaLaunch &launch : code.launches)
    products += launch.function.empty() ? 1 : 0;
  for (const CubinKernel &kernel : kernels) {
    stack += kernel.stackBytes;
    registers = std::max(registers, kernel.registers);
  }
  return fmt::format(
      "{}: {} launches, {} of them library calls; {} distinct kernels, at most {} registers, {} bytes of "
      "stack altogether\n",
      target.name(), code.launches.size(), products, kernels.size(), registers, stack);
}

} // namespace

StatusOr<std::string> cudaReport(const Module &module, const Function &fn, const CudaTarget &target) {
  const CudaModule code = emitCudaModule(module, fn, target);
  std::vector<CubinKernel> kernels;
  if (!code.texts.empty()) {
    StatusOr<std::string> cubin =
        compileCudaText(code.texts[0], target.architecture, CudaCodeForm::Cubin, nullptr);
    StatusOr<std::vector<CubinKernel>> read =
        cubin ? readCubin(*cubin) : StatusOr<std::vector<CubinKernel>>(std::unexpected(cubin.error()));
    if (!read)
      return std::unexpected(read.error());
    kernels = std::move(*read);
  }
  std::string text = fmt::format("@{} for {}", fn.name, summary(target, code, kernels));
  text += " blocks threads registers stack shared instr  ffma   lds blocks/SM occupancy  kernel\n";
  for (const CudaLaunch &launch : code.launches) {
    const auto kernel = std::ranges::find(kernels, launch.function, &CubinKernel::name);
    text += kernel == kernels.end()
                ? fmt::format("{:>80}  {} ({})\n", "", launch.name, productName(launch.product))
                : reportRow(target, launch, *kernel);
  }
  return text;
}

std::string cudaEstimatesJson(const Module &module, const Function &fn, const CudaTarget &target) {
  using Json = nlohmann::ordered_json;
  const CudaModule code = emitCudaModule(module, fn, target);
  Json launches = Json::array();
  for (const CudaLaunch &launch : code.launches) {
    const CudaEstimate estimate = estimateLaunch(target, launch);
    launches.push_back({{"name", launch.name},
                        {"function", launch.function},
                        {"blocks", launch.blocks},
                        {"flops", launch.flops},
                        {"bytes", launch.bytes},
                        {"us", estimate.seconds * 1e6},
                        {"bound_by", estimate.by}});
  }
  const Json object = {
      {"entry", fn.name}, {"card", target.card}, {"arch", target.name()}, {"launches", std::move(launches)}};
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string cudaLaunches(const Module &module, const Function &fn, const CudaTarget &target) {
  const CudaModule code = emitCudaModule(module, fn, target);
  std::string rows;
  for (const CudaLaunch &launch : code.launches)
    rows += launch.function.empty()
                ? fmt::format("  {:>24}  {} ({})\n", "", launch.name, productName(launch.product))
                : fmt::format("  {:>8} {:>7} {:>7}  {}\n", launch.blocks, launch.threads, launch.sharedBytes,
                              launch.name);
  const auto products = std::ranges::count(code.launches, "", &CudaLaunch::function);
  return fmt::format("launches of @{} for {}: {}, {} of them library calls; of {} kernels {} are distinct\n"
                     "    blocks threads  shared  kernels\n{}",
                     fn.name, target.name(), code.launches.size(), products, code.kernels, code.distinct,
                     rows);
}

std::string cudaEstimates(const Module &module, const Function &fn, const CudaTarget &target) {
  const CudaModule code = emitCudaModule(module, fn, target);
  std::string rows;
  double seconds = 0, flops = 0, bytes = 0;
  for (const CudaLaunch &launch : code.launches) {
    const CudaEstimate estimate = estimateLaunch(target, launch);
    rows += fmt::format("{:>10.2f} {:>10.2f} {:>10.3f} {:>8} {:>8}  {}\n", estimate.seconds * 1e6,
                        launch.flops * 1e-6, launch.bytes * 1e-6, launch.blocks, estimate.by, launch.name);
    seconds += estimate.seconds;
    flops += launch.flops;
    bytes += launch.bytes;
  }
  return fmt::format(
      "@{}: an estimate for {} ({}), not a measurement: {} launches, {:.1f} us, {:.1f} MFLOP, {:.2f} MB\n"
      "        us      MFLOP         MB   blocks bound by  kernel\n{}",
      fn.name, target.card, target.name(), code.launches.size(), seconds * 1e6, flops * 1e-6, bytes * 1e-6,
      rows);
}

} // namespace gradc
