#include "codegen/cpu/target.h"

#include <iterator>
#include <sstream>

#include <gtest/gtest.h>

namespace gradc {
namespace {

std::set<std::string, std::less<>> features(std::initializer_list<const char *> groups) {
  std::set<std::string, std::less<>> all;
  for (const char *group : groups) {
    std::istringstream names(group);
    all.insert(std::istream_iterator<std::string>(names), {});
  }
  return all;
}

constexpr const char *kV2 = "sse4.2 popcnt cx16", *kV3 = "avx avx2 fma bmi bmi2 f16c lzcnt movbe adx rdseed",
                     *kV4 = "avx512f avx512bw avx512dq avx512vl avx512cd",
                     *kIceLake = "clwb avx512vbmi2 avx512vnni gfni vaes vpclmulqdq",
                     *kSapphireRapids = "avx512fp16 avx512bf16 avxvnni", *kAmd = "sse4a clzero";

TEST(CpuTarget, NameFromFeatures) {
  EXPECT_EQ(processorWith({}), "x86-64");
  EXPECT_EQ(processorWith(features({kV2})), "x86-64-v2");
  EXPECT_EQ(processorWith(features({kV2, "avx"})), "sandybridge");
  EXPECT_EQ(processorWith(features({kV2, kV3})), "haswell");
  EXPECT_EQ(processorWith(features({kV2, kV3, kV4})), "skylake-avx512");
  EXPECT_EQ(processorWith(features({kV2, kV3, kV4, kIceLake})), "icelake-server");
  EXPECT_EQ(processorWith(features({kV2, kV3, kV4, kIceLake, kSapphireRapids, "amx-bf16"})),
            "sapphirerapids");
  EXPECT_EQ(processorWith(features({kV2, kV3, kV4, kIceLake, kSapphireRapids})),
            "sapphirerapids"); // tiles are hidden
}

TEST(CpuTarget, AmdsByTheirOwnInstructions) {
  EXPECT_EQ(processorWith(features({kV2, kV3, kAmd})), "haswell"); // Zen 1
  EXPECT_EQ(processorWith(features({kV2, kV3, kAmd, "clwb"})), "znver2");
  EXPECT_EQ(processorWith(features({kV2, kV3, kAmd, "clwb vaes vpclmulqdq"})), "znver3");
  EXPECT_EQ(processorWith(features({kV2, kV3, kV4, kIceLake, kAmd, "avx512bf16"})), "znver4");
  EXPECT_EQ(processorWith(features({kV2, kV3, kV4, kIceLake, kAmd, "avx512bf16 avxvnni avx512vp2intersect"})),
            "znver5");
}

} // namespace
} // namespace gradc
