// The name of a kernel's code is the key of the cache: everything that changes the code changes it, nothing else does.
#include <gtest/gtest.h>

#include "codegen/cpu/kernel.h"
#include "codegen/program_table.h"
#include "ir/text.h"

namespace gradc {
namespace {

std::string symbolOf(std::string_view text, const char *mcpu = "haswell") {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "symbol.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  const Function &fn = *module->functions[0];
  return kernelSymbol(fn, fn.body().ops[0], *parseCpuTarget(mcpu));
}

std::string kernel(std::string_view body, std::string_view attrs = "kind = map",
                   std::string_view type = "f32[32,4]") {
  return fmt::format(
      "func @f(%x: {0}, %y: {0}) -> {0} {{\n"
      "  %k = kernel(%x, %y) {{{1}}} {{ ^(%a: {0}, %b: {0}):\n    {2}\n    yield %r\n  }} : {0}\n"
      "  return %k\n}}\n",
      type, attrs, body);
}

TEST(KernelSymbol, SaysWhatIsComputed) {
  EXPECT_TRUE(symbolOf(kernel("%r = add(%a, %b) : f32[32,4]")).starts_with("add_32x4_"));
  std::string product =
      "func @f(%x: f32[64,784], %w: f32[512,784], %b: f32[512]) -> f32[64,512] {\n"
      "  %k = kernel(%x, %w, %b) {kind = contract} { ^(%p: f32[64,784], %q: f32[512,784], %s: f32[512]):\n"
      "    %m = matmul(%p, %q) {transpose_b = true} : f32[64,512]\n"
      "    %e = broadcast(%s) {axes = [1], shape = [64,512]} : f32[64,512]\n"
      "    %d = add(%m, %e) : f32[64,512]\n    %r = relu(%d) : f32[64,512]\n    yield %r\n"
      "  } : f32[64,512]\n  return %k\n}\n";
  EXPECT_TRUE(symbolOf(product).starts_with("matmul_64x512x784_add_relu_")) << symbolOf(product);
}

TEST(KernelSymbol, DoesNotDependOnNamesOrPlaces) {
  std::string first = symbolOf(kernel("%r = add(%a, %b) : f32[32,4]"));
  EXPECT_EQ(
      first,
      symbolOf(
          "func @g(%p: f32[32,4], %q: f32[32,4]) -> f32[32,4] attributes {arena = 512} {\n"
          "  %z = kernel(%p, %q) {kind = map, place = [{result = 0}]} { ^(%c: f32[32,4], %d: f32[32,4]):\n"
          "    %sum = add(%c, %d) : f32[32,4] loc(\"m.json\":3:4)\n    yield %sum\n  } : f32[32,4]\n"
          "  return %z\n}\n"));
}

TEST(KernelSymbol, DependsOnAllThatDecidesTheCode) {
  std::vector<std::string> symbols = {
      symbolOf(kernel("%r = add(%a, %b) : f32[32,4]")),
      symbolOf(kernel("%r = add(%b, %a) : f32[32,4]")),
      symbolOf(kernel("%r = sub(%a, %b) : f32[32,4]")),
      symbolOf(kernel("%r = leaky_relu(%a) {slope = 0.1} : f32[32,4]")),
      symbolOf(kernel("%r = leaky_relu(%a) {slope = 0.2} : f32[32,4]")),
      symbolOf(kernel("%r = add(%a, %b) : f32[32,4]"), "skylake-avx512"),
      symbolOf(kernel("%r = add(%a, %b) : f32[32,4]", "kind = multi")),
      symbolOf(kernel("%r = add(%a, %b) : f32[32,4]", "kind = map, schedule = {tile = [4,2]}")),
      symbolOf(kernel("%r = add(%a, %b) : f32[4,32]", "kind = map", "f32[4,32]")),
      symbolOf(kernel("%r = add(%a, %b) : f64[32,4]", "kind = map", "f64[32,4]")),
      symbolOf(kernel("%r = add(%a, %b) : f32[32,4]<n16>", "kind = map", "f32[32,4]<n16>"))};
  for (size_t i = 0; i < symbols.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_NE(symbols[i], symbols[j]) << i << " and " << j;
}

TEST(KernelSymbol, StepsCarryTheModelsNames) {
  Diagnostics diag;
  Result<Module> module =
      parseModule(kernel("%conv1 = add(%a, %b) : f32[32,4]\n    %conv1~1 = exp(%conv1) : f32[32,4]\n"
                         "    %r = relu(%conv1~1) : f32[32,4]"),
                  "names.gir", diag);
  ASSERT_TRUE(module) << diag.render();
  EXPECT_EQ(stepName(*module->functions[0], module->functions[0]->body().ops[0]), "conv1+r");
}

} // namespace
} // namespace gradc
