#include "lab.h"
#include "nvrtc.h"
#include <fmt/format.h>
#include <fstream>
#include <sstream>

namespace cudasim::test {
namespace {

// One compilation for all tests of an architecture.
const std::string &ptxOf(const std::string &file, int architecture) {
  static std::map<std::pair<std::string, int>, std::string> cache;
  auto [found, isNew] = cache.try_emplace({file, architecture});
  if (!isNew)
    return found->second;
  std::string why;
  const Nvrtc *nvrtc = Nvrtc::get(why);
  std::ifstream stream(fmt::format("{}/{}.cu", CUDASIM_KERNELS, file));
  std::stringstream source;
  source << stream.rdbuf();
  auto ptx = nvrtc->compile(source.str(), fmt::format("compute_{}", architecture));
  EXPECT_TRUE(ptx) << file << ": " << (ptx ? "" : ptx.error());
  if (ptx)
    found->second = *ptx;
  return found->second;
}

} // namespace

void Corpus::SetUp() {
  std::string why;
  if (!Nvrtc::get(why))
    GTEST_SKIP() << "skipped: " << why;
}

const Kernel *Corpus::find(const std::string &file, const char *kernel) {
  auto &module = modules[file];
  if (!module) {
    auto loaded =
        Module::load(ptxOf(file, GetParam()), memory, findProfile("sm_" + std::to_string(GetParam())));
    EXPECT_TRUE(loaded) << file << ": " << (loaded ? "" : loaded.error().text);
    if (!loaded)
      return nullptr;
    module = std::move(*loaded);
  }
  return module->kernel(kernel);
}

std::vector<float> Corpus::numbers(size_t size, float low, float high) {
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(size);
  for (float &value : values)
    value = distribution(generator);
  return values;
}

INSTANTIATE_TEST_SUITE_P(Architectures, Corpus, testing::Values(75, 80, 90, 100, 120),
                         [](const auto &info) { return fmt::format("compute_{}", info.param); });

} // namespace cudasim::test
