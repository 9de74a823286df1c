// Every pass leaves the meaning of every test file as it was: what the interpreter computes on random arguments
// before and after, to the bit where the pass says that it is exact; the others are algebra of finite numbers.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "passes/pass.h"
#include "support/philox.h"

namespace gradc {
namespace {

constexpr int64_t kMaxElements =
    1 << 16; // of the values of a function: larger ones take the interpreter long

std::vector<std::string> testFiles() {
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::recursive_directory_iterator(GRADC_SOURCE_DIR "/tests/lit"))
    if (entry.path().extension() == ".gir")
      files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

Tensor randomTensor(const Type &type, uint64_t argument, bool infinities) {
  Tensor tensor(Type{type.dtype, type.shape, {}});
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    uint32_t bits = randomBits(7, streamHash("meaning"), argument, static_cast<uint64_t>(i))[0];
    if (isFloat(type.dtype)) // zeros of both signs and infinities among them: rewrites like to forget those
      tensor.set(i, bits % 16 == 0                 ? 0.0
                    : bits % 16 == 1               ? -0.0
                    : bits % 64 == 2 && infinities ? INFINITY
                                                   : 2 * uniformFromBits(bits) - 1);
    else
      tensor.setInt(i, type.dtype == DType::Bool ? bits & 1 : bits % 10);
  }
  return tensor;
}

std::vector<Tensor> evaluate(const Module &module, const Function &fn, bool infinities) {
  std::vector<Tensor> arguments;
  for (ValueId arg : fn.body().args)
    arguments.push_back(randomTensor(fn.type(arg), arguments.size(), infinities));
  return interpret(module, fn, arguments);
}

int64_t sizeOf(const Function &fn) {
  int64_t elements = 0;
  for (size_t i = 0; i < fn.numValues(); ++i)
    elements += fn.type(ValueId{static_cast<uint32_t>(i)}).elements();
  return elements;
}

bool agrees(const Tensor &got, const Tensor &want, bool exact) {
  if (got.type().shape != want.type().shape || got.type().dtype != want.type().dtype)
    return false;
  for (int64_t i = 0; i < got.elements(); ++i) {
    size_t size = dtypeSize(got.type().dtype), at = static_cast<size_t>(i) * size;
    if (std::memcmp(got.bytes().data() + at, want.bytes().data() + at, size) == 0)
      continue;
    double a = got.get(i), b = want.get(i);
    bool bothNan = isFloat(got.type().dtype) && std::isnan(a) && std::isnan(b);
    if (!bothNan && (exact || !(std::abs(a - b) <= 1e-6 + 1e-5 * std::abs(b))))
      return false;
  }
  return true;
}

/// Compares the functions that both modules have.
void compare(const Module &before, const Module &after, bool exact, const std::string &what) {
  for (const auto &fn : before.functions) {
    const Function *changed = after.function(fn->name);
    if (!changed || sizeOf(*fn) > kMaxElements)
      continue;
    std::vector<Tensor> want = evaluate(before, *fn, exact), got = evaluate(after, *changed, exact);
    ASSERT_EQ(got.size(), want.size()) << what << " @" << fn->name;
    for (size_t i = 0; i < want.size(); ++i)
      EXPECT_TRUE(agrees(got[i], want[i], exact)) << what << " changes result " << i << " of @" << fn->name;
  }
}

void runOnFile(const std::string &path, const std::vector<std::string> &passes) {
  std::ifstream file(path);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  for (const Chunk &chunk : splitChunks(text)) {
    Diagnostics diag;
    Result<Module> module = parseModule(chunk.text, path, diag, chunk.firstLine);
    if (!module || !verify(*module, diag))
      continue; // a test of errors
    for (const std::string &name : passes) {
      const PassDef *pass = findPass(name);
      if (!pass)
        continue;
      Module before = module->clone();
      Diagnostics passDiag;
      std::string what = path + ": " + name;
      if (!PassManager({.roundtripEach = true}).run(*module, {{pass, {}}}, passDiag))
        break; // not a module for this pass: it said why
      compare(before, *module, pass->exactness == Exactness::Exact, what);
      if (testing::Test::HasFailure())
        return;
    }
  }
}

TEST(PassesKeepMeaning, Alone) {
  for (const std::string &path : testFiles())
    for (const PassDef *pass : allPasses())
      if (pass->exactness != Exactness::Meaning && pass->optional)
        runOnFile(path, {std::string(pass->name)});
}

TEST(PassesKeepMeaning, InTheOrderOfThePipeline) {
  for (const std::string &path : testFiles())
    runOnFile(path, {"reassociate", "expand", "canonicalize", "constant-fold", "cse", "dce", "layout", "cse",
                     "dce", "fuse", "outline", "winograd", "pixels", "schedule", "plan-memory"});
}

TEST(PassesKeepMeaning, OfGradients) {
  for (const std::string &path : testFiles())
    runOnFile(path, {"reassociate", "autodiff", "expand", "canonicalize", "constant-fold", "cse", "dce",
                     "layout", "fuse", "outline"});
}

} // namespace
} // namespace gradc
