// Kernels of direct convolutions and their gradients against chains of fmaf in the canonical order.
#include "tests/support/contract_kernel.h"

namespace gradc {
namespace {

using namespace testing::contract;

const ConvCase kConvCases[] = {
    {64, 1, 28, 28, 6, 5, 5, {1, 1}, {2, 2, 2, 2}}, // LeNet-5, first
    {32, 6, 14, 14, 16, 5, 5},                      // LeNet-5, second
    {16, 3, 9, 7, 5, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {16, 4, 8, 9, 6, 3, 2, {2, 2}, {1, 0, 0, 1}},
    {32, 2, 11, 11, 3, 3, 3, {3, 2}, {2, 2, 2, 2}},
    {16, 6, 10, 10, 4, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}, 2}, // dilated, grouped
    {16, 4, 7, 6, 8, 1, 1},                                    // 1×1
    {16, 8, 5, 5, 8, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 8},   // depthwise
    {16, 2, 4, 4, 3, 3, 3, {1, 1}, {3, 3, 3, 3}},              // rows and columns of padding only
    {16, 2, 1, 40, 2, 1, 9, {1, 4}, {0, 0, 4, 4}},
    {16, 3, 6, 6, 2, 2, 2, {1, 1}, {0, 0, 0, 0}, {3, 3}},
    {16, 2, 5, 5, 3, 1, 1, {2, 2}, {1, 1, 1, 1}}, // strided 1×1: elements without a tap
    {16, 1, 4, 3, 20, 3, 3, {1, 1}, {1, 1, 1, 1}},
    // Enough channels for packed weights and packed rows of the operand, forward or backward or both.
    {32, 24, 7, 5, 26, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {16, 64, 5, 4, 22, 3, 3, {1, 1}, {1, 0, 0, 1}},            // pixels of a page
    {16, 24, 9, 8, 23, 3, 3, {2, 2}, {1, 1, 1, 1}},            // phases
    {16, 22, 7, 8, 24, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}},    // dilated
    {16, 44, 5, 5, 46, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2}, // grouped
    {16, 64, 3, 4, 70, 1, 1},                                  // 1×1
    {16, 70, 5, 5, 64, 1, 1, {2, 2}},                          // 1×1, phases without a tap
    {48, 70, 6, 5, 64, 1, 1, {2, 2}},                          // as many rows without as with a tap
    {17, 130, 6, 7, 132, 1, 1, {3, 2}, {0, 0, 0, 0}, {1, 1}, 2},
    {48, 70, 3, 5, 68, 1, 1}, // 1×1, whole planes of three blocks
    {16, 13, 6, 6, 14, 5, 5, {3, 2}, {2, 2, 2, 2}},
    {60, 1, 12, 12, 6, 5, 5, {1, 1}, {2, 2, 2, 2}}, // the last block is not full
    {1, 3, 6, 5, 4, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {17, 4, 5, 5, 6, 1, 1},
    {31, 4, 6, 6, 4, 3, 2, {2, 2}, {1, 0, 0, 1}, {1, 1}, 2},
    {32, 2, 15, 14, 5, 3, 3, {1, 1}, {1, 1, 1, 1}}, // weight gradient kernel row by kernel row
};

TEST_F(ContractKernel, Conv) {
  for (const ConvCase &c : kConvCases)
    checkAll(texts(c, true).forward());
}

/// Weights enough to be packed through registers: tiles that are no part of a vector, and taps of two.
TEST_F(ContractKernel, ConvOfManyWeights) {
  for (const ConvCase &c : {ConvCase{16, 85, 3, 4, 87, 3, 3, {1, 1}, {1, 1, 1, 1}},
                            ConvCase{16, 106, 4, 3, 50, 5, 5, {1, 1}, {2, 2, 2, 2}, {1, 1}, 2},
                            ConvCase{16, 8, 3, 3, 2100, 2, 2}}) {
    checkAll(texts(c, true).forward());
    checkAll(texts(c, true).gradInput());
  }
}

/// So many groups that items of whole images are enough.
TEST_F(ContractKernel, ConvOfManyGroups) {
  checkAll(texts({16, 256, 4, 3, 704, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 32}, true).forward());
}

TEST_F(ContractKernel, ConvGradInput) {
  for (const ConvCase &c : kConvCases)
    checkAll(texts(c, true).gradInput());
}

TEST_F(ContractKernel, ConvGradWeight) {
  for (const ConvCase &c : kConvCases)
    checkAll(texts(c, true).gradWeight());
}

/// Items of several tiles of channels: what is read of the input serves all of them.
TEST_F(ContractKernel, ConvGradWeightOfLargeImages) {
  l2Bytes = 64 << 10;
  for (const ConvCase &c :
       {ConvCase{16, 3, 9, 160, 70, 5, 5, {2, 2}, {2, 1, 2, 0}}, ConvCase{32, 10, 16, 14, 90, 1, 1, {2, 2}},
        ConvCase{16, 4, 9, 160, 44, 5, 5, {2, 2}, {2, 1, 2, 0}, {1, 1}, 2},
        // all taps, several tiles of both sides' channels in each step of an item
        ConvCase{40, 9, 12, 11, 70, 3, 3, {1, 1}, {1, 1, 1, 1}},
        ConvCase{32, 10, 17, 18, 70, 3, 3, {2, 2}, {1, 1, 0, 1}, {1, 1}, 2},
        // 1×1 with strides, whose pixels are gathered first; not where the last position lies in the padding
        ConvCase{32, 12, 9, 8, 90, 1, 1, {2, 2}}, ConvCase{32, 12, 9, 8, 90, 1, 1, {2, 2}, {0, 0, 0, 2}},
        ConvCase{40, 30, 7, 11, 120, 1, 1, {1, 3}, {0, 0, 0, 0}, {1, 1}, 2}})
    checkAll(texts(c, true).gradWeight());
}

const ConvCase kPixelCases[] = {
    {1, 1, 28, 28, 6, 5, 5, {1, 1}, {2, 2, 2, 2}}, // LeNet-5, first: vectors run over the ends of rows
    {2, 6, 14, 14, 16, 5, 5},                      // LeNet-5, second: a vector is a row
    {3, 3, 9, 7, 5, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {4, 4, 8, 37, 6, 3, 2, {1, 1}, {1, 0, 0, 0}},             // several vectors a row
    {1, 4, 8, 9, 6, 3, 2, {2, 2}, {1, 0, 0, 1}},              // strided: shuffles, phases
    {2, 3, 9, 65, 5, 3, 3, {1, 2}, {0, 0, 0, 0}},             // whole vectors, to the end of the map
    {1, 2, 5, 97, 4, 3, 3, {1, 3}, {1, 1, 1, 1}},             //
    {1, 3, 21, 79, 4, 11, 11, {4, 4}, {2, 2, 2, 2}},          //
    {1, 2, 9, 90, 3, 2, 3, {2, 5}, {0, 0, 1, 1}},             // gathers
    {2, 4, 9, 32, 4, 3, 3, {2, 2}, {1, 1, 1, 1}, {1, 1}, 4},  // depthwise, strided
    {5, 2, 11, 41, 3, 3, 3, {3, 2}, {2, 2, 2, 2}},            //
    {2, 6, 10, 10, 4, 3, 3, {1, 1}, {2, 2, 2, 2}, {2, 2}, 2}, // dilated, grouped
    {1, 4, 7, 6, 8, 1, 1},                                    // 1×1
    {2, 8, 5, 5, 8, 3, 3, {1, 1}, {1, 1, 1, 1}, {1, 1}, 8},   // depthwise
    {1, 2, 4, 4, 3, 3, 3, {1, 1}, {3, 3, 3, 3}},              // rows and columns of padding only
    {2, 2, 1, 40, 2, 1, 9, {1, 4}, {0, 0, 4, 4}},
    {1, 3, 6, 6, 2, 2, 2, {1, 1}, {0, 0, 0, 0}, {3, 3}},
    {1, 2, 5, 5, 3, 1, 1, {2, 2}, {1, 1, 1, 1}}, // strided 1×1: elements without a tap
    {16, 1, 4, 3, 20, 3, 3, {1, 1}, {1, 1, 1, 1}},
    {1, 5, 1, 1, 3, 1, 1},
    {1, 2, 6, 5, 3, 3, 3, {1, 1}, {0, 2, 1, 1}}, // as wide, not as high
};

TEST_F(ContractKernel, ConvPixels) {
  for (const ConvCase &c : kPixelCases)
    checkAll(texts(c, false).forward());
}

TEST_F(ContractKernel, ConvPixelsGradInput) {
  for (const ConvCase &c : kPixelCases)
    checkAll(texts(c, false).gradInput());
}

TEST_F(ContractKernel, ConvPixelsGradWeight) {
  for (const ConvCase &c : kPixelCases)
    checkAll(texts(c, false).gradWeight("pixels"));
}

/// Longer sums than an item keeps in registers, of several images and phases.
TEST_F(ContractKernel, ConvPixelsGradWeightInSmallCaches) {
  l2Bytes = 8 << 10;
  for (const ConvCase &c : {ConvCase{3, 5, 33, 40, 19, 3, 3, {1, 1}, {1, 1, 1, 1}},
                            ConvCase{2, 5, 33, 40, 19, 5, 3, {2, 2}, {2, 2, 1, 1}},
                            ConvCase{5, 18, 13, 15, 35, 1, 1}, ConvCase{5, 18, 26, 15, 35, 1, 1, {2, 3}}})
    checkAll(texts(c, false).gradWeight("pixels"));
}

/// Batches that fill no block, one, and a part of the next.
TEST_F(ContractKernel, ConvOfEveryBatch) {
  for (int64_t n = 1; n <= 17; ++n) {
    ConvCase c{n, 2, 6, 5, 3, 3, 3, {1, 1}, {1, 1, 1, 1}};
    for (bool n16 : {true, false}) {
      const ConvTexts t = texts(c, n16);
      check(t.forward(), "native", {0, 0}, 1);
      check(t.gradInput(), "native", {0, 0}, 2);
      check(t.gradWeight(), "native", {0, 0}, 3);
    }
  }
}

/// What does not fit the cache is cut: images into blocks and bands.
TEST_F(ContractKernel, ConvInSmallCaches) {
  uint32_t seed = 1;
  l2Bytes = 4 << 10;
  for (const ConvCase &c : kConvCases) {
    const ConvTexts t = texts(c, true);
    check(t.forward(), "native", {0, 0}, seed++);
    check(t.gradWeight(), "native", {0, 0}, seed++);
  }
}

/// Other layouts take the generic path, in the same order of operations.
TEST_F(ContractKernel, ConvGeneric) {
  for (ConvCase c :
       {ConvCase{3, 2, 5, 6, 3, 3, 3, {1, 1}, {1, 1, 1, 1}}, ConvCase{16, 2, 4, 4, 2, 2, 2, {2, 2}},
        ConvCase{19, 2, 4, 4, 2, 2, 2}, ConvCase{5, 4, 6, 7, 6, 3, 2, {2, 1}, {2, 1, 0, 1}, {1, 2}, 2}}) {
    const ConvTexts t = texts(c, false), lanes = texts(c, true);
    ConvTexts fromLanes = t;
    fromLanes.x = lanes.x;
    check(fromLanes.forward(), "native", {0, 0}, 1);
    fromLanes = t;
    fromLanes.y = lanes.y;
    check(fromLanes.gradInput(), "native", {0, 0}, 2);
    check(t.gradWeight(), "native", {0, 0}, 3);
  }
}

} // namespace
} // namespace gradc
