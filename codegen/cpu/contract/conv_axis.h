// Which positions of an operand the taps of a convolution's kernel meet, along one dimension, and where they meet none: a
// tap that would read padding does not exist.
#pragma once

#include <cstdint>
#include <vector>

#include "support/tiling.h"

namespace gradc {

/// How the positions of a result and the taps of a kernel address the positions of an operand along one dimension:
/// result position outStart + outStep·j and tap tapStart + tapStep·t read position inStart + inPerOut·j + inPerTap·t,
/// where that lies in the operand. A gradient with stride s has s such phases, everything else one.
struct ConvPhase {
  int64_t outStart = 0, outStep = 1, count = 1;
  int64_t tapStart = 0, tapStep = 1, taps = 1;
  int64_t inStart = 0, inPerOut = 1, inPerTap = 1;

  /// Whether tap t of result position j lies in an operand of that size.
  bool exists(int64_t j, int64_t t, int64_t inSize) const {
    const int64_t in = inStart + inPerOut * j + inPerTap * t;
    return in >= 0 && in < inSize;
  }
};

struct ConvAxis {
  int64_t inSize = 1;
  std::vector<ConvPhase> phases;

  static ConvAxis forward(int64_t inSize, int64_t outSize, int64_t kernel, int64_t stride, int64_t dilation,
                          int64_t padding);
  /// The operand is the result's gradient. Stride and dilation must not both exceed 1.
  static ConvAxis gradInput(int64_t inputSize, int64_t gradSize, int64_t kernel, int64_t stride,
                            int64_t dilation, int64_t padding);
};

/// The phase whose items store the rows of phase `number`: itself, but for rows that no tap reaches another with as many
/// rows, whose multiply-adds hide the stores.
int hostPhase(const ConvAxis &axis, int number);
/// Phases with items of their own.
std::vector<int> hostPhases(const ConvAxis &axis);

/// Which taps the result positions of a phase have.
struct TapFacts {
  bool always = true; // every tap exists everywhere
  bool sometimesNone = false;
};
TapFacts tapFacts(const ConvPhase &phase, int64_t inSize);

/// Tiles of neighbouring pixels for which the same taps exist: bit j of taps[t] says that tap t reads the operand
/// for pixel j of the tile.
struct PixelRun {
  TileRun run;
  std::vector<uint32_t> taps;

  bool complete() const;
};
std::vector<PixelRun> pixelRuns(const ConvPhase &phase, int64_t inSize, int64_t maxSize);

} // namespace gradc
