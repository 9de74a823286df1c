// The phases of an input's pixels cover each pair of a pixel and a window that holds it by a tap, once.
#include "ir/implicit_product.h"

#include <set>
#include <tuple>

#include <gtest/gtest.h>

namespace gradc {
namespace {

Window windowOf(int64_t input, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  const int64_t output = (input + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
  return {.input = {input, 1},
          .output = {output, 1},
          .kernel = {kernel, 1},
          .stride = {stride, 1},
          .dilation = {dilation, 1},
          .padLow = {pad, 0},
          .padHigh = {pad, 0}};
}

using Meeting = std::tuple<int64_t, int64_t, int64_t>; // pixel, tap, window

std::set<Meeting> meetingsOf(const Window &window) {
  std::set<Meeting> all;
  for (int64_t o = 0; o < window.output[0]; ++o)
    for (int64_t k = 0; k < window.kernel[0]; ++k)
      if (const int64_t at = window.at(0, o, k); at >= 0 && at < window.input[0])
        all.emplace(at, k, o);
  return all;
}

void expectCovered(const Window &window) {
  std::set<Meeting> found;
  std::set<int64_t> pixels;
  for (const ConvolutionPhase &phase : inputPhases(window)) {
    bool lacks = false;
    for (int64_t u = 0; u < phase.pixels[0]; ++u) {
      const int64_t pixel = phase.firstPixel[0] + window.stride[0] * u;
      EXPECT_TRUE(pixels.insert(pixel).second);
      for (int64_t t = 0; t < phase.taps[0]; ++t) {
        const int64_t o = u + phase.firstWindow[0] - phase.windowStep[0] * t;
        if (o >= 0 && o < window.output[0])
          EXPECT_TRUE(found.emplace(pixel, phase.firstTap[0] + phase.tapStep[0] * t, o).second);
        else
          lacks = true;
      }
    }
    if (phase.taps[0] > 0) {
      EXPECT_EQ(phase.lacksWindows(window), lacks);
    }
  }
  EXPECT_EQ(found, meetingsOf(window));
  EXPECT_EQ(std::ssize(pixels), window.input[0]);
}

TEST(ImplicitProduct, PhasesCoverEachMeetingOnce) {
  for (int64_t kernel : {1, 2, 3, 5})
    for (int64_t stride : {1, 2, 3, 4})
      for (int64_t dilation : {1, 2, 3})
        for (int64_t pad : {0, 1, 2})
          for (int64_t input : {13, 14, 16}) {
            SCOPED_TRACE(::testing::Message() << "kernel " << kernel << ", stride " << stride << ", dilation "
                                              << dilation << ", padding " << pad << ", input " << input);
            expectCovered(windowOf(input, kernel, stride, dilation, pad));
          }
}

TEST(ImplicitProduct, AStrideSavesTheTapsThatAPixelNeverMeets) {
  const Convolution conv{.window = windowOf(16, 3, 2, 1, 1), .batch = 4, .channels = 6, .filters = 8};
  const ImplicitProduct whole{.rows = 6, .columns = 4 * 16, .depth = 3 * 8};
  double multiplications = 0;
  for (const ConvolutionPhase &phase : inputPhases(conv.window))
    multiplications += phaseProduct(whole, conv, phase).multiplications();
  EXPECT_EQ(multiplications, whole.multiplications() / 2);
}

} // namespace
} // namespace gradc
