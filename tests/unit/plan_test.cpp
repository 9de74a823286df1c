// Memory plans beyond what verify() lets through: the interpreter's memory mode must show by itself that a
// plan is wrong. And the packing of arenas.
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/plan.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "passes/arena_util.h"

namespace gradc {
namespace {

Tensor ramp(const Type &type) {
  Tensor tensor(type);
  for (int64_t i = 0; i < tensor.elements(); ++i)
    tensor.set(i, 0.25 * static_cast<double>(i) - 1);
  return tensor;
}

/// Whether the memory mode agrees with the interpreter, and whether the verifier accepts the plan.
struct Outcome {
  bool sameBits = false, accepted = false;
};

Outcome outcomeOf(const std::string &text) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "plan.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  const Function &fn = *module->functions[0];
  std::vector<Tensor> arguments;
  for (ValueId arg : fn.body().args)
    arguments.push_back(ramp(fn.type(arg)));
  Result<std::vector<Tensor>> results = interpretInMemory(*module, fn, arguments, diag);
  EXPECT_TRUE(results) << diag.render();
  return {*results == interpret(*module, fn, arguments), verify(*module, diag).has_value()};
}

const std::string kKernelA = R"( { ^(%x: f32[4,4]):
    %a = exp(%x)
    yield %a
  } : f32[4,4]
)";

std::string twoLive(int placeB) {
  return "func @f(%x: f32[4,4]) -> f32[4,4] attributes {arena = 128} {\n"
         "  %a = kernel(%x) {kind = map, place = [{arena = 0}]}" +
         kKernelA + "  %b = kernel(%x) {kind = map, place = [{arena = " + std::to_string(placeB) +
         R"(}]} { ^(%x: f32[4,4]):
    %b = relu(%x)
    yield %b
  } : f32[4,4]
  %c = kernel(%a, %b) {kind = contract, place = [{result = 0}]} { ^(%a: f32[4,4], %b: f32[4,4]):
    %c = matmul(%a, %b)
    yield %c
  } : f32[4,4]
  return %c
})";
}

TEST(Plan, LiveValuesInOnePlaceShow) {
  Outcome good = outcomeOf(twoLive(64)), bad = outcomeOf(twoLive(0));
  EXPECT_TRUE(good.sameBits && good.accepted);
  EXPECT_FALSE(bad.sameBits || bad.accepted);
}

std::string donation(bool updateFirst) {
  const std::string update =
      R"(  %w~1 = kernel(%w, %dy) {kind = map, place = [{var = @w}]} { ^(%w: f32[4,4], %dy: f32[4,4]):
    %u = sub(%w, %dy)
    yield %u
  } : f32[4,4]
)";
  const std::string inputGradient =
      R"(  %dx = kernel(%dy, %w) {kind = contract, place = [{result = 1}]} { ^(%dy: f32[4,4], %w: f32[4,4]):
    %dx = matmul(%dy, %w)
    yield %dx
  } : f32[4,4]
)";
  return "param @w : f32[4,4]\n"
         "func @f(%w: f32[4,4] {var = @w}, %dy: f32[4,4]) -> (f32[4,4] {var = @w}, f32[4,4]) attributes "
         "{arena = 0} {\n" +
         (updateFirst ? update + inputGradient : inputGradient + update) + "  return %w~1, %dx\n}";
}

TEST(Plan, DonatedBufferReadAfterItsUpdateShows) {
  Outcome good = outcomeOf(donation(false)), bad = outcomeOf(donation(true));
  EXPECT_TRUE(good.sameBits && good.accepted);
  EXPECT_FALSE(bad.sameBits || bad.accepted);
}

TEST(Plan, ValuesReadAfterTheirDeathArePoison) {
  // %v is a view of %a and lies where %a lay, but is read after %b took the place.
  const std::string text = "func @f(%x: f32[4,4]) -> f32[16] attributes {arena = 64} {\n"
                           "  %a = kernel(%x) {kind = map, place = [{arena = 0}]}" +
                           kKernelA +
                           R"(  %v = kernel(%a) {kind = map, place = [{arena = 0}]} { ^(%a: f32[4,4]):
    %v = reshape(%a) {shape = [16]}
    yield %v
  } : f32[16]
  %b = kernel(%x) {kind = map, place = [{arena = 0}]} { ^(%x: f32[4,4]):
    %b = relu(%x)
    yield %b
  } : f32[4,4]
  %c = kernel(%v) {kind = map, place = [{result = 0}]} { ^(%v: f32[16]):
    %c = neg(%v)
    yield %c
  } : f32[16]
  return %c
})";
  Outcome bad = outcomeOf(text);
  EXPECT_FALSE(bad.sameBits || bad.accepted);
}

std::string memoryError(const std::string &attributes, const std::string &place) {
  const std::string text = "func @f(%x: f32[4,4]) -> f32[4,4] " + attributes +
                           " {\n  %a = kernel(%x) {kind = map" + place + "}" + kKernelA + "  return %a\n}";
  Diagnostics diag;
  Result<Module> module = parseModule(text, "plan.gir", diag);
  EXPECT_TRUE(module) << diag.render();
  std::vector<Tensor> arguments{ramp({DType::F32, {4, 4}, {}})};
  EXPECT_FALSE(interpretInMemory(*module, *module->functions[0], arguments, diag));
  return diag.render();
}

TEST(Plan, MemoryModeRefusesWhatItCannotCarryOut) {
  EXPECT_NE(memoryError("", "").find("@f has no memory plan; run plan-memory first"), std::string::npos);
  EXPECT_NE(memoryError("attributes {arena = many}", "").find("malformed attribute 'arena'"),
            std::string::npos);
  EXPECT_NE(memoryError("attributes {arena = 64}", "").find("has no place for %a"), std::string::npos);
  EXPECT_NE(memoryError("attributes {arena = 64}", ", place = [{arena = 64}]")
                .find("places %a outside of its memory"),
            std::string::npos);
}

TEST(Plan, PlacesPrintAndParse) {
  for (const Place &place : {Place{Place::Space::Arena, 128, {}}, Place{Place::Space::Var, 0, "w"},
                             Place{Place::Space::Arg, 3, {}}, Place{Place::Space::Result, 1, {}}})
    EXPECT_EQ(parsePlace(toAttr(place)), place);
  const Dict two{{"arena", int64_t{0}}, {"arg", int64_t{0}}};
  for (const Attr &wrong :
       {Attr(int64_t{0}), Attr(Dict{}), Attr(two), toAttr({Place::Space::Arena, -64, {}})})
    EXPECT_FALSE(parsePlace(wrong));
}

TEST(Arena, BuffersThatLiveTogetherDoNotOverlap) {
  std::vector<ArenaBuffer> buffers;
  uint64_t state = 1;
  auto random = [&](int64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(below));
  };
  for (int i = 0; i < 200; ++i) {
    const int64_t first = random(100);
    buffers.push_back({1 + random(5000), first, first + random(10), -1});
  }
  const int64_t size = packArena(buffers, 64);
  int64_t apart = 0;
  for (size_t i = 0; i < buffers.size(); ++i) {
    apart += buffers[i].bytes;
    EXPECT_EQ(buffers[i].offset % 64, 0);
    EXPECT_LE(buffers[i].offset + buffers[i].bytes, size);
    for (size_t j = 0; j < i; ++j) {
      const ArenaBuffer &a = buffers[i], &b = buffers[j];
      if (a.first <= b.last && b.first <= a.last) {
        EXPECT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset) << i << " " << j;
      }
    }
  }
  EXPECT_LT(size, apart / 4);
}

TEST(Arena, SmallestGapThatHoldsTheBuffer) {
  //               first three leave gaps of 128 and 64 bytes at moment 1
  std::vector<ArenaBuffer> buffers{
      {256, 0, 1, 0}, {192, 0, 0, 0}, {128, 0, 1, 0}, {64, 0, 0, 0}, {64, 1, 1, 0}};
  EXPECT_EQ(packArena(buffers, 64), 640);
  EXPECT_EQ(buffers[4].offset, 256); // the gap of the dead 192 is the only one at moment 1
  EXPECT_EQ(packArena({}, 64), 0);
}

} // namespace
} // namespace gradc
