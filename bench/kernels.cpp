// Speed of contraction kernels alone, one thread, as a share of the processor's peak of multiply-adds measured in
// the same run:   gradc_bench_kernels [PROCESSOR [FILTER [ROWSxVECTORS]]]
#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include <sys/mman.h>

#include "codegen/cpu/contract/contract_plan.h"
#include "codegen/cpu/kernel.h"
#include "codegen/cpu/peaks.h"
#include "ir/layout.h"
#include "ir/text.h"
#include "ir/winograd.h"
#include "support/tiling.h"
#include "tests/support/kernel_jit.h"

namespace gradc::bench {
namespace {

/// Best of several batches, seconds per call.
double bestOf(const std::function<void()> &f) {
  f();
  double start = testing::threadSeconds();
  f();
  const int calls = std::max(1, static_cast<int>(0.001 / std::max(1e-7, (testing::threadSeconds() - start))));
  double best = 1e9;
  for (int round = 0; round < 30 && best * round * calls < 0.5; ++round) {
    start = testing::threadSeconds();
    for (int i = 0; i < calls; ++i)
      f();
    best = std::min(best, (testing::threadSeconds() - start) / calls);
  }
  return best;
}

/// What the processor can do at most.
double peakGflops(const CpuTarget &target) {
  StatusOr<PeakKernels> peaks = PeakKernels::make(target);
  CHECK(peaks.has_value());
  alignas(64) float memory[16] = {};
  void *buffers[] = {memory};
  constexpr int64_t kSteps = 100000;
  return peaks->operations * kSteps / bestOf([&] { peaks->multiplyAdds(nullptr, buffers, 0, kSteps); }) *
         1e-9;
}

struct Options {
  CpuTarget target;
  std::string filter;
  RegisterTile tile{0, 0};
  double peak = 0;
};

struct Case {
  std::string name;
  double flops;
  std::string op; // the contraction of %p0 and %p1, type in `sum`
  std::string sum;
  std::vector<std::string> args; // types of the region's arguments
  std::string epilogue, yields, results;
  bool winograd = false;
};

std::string text(const Case &c) {
  std::string values, args, region;
  for (size_t i = 0; i < c.args.size(); ++i) {
    const char *comma = i ? ", " : "";
    values += fmt::format("{}%a{}", comma, i);
    args += fmt::format("{}%a{}: {}", comma, i, c.args[i]);
    region += fmt::format("{}%p{}: {}", comma, i, c.args[i]);
  }
  const std::string names =
      c.results.find(',', c.results.find(']')) == std::string::npos ? "%r0" : "%r0, %r1";
  return fmt::format("func @f({0}) -> ({1}) {{\n  {2} = kernel({3}) {{kind = contract}} {{ ^({4}):\n"
                     "    %c = {5} : {6}\n{7}    yield {8}\n  }} : {1}\n  return {2}\n}}\n",
                     args, c.results, names, values, region, c.op, c.sum, c.epilogue, c.yields);
}

/// In huge pages where it is large, as the runtime allocates.
float *allocate(int64_t bytes) {
  constexpr int64_t kHugePage = 2 << 20;
  const int64_t unit = bytes >= kHugePage ? kHugePage : 64, rounded = (bytes / unit + 1) * unit;
  auto *data = static_cast<float *>(std::aligned_alloc(unit, rounded));
  if (unit == kHugePage)
    (void)madvise(data, rounded, MADV_HUGEPAGE);
  // Without a pattern that products would sum up to what no network has, as arguments of the error function.
  for (int64_t i = 0; i < bytes / 4; ++i) {
    uint32_t hash = static_cast<uint32_t>(i) * 2654435761u;
    hash = (hash ^ hash >> 15) * 2246822519u;
    data[i] = static_cast<float>(hash >> 16 & 0xff) / 256.f - .5f;
  }
  return data;
}

void run(const Options &options, const Case &c) {
  if (c.name.find(options.filter) == std::string::npos)
    return;
  Diagnostics diag;
  Result<Module> module = parseModule(text(c), "bench", diag);
  CHECK(module.has_value(), "{}\n{}", diag.render(), text(c));
  Function &fn = *module->functions[0];
  const OpId kernel = fn.body().ops[0];
  const OpId contraction = findContraction(fn, fn[kernel].regions[0]);
  const ContractionShape shape =
      c.winograd ? winogradShape(fn, contraction) : contractionShape(fn, contraction);
  const VectorUnit unit{options.target.vectorRegisters, options.target.vectorBits};
  const RegisterTile tile = options.tile.rows ? options.tile : chooseTile(shape, unit);
  fn[kernel].attrs.set("schedule", Dict{{"algorithm", Keyword{c.winograd ? "winograd" : "direct"}},
                                        {"tile", std::vector<int64_t>{tile.rows, tile.vectors}}});

  KernelCode code;
  testing::KernelJit jit(options.target, [&](Emit &e) {
    KernelContext context{e, fn, kernel, "k"};
    code = emitContract(context);
  });
  std::vector<void *> buffers;
  for (ValueId arg : fn.body().args)
    buffers.push_back(allocate(storageBytes(fn.type(arg))));
  std::vector<void *> owned = buffers;
  for (size_t i = 0; i < fn[kernel].results.size(); ++i) {
    // The optimiser's results lie over its operands, as plan-memory places them.
    const Type &type = fn.type(fn[kernel].results[i]);
    const bool donated = fn[kernel].results.size() > 1 && 2 + i < fn.body().args.size() &&
                         fn.type(fn.body().args[2 + i]) == type;
    if (!donated)
      owned.push_back(allocate(storageBytes(type)));
    buffers.push_back(donated ? buffers[2 + i] : owned.back());
  }
  buffers.push_back(allocate(code.workspaceBytes));
  int64_t scratch = 0, items = 0;
  for (const KernelStep &step : code.steps) {
    scratch = std::max(scratch, step.scratchBytes);
    items = std::max(items, step.items);
  }
  constexpr int64_t kScratch = 2 << 20; // at least: one serves all kernels of a program, in huge pages
  const gradc_ctx ctx{allocate(std::max(scratch, kScratch))};
  std::vector<gradc_kernel> kernels;
  for (const KernelStep &step : code.steps)
    kernels.push_back(jit.kernel(step.symbol));
  const double time = bestOf([&] {
    for (size_t i = 0; i < kernels.size(); ++i)
      kernels[i](&ctx, buffers.data(), 0, code.steps[i].items);
  });
  std::printf("%-40s %2dx%d %4ld items %8.2f us %7.1f GF/s %5.1f %%  compile %4.1f ms\n", c.name.c_str(),
              tile.rows, tile.vectors, static_cast<long>(items), time * 1e6, c.flops / time / 1e9,
              100 * c.flops / time / 1e9 / options.peak, jit.milliseconds);
  std::fflush(stdout);
  owned.push_back(buffers.back());
  for (void *buffer : owned)
    std::free(buffer);
  std::free(ctx.scratch);
}

/// Bias and relu, as fusion leaves them.
std::string biasRelu(const std::string &type, const std::string &dims) {
  return fmt::format("    %e = broadcast(%p2) {{axes = [1], shape = {1}}} : {0}\n    %d = add(%c, %e) : {0}\n"
                     "    %r = relu(%d) : {0}\n",
                     type, dims);
}

/// w -= lr·(μ·v + g): the step of SGD with momentum.
std::string update(const std::string &type, const std::string &dims) {
  return fmt::format("    %m = broadcast(%p4) {{axes = [], shape = {1}}} : {0}\n    %n = mul(%p3, %m) : {0}\n"
                     "    %v = add(%n, %c) : {0}\n    %l = broadcast(%p5) {{axes = [], shape = {1}}} : {0}\n"
                     "    %s = mul(%v, %l) : {0}\n    %w = sub(%p2, %s) : {0}\n",
                     type, dims);
}

/// `packed`: weights in n16.
void dense(const Options &options, const char *model, int64_t n, int64_t in, int64_t out,
           bool packed = false) {
  const double flops = 2.0 * n * in * out;
  const std::string name = fmt::format("{} dense {}x{}x{}{}", model, n, in, out, packed ? " packed" : "");
  const std::string x = fmt::format("f32[{},{}]<n16>", n, in), y = fmt::format("f32[{},{}]<n16>", n, out);
  const std::string wDims = fmt::format("[{},{}]", out, in), w = "f32" + wDims + (packed ? "<n16>" : "");
  const std::string gradX = packed ? x : fmt::format("f32[{},{}]", n, in);
  run(options, {name + " fwd+bias+relu",
                flops,
                "matmul(%p0, %p1) {transpose_b = true}",
                y,
                {x, w, fmt::format("f32[{}]", out)},
                biasRelu(y, fmt::format("[{},{}]", n, out)),
                "%r",
                y});
  run(options, {name + " dX", flops, "matmul(%p0, %p1)", x, {y, w}, "", "%c", x});
  run(options, {name + " dW", flops, "matmul(%p0, %p1) {transpose_a = true}", w, {y, gradX}, "", "%c", w});
  run(options, {name + " dW+sgd",
                flops,
                "matmul(%p0, %p1) {transpose_a = true}",
                w,
                {y, gradX, w, w, "f32[]", "f32[]"},
                update(w, wDims),
                "%w, %v",
                w + ", " + w});
}

/// Row-major products of large matrices: AB, ABᵀ, AᵀB.
void products(const Options &options, int64_t m, int64_t n, int64_t k) {
  const double flops = 2.0 * m * n * k;
  auto matrix = [](int64_t rows, int64_t columns) { return fmt::format("f32[{},{}]", rows, columns); };
  const std::string size = fmt::format(" {}x{}x{}", m, n, k), y = matrix(m, n);
  auto product = [&](const char *name, const char *attrs, const std::string &a, const std::string &b) {
    run(options, {name + size, flops, fmt::format("matmul(%p0, %p1) {{{}}}", attrs), y, {a, b}, "", "%c", y});
  };
  product("product AB", "", matrix(m, k), matrix(k, n));
  product("product ABt", "transpose_b = true", matrix(m, k), matrix(n, k));
  product("product AtB", "transpose_a = true", matrix(k, m), matrix(k, n));
}

/// A layer on tokens: bias and GELU, whose gradient needs what it was applied to.
void tokens(const Options &options, int64_t m, int64_t n, int64_t k) {
  const std::string y = fmt::format("f32[{},{}]", m, n);
  const std::string bias = fmt::format(
      "    %e = broadcast(%p2) {{axes = [1], shape = [{1},{2}]}} : {0}\n    %d = add(%c, %e) : {0}\n", y, m,
      n);
  auto layer = [&](const char *name, const std::string &epilogue, const char *yields,
                   const std::string &results) {
    run(options,
        {fmt::format("tokens {} {}x{}x{}", name, m, n, k),
         2.0 * m * n * k,
         "matmul(%p0, %p1) {transpose_b = true}",
         y,
         {fmt::format("f32[{},{}]", m, k), fmt::format("f32[{},{}]", n, k), fmt::format("f32[{}]", n)},
         epilogue,
         yields,
         results});
  };
  layer("bias", bias, "%d", y);
  layer("bias+gelu", bias + fmt::format("    %g = gelu(%d) : {}\n", y), "%g", y);
  layer("bias, gelu", bias + fmt::format("    %g = gelu(%d) : {}\n", y), "%d, %g", y + ", " + y);
}

struct Conv {
  const char *model;
  int64_t n, in, out, size, kernel, padding, stride = 1;
};

void conv(const Options &options, const Conv &c) {
  const int64_t o = (c.size + 2 * c.padding - c.kernel) / c.stride + 1;
  const double flops = 2.0 * c.n * c.out * o * o * c.in * c.kernel * c.kernel;
  const std::string name = fmt::format("{} conv {}x{} {}->{} {}x{}/{}", c.model, c.kernel, c.kernel, c.in,
                                       c.out, c.size, c.size, c.stride);
  const std::string x = fmt::format("f32[{},{},{},{}]<n16>", c.n, c.in, c.size, c.size);
  const std::string yDims = fmt::format("[{},{},{},{}]", c.n, c.out, o, o), y = "f32" + yDims + "<n16>";
  const std::string wDims = fmt::format("[{},{},{},{}]", c.out, c.in, c.kernel, c.kernel), w = "f32" + wDims;
  const std::string attrs =
      fmt::format("stride = [{0},{0}], padding = [{1},{1},{1},{1}]}}", c.stride, c.padding);
  auto both = [&](Case direct) {
    run(options, direct);
    if (!Winograd::ofKernel(c.kernel).isValid() || c.stride != 1)
      return;
    direct.name += " winograd";
    direct.winograd = true;
    run(options, direct);
  };
  both({name + " fwd+bias+relu",
        flops,
        "conv2d(%p0, %p1) {" + attrs,
        y,
        {x, w, fmt::format("f32[{}]", c.out)},
        biasRelu(y, yDims),
        "%r",
        y});
  both({name + " dX",
        flops,
        fmt::format("conv2d_grad_input(%p0, %p1) {{input = [{0},{0}], {1}", c.size, attrs),
        x,
        {y, w},
        "",
        "%c",
        x});
  both({name + " dW+sgd",
        flops,
        fmt::format("conv2d_grad_weight(%p0, %p1) {{kernel = [{0},{0}], {1}", c.kernel, attrs),
        w,
        {x, y, w, w, "f32[]", "f32[]"},
        update(w, wDims),
        "%w, %v",
        w + ", " + w});
}

int runAll(int argc, char **argv) {
  auto target = parseCpuTarget(argc > 1 ? argv[1] : "native");
  if (!target) {
    std::fprintf(stderr, "error: %s\n", target.error().text.c_str());
    return static_cast<int>(target.error().code);
  }
  Options options{*target, argc > 2 ? argv[2] : ""};
  if (argc > 3)
    std::sscanf(argv[3], "%dx%d", &options.tile.rows, &options.tile.vectors);
  options.peak = peakGflops(*target);
  std::printf("%s: peak %.1f GFLOP/s\n", target->name.c_str(), options.peak);
  for (auto [in, out] : {std::pair{784, 512}, {512, 512}, {512, 10}})
    dense(options, "mlp", 64, in, out);
  for (auto [in, out] : {std::pair{400, 120}, {120, 84}, {84, 10}})
    dense(options, "lenet5", 64, in, out);
  for (auto [in, out] : {std::pair{800, 500}, {500, 10}})
    dense(options, "caffe", 64, in, out);
  for (bool packed : {false, true})
    for (auto [n, in, out] : {std::array{16, 9216, 4096}, {16, 4096, 4096}, {32, 9216, 4096}})
      dense(options, "alexnet", n, in, out, packed);
  dense(options, "cifar", 64, 8192, 256);
  for (const auto [n, in, out] : {std::array{128, 1024, 1024}, {256, 4096, 4096}, {1024, 1024, 1024}})
    dense(options, "large", n, in, out);
  for (const auto [m, n, k] : {std::array{64, 512, 784},
                               {64, 512, 512},
                               {64, 256, 8192},
                               {128, 1024, 1024},
                               {256, 4096, 4096},
                               {1024, 1024, 1024},
                               {32, 4096, 9216},
                               {16, 4096, 9216},
                               {8192, 256, 256},
                               {8192, 1024, 256},
                               {8192, 256, 1024},
                               {1024, 256, 8192},
                               {256, 1024, 8192},
                               {256, 256, 8192}})
    products(options, m, n, k);
  tokens(options, 8192, 1024, 256);
  for (const Conv &c : {Conv{"lenet5", 64, 1, 6, 28, 5, 2},    {"lenet5", 64, 6, 16, 14, 5, 0},
                        {"caffe", 64, 1, 20, 28, 5, 0},        {"caffe", 64, 20, 50, 12, 5, 0},
                        {"cifar", 64, 3, 64, 32, 3, 1},        {"cifar", 64, 64, 64, 32, 3, 1},
                        {"cifar", 64, 64, 128, 16, 3, 1},      {"cifar", 64, 128, 128, 16, 3, 1},
                        {"alexnet", 16, 3, 64, 224, 11, 2, 4}, {"alexnet", 16, 64, 192, 27, 5, 2},
                        {"alexnet", 16, 192, 384, 13, 3, 1},   {"alexnet", 16, 384, 256, 13, 3, 1},
                        {"alexnet", 16, 256, 256, 13, 3, 1},   {"resnet", 16, 64, 256, 56, 1, 0},
                        {"resnet", 16, 256, 64, 56, 1, 0},     {"resnet", 16, 128, 128, 56, 3, 1, 2},
                        {"resnet", 16, 64, 64, 56, 3, 1},      {"resnet", 16, 128, 128, 28, 3, 1},
                        {"resnet", 16, 256, 256, 14, 3, 1},    {"resnet", 64, 256, 256, 14, 3, 1},
                        {"resnet", 16, 512, 512, 7, 3, 1},     {"resnet", 64, 512, 512, 7, 3, 1},
                        {"resnet", 16, 512, 512, 8, 3, 1},     {"resnet18", 32, 256, 256, 8, 3, 1},
                        {"resnet18", 32, 128, 128, 16, 3, 1},  {"resnet18", 16, 512, 512, 4, 3, 1},
                        {"resnet18", 32, 512, 512, 4, 3, 1},   {"resnet18", 64, 512, 512, 4, 3, 1},
                        {"narrow", 64, 32, 32, 32, 3, 1},      {"narrow", 64, 32, 32, 28, 5, 2},
                        {"narrow", 64, 16, 16, 28, 5, 2},      {"wide", 16, 128, 128, 14, 5, 2},
                        {"wide", 16, 256, 256, 7, 5, 2},       {"wide", 16, 128, 128, 17, 4, 1},
                        {"wide", 16, 128, 128, 17, 2, 0}})
    conv(options, c);
  return 0;
}

} // namespace
} // namespace gradc::bench

int main(int argc, char **argv) { return gradc::bench::runAll(argc, argv); }
