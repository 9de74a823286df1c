// Single kernels of gradc against oneDNN's, taking turns in one process on one thread:
//
//   gradc_bench_onednn [FILTER]        prints Markdown tables with geometric means
//
// Like is compared with like. "Packed" products and convolutions: each side in the layout that it would choose for a
// whole training step, made beforehand (here <n16> activations, there format_tag::any). "Plain" products: row-major on
// both sides. Elementwise kernels and reductions: against a copy of a set of the same size. Built where libdnnl is found.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

#include <oneapi/dnnl/dnnl.hpp>

#include "codegen/cpu/peaks.h"
#include "codegen/program.h"
#include "driver/plan_function.h"
#include "ir/text.h"
#include "passes/packing_util.h"
#include "runtime/executor.h"
#include "support/check.h"

namespace gradc::bench {
namespace {

using Run = std::function<void()>;

constexpr double kRoundSeconds = 4e-3;
constexpr int kRounds = 15;

/// Of this thread, which does all of the work on both sides: what else runs on the machine is not counted.
double threadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double seconds(const Run &run, int calls) {
  const double start = threadSeconds();
  for (int i = 0; i < calls; ++i)
    run();
  return (threadSeconds() - start) / calls;
}

double median(std::vector<double> times) {
  std::ranges::nth_element(times, times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2));
  return times[times.size() / 2];
}

struct Pair {
  double ours, theirs; // seconds
};

/// Medians of rounds that take turns.
Pair interleaved(const Run &ours, const Run &theirs) {
  std::vector<double> times[2];
  const Run *runs[2] = {&ours, &theirs};
  int calls[2];
  for (int side = 0; side < 2; ++side) {
    (*runs[side])();
    calls[side] = std::clamp(static_cast<int>(kRoundSeconds / seconds(*runs[side], 1)), 1, 100000);
  }
  for (int round = 0; round < kRounds; ++round)
    for (int side = 0; side < 2; ++side)
      times[side].push_back(seconds(*runs[side], calls[side]));
  return {median(times[0]), median(times[1])};
}

void fill(void *memory, int64_t bytes) {
  auto *values = static_cast<float *>(memory);
  for (int64_t i = 0; i < bytes / 4; ++i)
    values[i] = static_cast<float>((i * 2654435761u) >> 16 & 0xff) / 256.f - .5f;
}

/// One function of the IR, compiled as `gradc run` compiles it, on memory of its own.
class Ours {
public:
  explicit Ours(const std::string &text, bool winograd = true) : pool_(1) {
    const CpuTarget target = hostCpuTarget();
    Diagnostics diag;
    Result<Module> module = parseModule(text, "bench", diag);
    CHECK(module.has_value(), "{}\n{}", diag.render(), text);
    module_ = std::make_unique<Module>(std::move(*module));
    PassManagerOptions options;
    if (!winograd)
      options.disabled = {"winograd"};
    PassManager manager(options);
    auto planned = planFunction(*module_, "f", false, "", target, manager, diag);
    CHECK(planned.has_value(), "{}", diag.render());
    auto program = compileProgram(*module_, *module_->function("f"), {.target = target});
    CHECK(program.has_value(), "{}", program.error().text);
    program_ = std::move(*program);
    bind();
  }

  void run() { executor_->run(); }

private:
  void bind() {
    const gradc_program &table = program_->program();
    CHECK(workspace_.reserve(table, pool_).ok());
    executor_ = std::make_unique<Executor>(table, pool_, workspace_);
    for (int64_t i = 0; i < table.num_args; ++i)
      executor_->bindArg(i, memory(table.args[i]));
    for (int64_t i = 0; i < table.num_results; ++i)
      executor_->bindResult(i, memory(table.results[i]));
  }
  void *memory(const gradc_port &port) {
    StatusOr<Buffer> buffer = Buffer::allocate(port.bytes);
    CHECK(buffer.has_value(), "{}", buffer.error().text);
    fill(buffer->data(), port.bytes);
    return buffers_.emplace_back(std::move(*buffer)).data();
  }

  ThreadPool pool_;
  Workspace workspace_;
  std::unique_ptr<Module> module_;
  std::unique_ptr<CompiledProgram> program_;
  std::unique_ptr<Executor> executor_;
  std::vector<Buffer> buffers_;
};

// ---- oneDNN. Version 3 makes primitives without the descriptors that version 2 wants.

using dnnl::memory;
using Tag = memory::format_tag;

#if DNNL_VERSION_MAJOR >= 3
template <class P, class... A> auto describe(const dnnl::engine &engine, A &&...args) {
  return typename P::primitive_desc(engine, std::forward<A>(args)...);
}
#else
template <class P, class... A> auto describe(const dnnl::engine &engine, A &&...args) {
  return typename P::primitive_desc(typename P::desc(std::forward<A>(args)...), engine);
}
#endif

class OneDnn {
public:
  memory::desc tensor(memory::dims shape, Tag tag) const {
    return {std::move(shape), memory::data_type::f32, tag};
  }

  Run product(int64_t m, int64_t n, int64_t k, Tag a, Tag b) {
    auto desc =
        describe<dnnl::matmul>(engine_, tensor({m, k}, a), tensor({k, n}, b), tensor({m, n}, Tag::ab));
    return call(dnnl::matmul(desc), {{DNNL_ARG_SRC, make(desc.src_desc())},
                                     {DNNL_ARG_WEIGHTS, make(desc.weights_desc())},
                                     {DNNL_ARG_DST, make(desc.dst_desc())}});
  }

  struct Conv {
    memory::desc source, weights, result;
    memory::dims stride, padding;
    dnnl::algorithm algorithm;
  };

  auto forwardDesc(const Conv &c) {
#if DNNL_VERSION_MAJOR >= 3
    return describe<dnnl::convolution_forward>(engine_, dnnl::prop_kind::forward_training, c.algorithm,
                                               c.source, c.weights, c.result, c.stride, c.padding, c.padding);
#else
    return dnnl::convolution_forward::primitive_desc({dnnl::prop_kind::forward_training, c.algorithm,
                                                      c.source, c.weights, c.result, c.stride, c.padding,
                                                      c.padding},
                                                     engine_);
#endif
  }
  Run forward(const Conv &c) {
    auto desc = forwardDesc(c);
    return call(dnnl::convolution_forward(desc), {{DNNL_ARG_SRC, make(desc.src_desc())},
                                                  {DNNL_ARG_WEIGHTS, make(desc.weights_desc())},
                                                  {DNNL_ARG_DST, make(desc.dst_desc())}});
  }
  Run backwardData(const Conv &c) {
#if DNNL_VERSION_MAJOR >= 3
    auto desc = dnnl::convolution_backward_data::primitive_desc(
        engine_, c.algorithm, c.source, c.weights, c.result, c.stride, c.padding, c.padding, forwardDesc(c));
#else
    auto desc = dnnl::convolution_backward_data::primitive_desc(
        {c.algorithm, c.source, c.weights, c.result, c.stride, c.padding, c.padding}, engine_,
        forwardDesc(c));
#endif
    return call(dnnl::convolution_backward_data(desc), {{DNNL_ARG_DIFF_SRC, make(desc.diff_src_desc())},
                                                        {DNNL_ARG_WEIGHTS, make(desc.weights_desc())},
                                                        {DNNL_ARG_DIFF_DST, make(desc.diff_dst_desc())}});
  }
  Run backwardWeights(const Conv &c) {
#if DNNL_VERSION_MAJOR >= 3
    auto desc = dnnl::convolution_backward_weights::primitive_desc(
        engine_, c.algorithm, c.source, c.weights, c.result, c.stride, c.padding, c.padding, forwardDesc(c));
#else
    auto desc = dnnl::convolution_backward_weights::primitive_desc(
        {c.algorithm, c.source, c.weights, c.result, c.stride, c.padding, c.padding}, engine_,
        forwardDesc(c));
#endif
    return call(dnnl::convolution_backward_weights(desc),
                {{DNNL_ARG_SRC, make(desc.src_desc())},
                 {DNNL_ARG_DIFF_WEIGHTS, make(desc.diff_weights_desc())},
                 {DNNL_ARG_DIFF_DST, make(desc.diff_dst_desc())}});
  }

private:
  memory make(const memory::desc &desc) {
    memory made(desc, engine_);
    fill(made.get_data_handle(), static_cast<int64_t>(desc.get_size()));
    return made;
  }
  Run call(const dnnl::primitive &primitive, const std::unordered_map<int, memory> &args) {
    return [this, primitive, args] {
      primitive.execute(stream_, args);
      stream_.wait();
    };
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
};

// ---- The list.

struct Table {
  std::string filter;
  bool winograd = true; // where it pays
  std::vector<double> ratios;
  double worst = 1e9;
  std::string worstName;

  void begin(const char *title) {
    ratios.clear();
    worst = 1e9;
    fmt::print("\n**{}**\n\n| kernel | gradc GFLOP/s | oneDNN GFLOP/s | ratio |\n|---|---|---|---|\n", title);
  }
  bool wants(const std::string &name) const { return name.find(filter) != std::string::npos; }
  void compare(const std::string &name, double flops, const std::string &text,
               const std::function<Run()> &theirs) {
    if (!wants(name))
      return;
    Ours ours(text, winograd);
    Run other;
    try {
      other = theirs();
    } catch (const dnnl::error &error) {
      fmt::print("| {} | – | none ({}) | – |\n", name, error.message ? "no such primitive" : "");
      return;
    }
    const Pair pair = interleaved([&] { ours.run(); }, other);
    fmt::print("| {} | {:.0f} | {:.0f} | {:.2f} |\n", name, flops / pair.ours * 1e-9,
               flops / pair.theirs * 1e-9, pair.theirs / pair.ours);
    std::fflush(stdout);
    note(name, pair.theirs / pair.ours);
  }
  void note(const std::string &name, double ratio) {
    ratios.push_back(ratio);
    if (ratio < worst) {
      worst = ratio;
      worstName = name;
    }
  }
  void end() {
    double sum = 0;
    for (const double ratio : ratios)
      sum += std::log(ratio);
    if (!ratios.empty())
      fmt::print("\nGeometric mean {:.2f}; the worst {:.2f}: {}.\n",
                 std::exp(sum / static_cast<double>(ratios.size())), worst, worstName);
  }
};

std::string function(const std::string &args, const std::string &op, const std::string &result) {
  return fmt::format("func @f({}) -> {} {{\n  %r = {} : {}\n  return %r\n}}\n", args, result, op, result);
}

std::string matrix(int64_t rows, int64_t columns, const char *layout = "") {
  return fmt::format("f32[{},{}]{}", rows, columns, layout);
}

struct Product {
  int64_t m, n, k;
};
constexpr Product kProducts[] = {{64, 512, 784},   {64, 512, 512},    {64, 10, 512},     {64, 120, 400},
                                 {64, 256, 8192},  {128, 1024, 1024}, {256, 4096, 4096}, {1024, 1024, 1024},
                                 {32, 4096, 9216}, {16, 4096, 9216}};

void plainProducts(Table &table, OneDnn &onednn) {
  table.begin("Plain products, row-major");
  for (const auto &[m, n, k] : kProducts) {
    const double flops = 2.0 * static_cast<double>(m * n * k);
    const std::string size = fmt::format("{}×{}×{}", m, n, k);
    table.compare(
        "plain AB " + size, flops,
        function(fmt::format("%a: {}, %b: {}", matrix(m, k), matrix(k, n)), "matmul(%a, %b)", matrix(m, n)),
        [&, m = m, n = n, k = k] { return onednn.product(m, n, k, Tag::ab, Tag::ab); });
    table.compare("plain ABᵀ " + size, flops,
                  function(fmt::format("%a: {}, %b: {}", matrix(m, k), matrix(n, k)),
                           "matmul(%a, %b) {transpose_b = true}", matrix(m, n)),
                  [&, m = m, n = n, k = k] { return onednn.product(m, n, k, Tag::ab, Tag::ba); });
    table.compare("plain AᵀB " + size, flops,
                  function(fmt::format("%a: {}, %b: {}", matrix(k, m), matrix(k, n)),
                           "matmul(%a, %b) {transpose_a = true}", matrix(m, n)),
                  [&, m = m, n = n, k = k] { return onednn.product(m, n, k, Tag::ba, Tag::ab); });
  }
  table.end();
}

/// A layer's three products: forward, the gradients of its input and of its weights [n, k].
void packedProducts(Table &table, OneDnn &onednn) {
  table.begin("Packed products: a dense layer of m examples, k inputs, n units");
  for (const auto &[m, n, k] : kProducts) {
    const double flops = 2.0 * static_cast<double>(m * n * k);
    const bool packed = packingPays({DType::F32, {n, k}}, m);
    const std::string size = fmt::format("{}×{}×{}", m, n, k), w = matrix(n, k, packed ? "<n16>" : "");
    const std::string x = matrix(m, k, "<n16>"), y = matrix(m, n, "<n16>");
    table.compare("forward " + size, flops,
                  function(fmt::format("%x: {}, %w: {}", x, w), "matmul(%x, %w) {transpose_b = true}", y),
                  [&, m = m, n = n, k = k] { return onednn.product(m, n, k, Tag::ab, Tag::any); });
    table.compare("input gradient " + size, flops,
                  function(fmt::format("%y: {}, %w: {}", y, w), "matmul(%y, %w)", x),
                  [&, m = m, n = n, k = k] { return onednn.product(m, k, n, Tag::ab, Tag::any); });
    table.compare("weight gradient " + size, flops,
                  function(fmt::format("%y: {}, %x: {}", y, packed ? x : matrix(m, k)),
                           "matmul(%y, %x) {transpose_a = true}", w),
                  [&, m = m, n = n, k = k] { return onednn.product(n, k, m, Tag::ba, Tag::any); });
  }
  table.end();
}

struct Layer {
  const char *name;
  int64_t batch, inputs, size, outputs, kernel, stride, padding;
  int64_t out() const { return (size + 2 * padding - kernel) / stride + 1; }
  double flops() const {
    return 2.0 * static_cast<double>(batch * outputs * out() * out() * inputs * kernel * kernel);
  }
  bool winograd() const { return kernel == 3 && stride == 1 && inputs >= 16; }
};
constexpr Layer kLayers[] = {
    {"LeNet 1", 64, 1, 28, 6, 5, 1, 2},         {"LeNet 2", 64, 6, 14, 16, 5, 1, 0},
    {"VGG 1", 64, 3, 32, 64, 3, 1, 1},          {"VGG 2", 64, 64, 32, 64, 3, 1, 1},
    {"VGG 3", 64, 64, 16, 128, 3, 1, 1},        {"VGG 4", 64, 128, 16, 128, 3, 1, 1},
    {"AlexNet 1", 16, 3, 224, 64, 11, 4, 2},    {"AlexNet 2", 16, 64, 27, 192, 5, 1, 2},
    {"AlexNet 3", 16, 192, 13, 384, 3, 1, 1},   {"AlexNet 4", 16, 384, 13, 256, 3, 1, 1},
    {"AlexNet 5", 16, 256, 13, 256, 3, 1, 1},   {"ResNet 64", 32, 64, 32, 64, 3, 1, 1},
    {"ResNet 128/2", 32, 64, 32, 128, 3, 2, 1}, {"ResNet 256", 32, 256, 8, 256, 3, 1, 1},
    {"ResNet 512", 32, 512, 4, 512, 3, 1, 1},   {"ResNet 1×1/2", 32, 128, 16, 256, 1, 2, 0},
};

void convolutions(Table &table, OneDnn &onednn, bool winograd) {
  table.winograd = winograd;
  table.begin(winograd ? "Winograd layers, in GFLOP/s of the direct form" : "Direct convolutions");
  for (const Layer &l : kLayers) {
    if (winograd && !l.winograd())
      continue;
    const memory::dims stride{l.stride, l.stride}, padding{l.padding, l.padding};
    const OneDnn::Conv conv{onednn.tensor({l.batch, l.inputs, l.size, l.size}, Tag::any),
                            onednn.tensor({l.outputs, l.inputs, l.kernel, l.kernel}, Tag::any),
                            onednn.tensor({l.batch, l.outputs, l.out(), l.out()}, Tag::any),
                            stride,
                            padding,
                            winograd ? dnnl::algorithm::convolution_winograd
                                     : dnnl::algorithm::convolution_direct};
    const std::string x = fmt::format("f32[{},{},{},{}]<n16>", l.batch, l.inputs, l.size, l.size);
    const std::string y = fmt::format("f32[{},{},{},{}]<n16>", l.batch, l.outputs, l.out(), l.out());
    const std::string w = fmt::format("f32[{},{},{},{}]", l.outputs, l.inputs, l.kernel, l.kernel);
    const std::string attrs =
        fmt::format("stride = [{0}, {0}], padding = [{1}, {1}, {1}, {1}]", l.stride, l.padding);
    const std::string prefix = winograd ? "Winograd " : "";
    table.compare(prefix + l.name + " forward", l.flops(),
                  function(fmt::format("%x: {}, %w: {}", x, w), "conv2d(%x, %w) {" + attrs + "}", y),
                  [&] { return onednn.forward(conv); });
    if (l.inputs > 3)
      table.compare(
          prefix + l.name + " input gradient", l.flops(),
          function(fmt::format("%y: {}, %w: {}", y, w),
                   fmt::format("conv2d_grad_input(%y, %w) {{input = [{0}, {0}], {1}}}", l.size, attrs), x),
          [&] { return onednn.backwardData(conv); });
    if (!winograd)
      table.compare(
          prefix + l.name + " weight gradient", l.flops(),
          function(fmt::format("%x: {}, %y: {}", x, y),
                   fmt::format("conv2d_grad_weight(%x, %y) {{kernel = [{0}, {0}], {1}}}", l.kernel, attrs),
                   w),
          [&] { return onednn.backwardWeights(conv); });
  }
  table.end();
}

struct Stream {
  const char *name;
  double arrays; // read and written, of the size of one
  std::string (*text)(int64_t rows);
};

constexpr int64_t kColumns = 1024;

std::string wide(int64_t rows) { return matrix(rows, kColumns); }

const Stream kStreams[] = {
    {"relu", 2, [](int64_t r) { return function("%x: " + wide(r), "relu(%x)", wide(r)); }},
    {"add", 3,
     [](int64_t r) { return function(fmt::format("%x: {0}, %y: {0}", wide(r)), "add(%x, %y)", wide(r)); }},
    {"tanh", 2, [](int64_t r) { return function("%x: " + wide(r), "tanh(%x)", wide(r)); }},
    {"exp", 2, [](int64_t r) { return function("%x: " + wide(r), "exp(%x)", wide(r)); }},
    {"gelu", 2, [](int64_t r) { return function("%x: " + wide(r), "gelu(%x)", wide(r)); }},
    {"softmax", 2, [](int64_t r) { return function("%x: " + wide(r), "softmax(%x)", wide(r)); }},
    {"softmax of 128", 2,
     [](int64_t r) { return function("%x: " + matrix(8 * r, 128), "softmax(%x)", matrix(8 * r, 128)); }},
    {"layer norm of 256", 2,
     [](int64_t r) {
       return function("%x: " + matrix(4 * r, 256) + ", %s: f32[256], %b: f32[256]", "layer_norm(%x,%s,%b)",
                       matrix(4 * r, 256));
     }},
    {"sum of rows", 1,
     [](int64_t r) {
       return function("%x: " + wide(r), "reduce_sum(%x) {axes = [1]}", fmt::format("f32[{}]", r));
     }},
    {"sum of columns", 1,
     [](int64_t r) {
       return function("%x: " + wide(r), "reduce_sum(%x) {axes = [0]}", fmt::format("f32[{}]", kColumns));
     }},
    {"sum of all", 1,
     [](int64_t r) { return function("%x: " + wide(r), "reduce_sum(%x) {axes = [0, 1]}", "f32[]"); }},
};

void streams(Table &table) {
  StatusOr<PeakKernels> peaks = PeakKernels::make(hostCpuTarget());
  CHECK(peaks.has_value());
  table.ratios.clear();
  table.worst = 1e9;
  fmt::print("\n**Elementwise kernels and reductions, against a copy of a set of the same size**\n\n"
             "| kernel | set | gradc GB/s | copy GB/s | ratio |\n|---|---|---|---|---|\n");
  for (const auto &[label, set] :
       {std::pair{"256 KiB", int64_t{256} << 10}, std::pair{"16 MiB", int64_t{16} << 20},
        std::pair{"512 MiB", int64_t{512} << 20}}) {
    StatusOr<Buffer> memory = Buffer::allocate(set);
    CHECK(memory.has_value());
    void *halves[] = {memory->data(), memory->data() + set / 2};
    const Run copy = [&] { peaks->copy(nullptr, halves, 0, set / 2 / PeakKernels::kBlockBytes); };
    for (const Stream &stream : kStreams) {
      const std::string name = fmt::format("{} {}", stream.name, label);
      if (!table.wants(name))
        continue;
      const auto rows = static_cast<int64_t>(static_cast<double>(set) / (stream.arrays * kColumns * 4));
      Ours ours(stream.text(rows));
      const double bytes = static_cast<double>(rows * kColumns * 4) * stream.arrays;
      const Pair pair = interleaved([&] { ours.run(); }, copy);
      const double rate = bytes / pair.ours * 1e-9, peak = static_cast<double>(set) / pair.theirs * 1e-9;
      fmt::print("| {} | {} | {:.1f} | {:.1f} | {:.2f} |\n", stream.name, label, rate, peak, rate / peak);
      std::fflush(stdout);
      table.note(name, rate / peak);
    }
  }
  table.end();
}

void runAll(const std::string &filter) {
  Table table{.filter = filter};
  OneDnn onednn;
  const dnnl_version_t *version = dnnl_version();
  fmt::print("oneDNN {}.{}.{}, one thread\n", version->major, version->minor, version->patch);
  plainProducts(table, onednn);
  packedProducts(table, onednn);
  convolutions(table, onednn, false);
  convolutions(table, onednn, true);
  streams(table);
}

} // namespace
} // namespace gradc::bench

int main(int argc, char **argv) {
  // OpenMP's library reads it when it is loaded, before main.
  if (!getenv("OMP_NUM_THREADS") && setenv("OMP_NUM_THREADS", "1", 0) == 0)
    execv("/proc/self/exe", argv);
  gradc::bench::runAll(argc > 1 ? argv[1] : "");
  return 0;
}
