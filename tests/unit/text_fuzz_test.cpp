// Random valid modules print and come back; damaged text is refused without a crash.
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace gradc {
namespace {

/// SplitMix64: the same numbers on every machine.
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = (state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return next() % n; }
  template <class T> const T &pick(const std::vector<T> &from) { return from[below(from.size())]; }
};

Tensor randomTensor(Random &random, const Type &type) {
  Tensor tensor(type);
  for (std::byte &byte : tensor.bytes())
    byte = static_cast<std::byte>(type.dtype == DType::Bool ? random.below(2) : random.next());
  return tensor;
}

Type randomType(Random &random) {
  constexpr DType dtypes[] = {DType::F32, DType::F64, DType::BF16, DType::F16, DType::I8,
                              DType::U8,  DType::I32, DType::I64,  DType::Bool};
  Type type{dtypes[random.below(9)], {}, {}};
  for (size_t rank = random.below(4); rank > 0; --rank)
    type.shape.push(static_cast<int64_t>(1 + random.below(5)));
  return type;
}

std::string randomName(Random &random) {
  const std::vector<std::string> names = {"x",  "conv1", "a/b", "r~1", "7", "\"q\"",
                                          "\\", "läb",   "t\n", "f32", "@"};
  return random.pick(names) + std::to_string(random.below(1000));
}

/// Elementwise ops, reductions and constants over values of random types: whatever the rows' rules accept.
Module randomModule(Random &random) {
  Module module;
  if (random.below(2))
    module.name = randomName(random);
  Function &fn = module.addFunction(randomName(random));
  Builder b(fn);
  std::vector<ValueId> values;
  for (size_t i = 0; i < 3; ++i)
    values.push_back(fn.addArg(Function::kBody, randomType(random), randomName(random)));
  for (size_t i = random.below(12); i > 0; --i) {
    b.named(randomName(random));
    const OpDef *def = random.pick(std::vector(allOps().begin(), allOps().end()));
    std::vector<ValueId> operands;
    std::vector<Type> types;
    for (size_t k = 0; k < def->operands.size(); ++k) {
      operands.push_back(random.pick(values));
      types.push_back(fn.type(operands.back()));
    }
    Rule<Dict> attrs = normalizeAttrs(*def, {});
    if (attrs && def->numRegions == 0 && inferTypes(*def, types, *attrs))
      values.push_back(b.create(def->name, operands));
    else
      values.push_back(b.constant(randomTensor(random, randomType(random))));
  }
  for (size_t i = random.below(3); i > 0; --i)
    fn.body().yields.push_back(random.pick(values));
  return module;
}

TEST(TextFuzz, RandomModulesComeBack) {
  Random random{1};
  for (int i = 0; i < 500; ++i) {
    Module module = randomModule(random);
    std::string text = print(module);
    Diagnostics diag;
    Result<Module> back = parseModule(text, "t.gir", diag);
    ASSERT_TRUE(back && verify(*back, diag)) << diag.render() << text;
    ASSERT_EQ(print(*back), text);
    ASSERT_EQ(contentHash(*back), contentHash(module)) << text;
  }
}

std::string mutated(Random &random, std::string text) {
  const std::vector<std::string> pieces = {
      "{",           "}",  "(",           ")",      "[",
      "]",           "%x", "@w",          "-1",     "99999999999999999999",
      "1.5",         "\"", "hex(\"00\")", "splat(", "f32[",
      "<n16>",       "//", "\n",          "^(",     "kernel",
      "loc(",        "0x", "axes = []",   "\xff",   "axes = [7]",
      "shape = [0]", "= ", ":",           ",",      "yield",
      "return"};
  for (size_t n = 1 + random.below(4); n > 0; --n) {
    size_t at = random.below(text.size() + 1);
    switch (random.below(4)) {
    case 0: text.insert(at, random.pick(pieces)); break;
    case 1: text.erase(at, 1 + random.below(20)); break;
    case 2: text.insert(at, text.substr(random.below(text.size() + 1), random.below(40))); break;
    default:
      if (at < text.size())
        text[at] = static_cast<char>(random.next());
    }
  }
  return text;
}

TEST(TextFuzz, DamagedTextDoesNotCrash) {
  Random random{2};
  const std::string seed = R"(module @m {batch = 64}
param @w : f32[4,3] {init = {type = normal, std = 0.1}}
const @c : i32[2] = [1, 2]
func @f(%x: f32[2,3] {input}, %w: f32[4,3] {var = @w}) -> (f32[2,4], f32[2]) {
  %k = kernel(%x, %w) {kind = contract, schedule = {tile = [6,4]}} {
    ^(%x: f32[2,3], %w: f32[4,3]):
      %m = matmul(%x, %w) {transpose_b = true} : f32[2,4]
      yield %m
  } : f32[2,4] loc("m.json":12:5)
  %c = constant() {value = hex("0000c07f010080ff")} : f32[2]
  %p = pad(%x) {low = [1,0], high = [0,1], value = -inf} : f32[3,4]
  %s = reduce_sum(%k) {axes = [1]} : f32[2]
  return %k, %s
}
)";
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = mutated(random, i % 4 ? seed : print(randomModule(random)));
    Diagnostics diag;
    Result<Module> module = parseModule(text, "t.gir", diag);
    ASSERT_EQ(module.has_value(), !diag.hasErrors()) << text;
    ASSERT_FALSE(diag.hasErrors() && diag.render().empty());
    if (!module || !verify(*module, diag))
      continue;
    ++accepted;
    std::string printed = print(*module);
    Diagnostics again;
    Result<Module> back = parseModule(printed, "t.gir", again);
    ASSERT_TRUE(back) << again.render() << printed;
    ASSERT_EQ(print(*back), printed);
  }
  EXPECT_GT(accepted, 40);
}

} // namespace
} // namespace gradc
