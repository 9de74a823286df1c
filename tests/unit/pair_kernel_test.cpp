// Kernels of both gradients of a dense layer, with the update in place, against chains of fmaf in the canonical order.
#include <algorithm>
#include <array>
#include <bit>

#include <fmt/format.h>

#include "codegen/cpu/contract/pair_nest.h"
#include "codegen/cpu/kernel.h"
#include "ir/contraction.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "tests/support/contract_kernel.h"

namespace gradc {
namespace {

using namespace testing::contract;

std::string kernelText(int64_t examples, int64_t units, int64_t inputs, RegisterTile tile) {
  const std::string schedule =
      tile.rows ? fmt::format(", schedule = {{tile = [{}, {}]}}", tile.rows, tile.vectors) : "";
  const std::string dy = f32({examples, units}, true), x = f32({examples, inputs}, true),
                    w = f32({units, inputs}, true);
  return fmt::format(R"(
func @f(%dy: {0}, %w: {2}, %x: {1}, %z: {1}) -> ({1}, {2}) {{
  %a, %b = kernel(%dy, %w, %x, %z) {{kind = pair{3}}} {{
    ^(%dy: {0}, %w: {2}, %x: {1}, %z: {1}):
      %gx = matmul(%dy, %w) : {1}
      %dx = mul(%gx, %z) : {1}
      %gw = matmul(%dy, %x) {{transpose_a = true}} : {2}
      %w1 = sub(%w, %gw) : {2}
      yield %dx, %w1
  }} : {1}, {2}
  return %a, %b
}})",
                     dy, x, w, schedule);
}

void expectSameBits(const Floats &expected, const Floats &actual, std::string_view what) {
  int64_t wrong = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    wrong += std::bit_cast<uint32_t>(expected[i]) != std::bit_cast<uint32_t>(actual[i]);
  EXPECT_EQ(wrong, 0) << "of " << expected.size() << " elements of " << what;
}

void check(int64_t examples, int64_t units, int64_t inputs, const std::string &mcpu,
           RegisterTile tile = {0, 0}) {
  SCOPED_TRACE(fmt::format("{} examples, {} units, {} inputs on {}, tile {}x{}", examples, units, inputs,
                           mcpu, tile.rows, tile.vectors));
  Diagnostics diag;
  Result<Module> module = parseModule(kernelText(examples, units, inputs, tile), "test", diag);
  ASSERT_TRUE(module.has_value()) << diag.render();
  ASSERT_TRUE(verify(*module, diag)) << diag.render();
  const Function &fn = *module->functions[0];
  const OpId kernel = fn.body().ops[0];
  const CpuTarget target = *parseCpuTarget(mcpu);
  fusedClass = target.fma;
  KernelCode code;
  testing::KernelJit jit(target, [&](Emit &e) {
    KernelContext context{e, fn, kernel, "k"};
    code = emitPair(context);
  });
  std::vector<Floats> values;
  std::vector<Buffer> buffers;
  for (ValueId arg : fn.body().args) {
    values.push_back(randomFloats(fn.type(arg).elements(), static_cast<uint32_t>(buffers.size()) + 1));
    buffers.emplace_back(fn.type(arg));
    buffers.back().set(values.back());
  }
  Buffer dx(fn.type(fn[kernel].results[0]));
  Buffer &w = buffers[1]; // updated in place
  std::vector<void *> pointers;
  for (Buffer &buffer : buffers)
    pointers.push_back(buffer.data());
  pointers.insert(pointers.end(), {dx.data(), w.data()});
  runSteps(jit, code, pointers, 5);
  EXPECT_TRUE(dx.marginsIntact() && w.marginsIntact());
  EXPECT_TRUE(dx.paddingIsZero());

  const GradientPair pair = *findGradientPair(fn, fn[kernel].regions[0]);
  auto product = [&](OpId op, const Floats &a, const Floats &b) {
    const OpData &data = fn[op];
    const Operation operation{data.def, fn.type(data.operands[0]), fn.type(data.operands[1]),
                              fn.type(data.results[0]), withDefaults(*data.def, data.attrs)};
    return reference(operation, reductionOrder(fn, op), a, b);
  };
  Floats toInput = product(pair.input, values[0], values[1]),
         toWeights = product(pair.weights, values[0], values[2]);
  for (size_t i = 0; i < toInput.size(); ++i)
    toInput[i] *= values[3][i];
  for (size_t i = 0; i < toWeights.size(); ++i)
    toWeights[i] = values[1][i] - toWeights[i];
  expectSameBits(toInput, dx.get(), "the input's gradient");
  expectSameBits(toWeights, w.get(), "the new weights");
}

TEST(PairKernel, EveryProcessor) {
  for (const char *mcpu : {"native", "sapphirerapids", "haswell", "x86-64"}) {
    check(16, 48, 40, mcpu);
    check(13, 1024, 300, mcpu); // four segments
    check(29, 64, 37, mcpu);    // two blocks of examples, a tile that is cut short
  }
}

TEST(PairKernel, EveryBatchAndTile) {
  for (int64_t examples = 9; examples <= 33; ++examples)
    check(examples, 32, 21, "native");
  for (const RegisterTile tile : {RegisterTile{1, 1}, {3, 2}, {7, 1}, {11, 2}})
    check(30, 512, 640, "native", tile);
}

TEST(PairKernel, ItemsForSeveralThreads) {
  for (const auto &[units, inputs, segments] :
       {std::array<int64_t, 3>{1040, 640, 1}, {1040, 2000, 1}, {1024, 1024, 4}, {4096, 9216, 4}}) {
    PairNest nest{.inputs = inputs, .units = units, .examples = 16, .segments = segments, .tile = {8, 1}};
    cutStrips(nest);
    EXPECT_GE(nest.items(), std::min<int64_t>(24, inputs / 64 * segments)) << units << "x" << inputs;
    EXPECT_LE(nest.sumBytes(), 64 << 10);
  }
}

TEST(PairKernel, SeveralStrips) {
  check(16, 32, 1700, "native"); // of 96 KiB of sums
  check(32, 1024, 1030, "native");
}

} // namespace
} // namespace gradc
