#include "codegen/cpu/contract/conv_axis.h"

#include <algorithm>

#include "support/check.h"

namespace gradc {

ConvAxis ConvAxis::forward(int64_t inSize, int64_t outSize, int64_t kernel, int64_t stride, int64_t dilation,
                           int64_t padding) {
  return {
      inSize,
      {{.count = outSize, .taps = kernel, .inStart = -padding, .inPerOut = stride, .inPerTap = dilation}}};
}

ConvAxis ConvAxis::gradInput(int64_t inputSize, int64_t gradSize, int64_t kernel, int64_t stride,
                             int64_t dilation, int64_t padding) {
  CHECK(stride == 1 || dilation == 1);
  ConvAxis axis{gradSize, {}};
  for (int64_t phase = 0; phase < std::min(stride, inputSize); ++phase) {
    // input = out · stride - padding + tap · dilation, solved for out.
    const int64_t tapStart = (phase + padding) % stride;
    axis.phases.push_back({.outStart = phase,
                           .outStep = stride,
                           .count = ceilDiv(inputSize - phase, stride),
                           .tapStart = tapStart,
                           .tapStep = stride,
                           .taps = std::max<int64_t>(0, ceilDiv(kernel - tapStart, stride)),
                           .inStart = (phase + padding - tapStart) / stride,
                           .inPerOut = 1,
                           .inPerTap = -dilation});
  }
  return axis;
}

int hostPhase(const ConvAxis &axis, int number) {
  const ConvPhase &guest = axis.phases[number];
  if (guest.taps > 0)
    return number;
  const auto host = std::ranges::find_if(
      axis.phases, [&](const ConvPhase &phase) { return phase.taps > 0 && phase.count >= guest.count; });
  return host == axis.phases.end() ? number : static_cast<int>(host - axis.phases.begin());
}

std::vector<int> hostPhases(const ConvAxis &axis) {
  std::vector<int> phases;
  for (int phase = 0; phase < std::ssize(axis.phases); ++phase)
    if (hostPhase(axis, phase) == phase)
      phases.push_back(phase);
  return phases;
}

TapFacts tapFacts(const ConvPhase &phase, int64_t inSize) {
  TapFacts facts;
  for (int64_t j = 0; j < phase.count; ++j) {
    int64_t taps = 0;
    for (int64_t t = 0; t < phase.taps; ++t)
      taps += phase.exists(j, t, inSize);
    facts.always &= taps == phase.taps;
    facts.sometimesNone |= taps == 0;
  }
  return facts;
}

bool PixelRun::complete() const {
  const uint32_t all = (1u << run.size) - 1;
  return std::ranges::all_of(taps, [&](uint32_t mask) { return mask == all; });
}

std::vector<PixelRun> pixelRuns(const ConvPhase &phase, int64_t inSize, int64_t maxSize) {
  std::vector<PixelRun> runs;
  for (const TileRun &tiles : balancedTiles(phase.count, maxSize)) {
    for (int64_t start = tiles.start; start < tiles.end(); start += tiles.size) {
      std::vector<uint32_t> taps(phase.taps, 0);
      for (int64_t t = 0; t < phase.taps; ++t)
        for (int64_t j = 0; j < tiles.size; ++j)
          taps[t] |= static_cast<uint32_t>(phase.exists(start + j, t, inSize)) << j;
      if (!runs.empty() && runs.back().run.size == tiles.size && runs.back().taps == taps)
        ++runs.back().run.count;
      else
        runs.push_back({{start, tiles.size, 1}, std::move(taps)});
    }
  }
  return runs;
}

} // namespace gradc
