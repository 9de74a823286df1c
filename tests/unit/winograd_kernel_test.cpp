// Kernels of Winograd's algorithm against its lines in plain loops, and those against sums in double.
#include <cmath>

#include "tests/support/contract_kernel.h"
#include "tests/support/winograd_reference.h"

namespace gradc {
namespace {

using namespace testing::contract;

const ConvCase kWinogradCases[] = {
    {16, 5, 8, 8, 7, 3, 3, {1, 1}, {1, 1, 1, 1}},    // whole tiles
    {32, 3, 13, 7, 18, 3, 3, {1, 1}, {1, 1, 1, 1}},  // no multiple of 4, several panels
    {48, 20, 9, 14, 33, 3, 3, {1, 1}, {0, 0, 0, 0}}, // no padding
    {16, 2, 3, 5, 3, 3, 3, {1, 1}, {1, 0, 2, 1}},    // smaller than a tile, lopsided
    {16, 1, 1, 1, 1, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {16, 3, 6, 11, 4, 3, 3, {1, 1}, {4, 3, 5, 4}}, // tiles of padding only
    {16, 300, 6, 9, 40, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {19, 3, 6, 7, 18, 3, 3, {1, 1}, {1, 1, 1, 1}}, // the last block is not full
    {16, 5, 8, 8, 7, 5, 5, {1, 1}, {2, 2, 2, 2}},  // 5×5
    {32, 3, 13, 7, 18, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {48, 20, 9, 14, 33, 5, 5, {1, 1}, {0, 0, 0, 0}},
    {16, 2, 5, 7, 3, 5, 5, {1, 1}, {0, 0, 2, 1}},
    {16, 1, 1, 1, 1, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {16, 3, 6, 11, 4, 5, 5, {1, 1}, {6, 5, 7, 6}},
    {19, 70, 6, 9, 40, 5, 5, {1, 1}, {2, 2, 2, 2}},
    {19, 3, 23, 26, 18, 5, 5, {1, 1}, {2, 2, 2, 2}}, // towards the weights in tiles of 4×4
    {16, 9, 32, 17, 35, 5, 5, {1, 1}, {0, 4, 3, 4}},
    {16, 3, 9, 10, 18, 4, 4, {1, 1}, {1, 2, 2, 1}}, // 4×4, 2×2
    {19, 5, 7, 12, 9, 2, 2, {1, 1}, {0, 1, 1, 0}},
};

TEST_F(ContractKernel, WinogradConv) {
  for (const ConvCase &c : kWinogradCases)
    checkAll(texts(c, true).forward("winograd"));
}

/// Images' tiles in the workspace: several groups of them, more channels of the operand than a chunk has, and a group whose
/// last tiles are not a whole register tile.
TEST_F(ContractKernel, WinogradFar) {
  const ConvCase groups{48, 40, 9, 14, 70, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase chunks{19, 150, 8, 9, 40, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase five{19, 40, 6, 9, 70, 5, 5, {1, 1}, {2, 2, 2, 2}};
  const ConvCase single{48, 20, 4, 4, 99, 3, 3, {1, 1}, {1, 1, 1, 1}};
  for (const auto &[c, bytes] :
       {std::pair{groups, 192 << 10}, {chunks, 192 << 10}, {five, 192 << 10}, {single, 64 << 10}}) {
    l2Bytes = bytes;
    checkAll(texts(c, true).forward("winograd"));
    checkAll(texts(c, true).gradInput("winograd"));
  }
}

TEST_F(ContractKernel, WinogradGradInput) {
  for (const ConvCase &c : kWinogradCases)
    checkAll(texts(c, true).gradInput("winograd"));
}

TEST_F(ContractKernel, WinogradGradWeight) {
  for (const ConvCase &c : kWinogradCases) {
    if (c.channels > 100) // the reference takes long, and depth is no special case
      continue;
    checkAll(texts(c, true).gradWeight("winograd"));
  }
}

/// Segments of the tiles, slabs in a worker's memory and in the workspace, parts of the channels; all tiles in one
/// slab, of one segment and of two; of few tiles, whose products and results are one step, in blocks of rows and
/// unequal panels; segments of one slab that are added in pairs, and of two.
TEST_F(ContractKernel, WinogradGradWeightInSlabs) {
  const ConvCase segments{48, 5, 18, 22, 35, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase oneSegment{16, 5, 14, 18, 35, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase parts{32, 5, 18, 14, 150, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase twoSegments{32, 40, 18, 14, 35, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase sixteen{16, 9, 32, 17, 35, 5, 5, {1, 1}, {0, 4, 3, 4}};
  const ConvCase blocks{16, 70, 7, 5, 101, 3, 3, {1, 1}, {1, 1, 1, 1}};
  const ConvCase blocksOfFour{19, 57, 6, 4, 70, 4, 4, {1, 1}, {1, 2, 2, 1}};
  for (const auto &[c, bytes] : {std::pair{segments, 32 << 10},
                                 {blocks, 256 << 10},
                                 {blocksOfFour, 256 << 10},
                                 {sixteen, 384 << 10},
                                 {sixteen, 256 << 10},
                                 {segments, 448 << 10},
                                 {segments, 1 << 20},
                                 {oneSegment, 32 << 10},
                                 {oneSegment, 256 << 10},
                                 {parts, 256 << 10},
                                 {twoSegments, 256 << 10}}) {
    l2Bytes = bytes;
    checkAll(texts(c, true).gradWeight("winograd"));
  }
}

/// The error that docs/kernels.md states, against sums in double. The reference's bits are the kernels'.
TEST(WinogradError, IsAsStated) {
  fusedClass = true;
  for (const int64_t size : {2, 3, 4, 5})
    for (const int64_t channels : {16, 64, 256, 512}) {
      const int64_t extent = 12, result = 13 - size, taps = size * size;
      const Shape in{1, channels, extent, extent}, out{1, 2, result, result};
      const Floats x = randomFloats(in.elements(), 1), w = randomFloats(2 * channels * taps, 2);
      const Floats y = referenceWinograd(in, out, 0, 0, size, x, [&](int64_t o, int64_t c) {
        const auto first = w.begin() + (o * channels + c) * taps;
        return Floats(first, first + taps);
      });
      double worst = 0;
      for (int64_t i = 0; i < out.elements(); ++i) {
        const int64_t o = i / (result * result), h = i / result % result, v = i % result;
        double sum = 0, magnitude = 0;
        for (int64_t k = 0; k < channels * taps; ++k) {
          const int64_t row = h + k / size % size, column = v + k % size;
          const double term =
              double(w[o * channels * taps + k]) * x[(k / taps * extent + row) * extent + column];
          sum += term;
          magnitude += std::abs(term);
        }
        worst = std::max(worst, std::abs(y[i] - sum) / magnitude);
      }
      EXPECT_LE(worst, 5e-7) << size << "×" << size << ", " << channels << " channels";
    }
}

/// The largest error of a gradient of weights of maps with that extent, of the sum of the products' magnitudes.
double worstTowardsWeights(int64_t size, int64_t tile, int64_t examples, int64_t extent, int64_t segments,
                           bool rectified) {
  const int64_t taps = size * size;
  Operation op{nullptr, {}, {}, {}, {}};
  op.a.shape = Shape{examples, 2, extent, extent};
  op.b.shape = Shape{examples, 3, extent, extent};
  op.result.shape = Shape{3, 2, size, size};
  op.attrs.set("padding", std::vector<int64_t>(4, size / 2));
  Floats x = randomFloats(op.a.elements(), 1), dy = randomFloats(op.b.elements(), 2);
  for (float &value : x)
    value = rectified ? std::max(value, 0.f) : value;
  const Floats dw = referenceWinogradWeight(op, tile, segments, x, dy);
  double worst = 0;
  for (int64_t i = 0; i < op.result.elements(); ++i) {
    const int64_t o = i / taps / 2, c = i / taps % 2;
    double sum = 0, magnitude = 0;
    for (int64_t place = 0; place < examples * extent * extent; ++place) {
      const int64_t n = place / extent / extent, h = place / extent % extent, v = place % extent;
      const int64_t row = h + i / size % size - size / 2, column = v + i % size - size / 2;
      if (row < 0 || column < 0 || row >= extent || column >= extent)
        continue;
      const double term = double(dy[((n * 3 + o) * extent + h) * extent + v]) *
                          x[((n * 2 + c) * extent + row) * extent + column];
      sum += term;
      magnitude += std::abs(term);
    }
    worst = std::max(worst, std::abs(dw[i] - sum) / magnitude);
  }
  return worst;
}

/// The maps of CIFAR VGG, AlexNet and ResNet-18.
TEST(WinogradError, TowardsWeightsIsAsStated) {
  fusedClass = true;
  for (const bool rectified : {false, true}) {
    EXPECT_LE(worstTowardsWeights(3, 4, 64, 32, 8, rectified), 1e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 64, 16, 4, rectified), 1e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 16, 13, 1, rectified), 2.5e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 32, 8, 1, rectified), 2.5e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 1, 8, 1, rectified), 5.6e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 9, 4, 1, rectified), 3.5e-7);
    EXPECT_LE(worstTowardsWeights(3, 4, 4, 4, 1, rectified), 3.5e-7);
    EXPECT_LE(worstTowardsWeights(5, 2, 1, 27, 8, rectified), 5e-7);
    EXPECT_LE(worstTowardsWeights(5, 4, 16, 27, 16, rectified), 5e-7);
  }
}

} // namespace
} // namespace gradc
