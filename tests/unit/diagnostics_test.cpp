#include "support/diagnostics.h"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

#include "support/check.h"

namespace gradc {
namespace {

TEST(Diagnostics, RendersTheLineWithACaret) {
  Diagnostics diag;
  diag.addSource("m.json", "{\n  \"kernl\": 5\n}\n");
  (void)diag.error({"m.json", 2, 3}, "conv2d has no attribute '{}'", "kernl");
  diag.note({"m.json", 1, 1}, "the node begins here");
  EXPECT_EQ(diag.render(), "m.json:2:3: error: conv2d has no attribute 'kernl'\n"
                           "  \"kernl\": 5\n"
                           "  ^\n"
                           "m.json:1:1: note: the node begins here\n"
                           "{\n"
                           "^\n");
  EXPECT_TRUE(diag.hasErrors());
}

TEST(Diagnostics, CountsErrorsOnly) {
  Diagnostics diag;
  diag.warning({}, "w");
  diag.remark({}, "r");
  EXPECT_FALSE(diag.hasErrors());
  EXPECT_EQ(diag.render(), "gradc: warning: w\ngradc: remark: r\n");
  (void)diag.error({}, "e");
  EXPECT_EQ(diag.errorCount(), 1u);
}

TEST(Diagnostics, FusedPlacesShowTheFirst) {
  Diagnostics diag;
  Location fused;
  fused.fused = {{}, {"a.gir", 3, 7}, {"a.gir", 9, 1}};
  (void)diag.error(fused, "x");
  EXPECT_EQ(diag.render(), "a.gir:3:7: error: x\n");
}

TEST(Diagnostics, CaretAlignsUnderTabsAndUtf8) {
  Diagnostics diag;
  diag.addSource("f", "\t\xC3\xA4\x01 x");
  (void)diag.error({"f", 1, 6}, "e");
  EXPECT_EQ(diag.render(), "f:1:6: error: e\n\t\xC3\xA4  x\n\t   ^\n");
}

TEST(Diagnostics, CutsLongLines) {
  Diagnostics diag;
  diag.addSource("f", std::string(1000, 'a') + "X" + std::string(1000, 'b'));
  (void)diag.error({"f", 1, 1001}, "e");
  std::string text = diag.render();
  EXPECT_LT(text.size(), 400u);
  size_t line = text.find('\n') + 1, below = text.find('\n', line) + 1;
  EXPECT_EQ(text.find('X') - line, text.find('^') - below);
}

TEST(Diagnostics, PlacesOutsideTheTextAreHarmless) {
  Diagnostics diag;
  diag.addSource("f", "abc");
  (void)diag.error({"f", 7, 9}, "e");
  EXPECT_EQ(diag.render(), "f:7:9: error: e\n\n^\n");
}

TEST(NearestName, ProposesWithinAThird) {
  EXPECT_EQ(nearestName("kernl", {"stride", "kernel"}), "kernel");
  EXPECT_EQ(nearestName("ReLU", {"elu", "relu"}), "relu");
  EXPECT_EQ(nearestName("mtamul", {"matmul"}), "matmul");
  EXPECT_EQ(nearestName("xyz", {"add", "sub"}), "");
  EXPECT_EQ(nearestName("aab", {"aac", "aad"}), "aac");
  EXPECT_EQ(proposal("kernl", {"kernel"}), "; did you mean 'kernel'?");
  EXPECT_EQ(proposal("q", {"kernel"}), "");
  EXPECT_EQ(nearestName(std::string(1 << 20, 'a'), {"aaa"}), "");
}

TEST(Check, ExitsWith70AndWritesTheReproducer) {
  auto hook = [](void *) { return std::string("repro.gir"); };
  EXPECT_EXIT(
      {
        unsetenv("GRADC_ABORT_ON_INTERNAL");
        setReproducer({hook, nullptr});
        CHECK(1 > 2, "one is {}", 1);
      },
      testing::ExitedWithCode(70), "internal error: .*: 1 > 2: one is 1\n.*please report it\n.*'repro.gir'");
}

TEST(Check, AbortsWhereAsked) {
  EXPECT_EXIT(
      {
        setenv("GRADC_ABORT_ON_INTERNAL", "1", 1);
        CHECK(false);
      },
      testing::KilledBySignal(SIGABRT), "internal error");
}

} // namespace
} // namespace gradc
