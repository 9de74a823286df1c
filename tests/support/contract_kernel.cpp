#include "tests/support/contract_kernel.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <random>

#include "codegen/cpu/contract/contract_plan.h"
#include "ir/layout.h"
#include "ir/text.h"
#include "ir/winograd.h"
#include "tests/support/winograd_reference.h"

namespace gradc::testing::contract {

namespace {

/// Where a logical element lies in memory.
int64_t memoryIndex(const Type &type, int64_t linear) {
  if (type.layout.empty())
    return linear;
  const int64_t rest = type.elements() / type.shape[0];
  const int64_t n = linear / rest;
  return (n / kLanes * rest + linear % rest) * kLanes + n % kLanes;
}

} // namespace

Buffer::Buffer(Type type) : type_(std::move(type)) {
  memory_.assign(storageBytes(type_) / 4 + 2 * kMargin, kPoison);
}

void Buffer::set(const Floats &logical) {
  std::fill(memory_.begin() + kMargin, memory_.end() - kMargin, 0.0f); // padding
  for (int64_t i = 0; i < type_.elements(); ++i)
    data()[memoryIndex(type_, i)] = logical[i];
}

Floats Buffer::get() {
  Floats logical(type_.elements());
  for (int64_t i = 0; i < type_.elements(); ++i)
    logical[i] = data()[memoryIndex(type_, i)];
  return logical;
}

bool Buffer::paddingIsZero() {
  std::vector<bool> used(storageBytes(type_) / 4);
  for (int64_t i = 0; i < type_.elements(); ++i)
    used[memoryIndex(type_, i)] = true;
  for (size_t i = 0; i < used.size(); ++i)
    if (!used[i] && data()[i] != 0)
      return false;
  return true;
}

void runSteps(KernelJit &jit, const KernelCode &code, std::vector<void *> buffers, uint32_t seed) {
  constexpr char kNan = '\xff';    // what no step has written
  constexpr int64_t kBehind = 256; // bytes that nobody may write
  std::vector<char> workspace(code.workspaceBytes + 64 + kBehind, kNan);
  void *base = workspace.data();
  size_t room = workspace.size();
  buffers.push_back(std::align(64, code.workspaceBytes, base, room));
  std::mt19937 random(seed);
  for (const KernelStep &kernelStep : code.steps) {
    std::vector<char> scratch(kernelStep.scratchBytes + 64, kNan);
    void *aligned = scratch.data();
    size_t space = scratch.size();
    const gradc_ctx ctx{std::align(64, kernelStep.scratchBytes, aligned, space)};
    std::vector<std::pair<int64_t, int64_t>> parts;
    for (int64_t begin = 0; begin < kernelStep.items;) {
      const int64_t end = std::min<int64_t>(kernelStep.items, begin + 1 + random() % kernelStep.items);
      parts.emplace_back(begin, end);
      begin = end;
    }
    std::ranges::shuffle(parts, random);
    for (auto [begin, end] : parts)
      jit.kernel(kernelStep.symbol)(&ctx, buffers.data(), begin, end);
  }
  const char *end = static_cast<char *>(base) + code.workspaceBytes;
  EXPECT_TRUE(std::all_of(end, end + kBehind, [](char c) { return c == kNan; }))
      << "written behind the workspace";
}

void ContractKernel::check(const Case &c, const std::string &mcpu, RegisterTile tile, uint32_t seed) {
  SCOPED_TRACE(fmt::format("{} : {} {} -> {} on {}, tile {}x{}", c.op, c.a, c.b, c.result, mcpu, tile.rows,
                           tile.vectors));
  const std::string sizes = tile.rows ? fmt::format(", tile = [{}, {}]", tile.rows, tile.vectors) : "";
  const std::string schedule = fmt::format(", schedule = {{algorithm = {}{}}}", c.algorithm, sizes);
  const std::string text =
      fmt::format("func @f(%a: {0}, %b: {1}) -> {2} {{\n"
                  "  %y = kernel(%a, %b) {{kind = contract{4}}} {{ ^(%p: {0}, %q: {1}):\n"
                  "      %c = {3} : {2}\n      yield %c\n  }} : {2}\n  return %y\n}}\n",
                  c.a, c.b, c.result, c.op, schedule);
  Diagnostics diag;
  Result<Module> module = parseModule(text, "test", diag);
  ASSERT_TRUE(module.has_value()) << diag.render() << text;
  const Function &fn = *module->functions[0];
  const OpId kernel = fn.body().ops[0];
  const OpId contraction = findContraction(fn, fn[kernel].regions[0]);
  const Operation op{fn[contraction].def, fn.type(fn.body().args[0]), fn.type(fn.body().args[1]),
                     fn.type(fn[kernel].results[0]),
                     withDefaults(*fn[contraction].def, fn[contraction].attrs)};

  CpuTarget target = *parseCpuTarget(mcpu);
  if (l2Bytes)
    target.l2Bytes = l2Bytes;
  fusedClass = target.fma;
  KernelCode code;
  KernelJit jit(target, [&](Emit &e) {
    KernelContext context{e, fn, kernel, "k"};
    code = emitContract(context);
  });
  const Floats a = randomFloats(op.a.elements(), seed), b = randomFloats(op.b.elements(), seed + 1);
  Buffer bufferA(op.a), bufferB(op.b), result(op.result);
  bufferA.set(a);
  bufferB.set(b);
  runSteps(jit, code, {bufferA.data(), bufferB.data(), result.data()}, seed);
  EXPECT_TRUE(result.marginsIntact());
  EXPECT_TRUE(result.paddingIsZero());
  const bool winograd = c.algorithm == "winograd", ofWeights = op.def->name == "conv2d_grad_weight";
  const Floats expected = winograd && ofWeights
                              ? referenceWinogradWeight(op, winogradOf(fn, contraction).tile,
                                                        winogradSegments(fn, contraction), a, b)
                          : winograd                ? referenceWinograd(op, a, b)
                          : c.algorithm == "pixels" ? referencePixels(op, a, b)
                                                    : reference(op, reductionOrder(fn, contraction), a, b);
  const Floats actual = result.get();
  int64_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    if (std::bit_cast<uint32_t>(expected[i]) != std::bit_cast<uint32_t>(actual[i]) && ++wrong <= 3)
      ADD_FAILURE() << "element " << i << ": expected " << expected[i] << ", got " << actual[i];
  EXPECT_EQ(wrong, 0) << "of " << expected.size();
}

void ContractKernel::checkAll(const Case &c) {
  uint32_t seed = 1;
  for (const char *mcpu : {"native", "haswell", "x86-64"})
    check(c, mcpu, {0, 0}, seed++);
  check(c, "native", {3, 2}, seed++);
}

std::string f32(const std::vector<int64_t> &dims, bool n16) {
  std::string text = "f32[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(dims[i]);
  return text + (n16 ? "]<n16>" : "]");
}

ConvTexts texts(const ConvCase &c, bool n16) {
  auto list = [](const std::vector<int64_t> &values) {
    std::string text;
    for (int64_t value : values)
      text += (text.empty() ? "" : ", ") + std::to_string(value);
    return "[" + text + "]";
  };
  auto out = [&](int axis, int64_t in, int64_t kernel) {
    const int64_t padded = in + c.padding[2 * axis] + c.padding[2 * axis + 1];
    return (padded - (kernel - 1) * c.dilation[axis] - 1) / c.stride[axis] + 1;
  };
  ConvTexts t;
  t.attrs = fmt::format("stride = {}, padding = {}, dilation = {}, groups = {}", list(c.stride),
                        list(c.padding), list(c.dilation), c.groups);
  t.kernel = fmt::format("kernel = [{}, {}], ", c.kh, c.kw);
  t.input = fmt::format("input = [{}, {}], ", c.height, c.width);
  t.x = f32({c.n, c.channels, c.height, c.width}, n16);
  t.w = f32({c.filters, c.channels / c.groups, c.kh, c.kw}, false);
  t.y = f32({c.n, c.filters, out(0, c.height, c.kh), out(1, c.width, c.kw)}, n16);
  return t;
}

} // namespace gradc::testing::contract
