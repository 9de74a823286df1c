#include "runtime/cuda/executor.h"

#include <algorithm>

#include <fmt/format.h>

#include "runtime/cuda/fitness.h"
#include "runtime/packed.h"
#include "support/check.h"

namespace gradc::cuda {
namespace {

constexpr int kMaxDynamicSharedBytes = 8;        // CUfunction_attribute
constexpr uint32_t kSharedByDefault = 48 << 10;  // more must be asked for
constexpr int kErrorLog = 5, kErrorLogBytes = 6; // CUjit_option

const gradc_cuda_image *chooseImage(const gradc_cuda_program &program, int part, int architecture) {
  const gradc_cuda_image *best = nullptr;
  int bestFitness = 0;
  for (int64_t i = 0; i < program.num_images; ++i) {
    const gradc_cuda_image &image = program.images[i];
    const int here = image.part == part ? fitness(image.architecture, image.is_ptx != 0, architecture) : 0;
    if (here > bestFitness)
      best = &image;
    bestFitness = std::max(bestFitness, here);
  }
  return best;
}

/// Empty where the code is not packed.
std::string unpackedCode(const gradc_cuda_image &image) {
  if (image.packed_bytes == 0)
    return "";
  std::string code = unpack({static_cast<const char *>(image.data), static_cast<size_t>(image.packed_bytes)},
                            static_cast<size_t>(image.bytes));
  CHECK(!code.empty(), "the code for sm_{} is damaged", image.architecture);
  return code;
}

} // namespace

bool hasProducts(const gradc_cuda_program &program) {
  return std::any_of(program.steps, program.steps + program.table.num_steps,
                     [](const gradc_cuda_step &step) { return step.kernel == nullptr; });
}

Executor::Executor(const Context &context, const gradc_cuda_program &program)
    : context_(context), program_(program), vars_(static_cast<size_t>(program.table.num_vars)),
      args_(static_cast<size_t>(program.table.num_args)),
      results_(static_cast<size_t>(program.table.num_results)),
      functions_(static_cast<size_t>(program.table.num_steps)),
      products_(static_cast<size_t>(program.table.num_steps)) {}

StatusOr<std::unique_ptr<Executor>> Executor::make(const Context &context, Blas *blas,
                                                   const gradc_cuda_program &program) {
  std::unique_ptr<Executor> executor(new Executor(context, program));
  if (Status loaded = executor->load(blas); !loaded.ok())
    return std::unexpected(loaded);
  return executor;
}

Status Executor::load(Blas *blas) {
  if (Status loaded = loadImages(); !loaded.ok())
    return loaded;
  for (int64_t i = 0; i < program_.table.num_steps; ++i)
    if (Status ready = prepareStep(i, blas); !ready.ok())
      return ready;
  return okStatus();
}

Status Executor::loadImages() {
  int parts = 0;
  for (int64_t i = 0; i < program_.num_images; ++i)
    parts = std::max(parts, program_.images[i].part + 1);
  for (int part = 0; part < parts; ++part)
    if (Status loaded = loadImage(part); !loaded.ok())
      return loaded;
  return okStatus();
}

Status Executor::loadImage(int part) {
  const gradc_cuda_image *image = chooseImage(program_, part, context_.architecture());
  if (!image)
    return {ExitCode::Device,
            fmt::format("program '{}' has no code for sm_{} of cuda:{} ({})", program_.table.name,
                        context_.architecture(), context_.index(), context_.name())};
  const Driver &driver = context_.driver();
  const auto tooOld = [&](const std::string &why) {
    return Status{
        ExitCode::Device,
        fmt::format("the CUDA driver, for CUDA {}, is too old for code of CUDA {}.{}{}: take a newer "
                    "driver, or code by the NVRTC of an older toolkit (CUDA_PATH)",
                    driver.versionText(), image->toolkit / 1000, image->toolkit % 1000 / 10, why)};
  };
  if (driver.version / 1000 < image->toolkit / 1000)
    return tooOld("");
  const std::string unpacked = unpackedCode(*image);
  char log[4096] = {};
  int options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  ModuleHandle module = nullptr;
  const Code code =
      driver.moduleLoadDataEx(&module, unpacked.empty() ? image->data : unpacked.data(), 2, options, values);
  if (code == kUnsupportedPtxVersion || code == kNoBinaryForGpu)
    return tooOld(fmt::format(" ({})", driver.describe(code)));
  Status loaded = context_.check(code, "loading kernels");
  if (!loaded.ok() && log[0] != 0)
    loaded.text += fmt::format("\n{}", log);
  modules_.emplace_back(context_, module);
  return loaded;
}

Status Executor::prepareStep(int64_t i, Blas *blas) {
  const gradc_cuda_step &step = program_.steps[i];
  const auto at = static_cast<size_t>(i);
  if (!step.kernel) {
    CHECK(blas, "program '{}' has products", program_.table.name);
    StatusOr<std::unique_ptr<Blas::Product>> product = blas->prepare(step.product);
    if (!product)
      return product.error();
    products_[at] = std::move(*product);
    return okStatus();
  }
  Code code = context_.driver().moduleGetFunction(
      &functions_[at], modules_[static_cast<size_t>(step.part)].get(), step.kernel);
  if (code == kSuccess && step.shared_bytes > kSharedByDefault)
    code = context_.driver().funcSetAttribute(functions_[at], kMaxDynamicSharedBytes,
                                              static_cast<int>(step.shared_bytes));
  return context_.check(code, "finding a kernel");
}

Address Executor::resolve(const gradc_ref &ref) const {
  Address base = 0;
  const auto index = static_cast<size_t>(ref.index);
  switch (static_cast<gradc_space>(ref.space)) {
  case GRADC_SPACE_ARENA: base = arena_; break;
  case GRADC_SPACE_VAR: base = vars_[index]; break;
  case GRADC_SPACE_ARGUMENT: base = args_[index]; break;
  case GRADC_SPACE_RESULT: base = results_[index]; break;
  case GRADC_SPACE_CONSTANT: break; // constants are in the code
  }
  CHECK(base, "program '{}': buffer {} of space {} is not bound", program_.table.name, ref.index, ref.space);
  return base + static_cast<Address>(ref.offset);
}

Status Executor::enqueue(int64_t i, StreamHandle stream) {
  const gradc_step &entry = program_.table.steps[i];
  const gradc_cuda_step &step = program_.steps[i];
  std::vector<Address> addresses;
  for (int32_t r = 0; r < entry.num_refs; ++r)
    addresses.push_back(resolve(program_.table.refs[entry.first_ref + r]));
  if (!step.kernel)
    return products_[static_cast<size_t>(i)]->run(addresses, stream);
  std::vector<void *> parameters;
  for (Address &address : addresses)
    parameters.push_back(&address);
  return context_.check(context_.driver().launchKernel(functions_[static_cast<size_t>(i)], step.blocks, 1, 1,
                                                       step.threads, 1, 1, step.shared_bytes, stream,
                                                       parameters.data(), nullptr),
                        "launching a kernel");
}

Status Executor::enqueueAll(StreamHandle stream) {
  for (int64_t i = 0; i < program_.table.num_steps; ++i)
    if (Status launched = enqueue(i, stream); !launched.ok())
      return launched;
  return okStatus();
}

} // namespace gradc::cuda
