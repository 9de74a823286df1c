#include "codegen/cuda/filters.h"

#include <algorithm>
#include <bit>

#include "codegen/cuda/tile_steps.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kLines = 32, kWarps = kCudaThreads / kLines, kVector = 4;
constexpr int64_t kElements = 2048; // of a block, about

/// Filters as lines, one a row of the packed form, each of which lies in one piece: of conv2d a filter of a group, of its
/// gradient a channel of one filter.
struct Lines {
  int64_t outer, count, length, stride; // lines of an outer part; elements of a line, between lines
};

Lines linesOf(const Convolution &conv, bool forward) {
  const int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const int64_t channels = conv.channels / conv.groups, filters = conv.filters / conv.groups;
  return forward ? Lines{conv.groups, filters, channels * taps, channels * taps}
                 : Lines{conv.filters, channels, taps, taps};
}

} // namespace

PackedFilters packedFilters(const ImplicitProduct &product) {
  return {product.batch, product.depth, product.rows, ceilDiv(product.rows, kVector) * kVector};
}

/// Pieces of 32 lines go through shared memory, so that both reads and writes are of neighbours. A block has several
/// where they are short.
CudaStep emitPackedFilters(const CudaContraction &c, const ImplicitProduct &product) {
  const Convolution conv = convolutionOf(c.k.fn, c.op);
  const PackedFilters packed = packedFilters(product);
  const bool forward = c.data().def->name == "conv2d";
  const int64_t taps = conv.window.kernel[0] * conv.window.kernel[1];
  const Lines lines = linesOf(conv, forward);
  const int64_t width = std::min(kLines, lines.length), pitch = width | 1; // no bank twice
  const int64_t across = ceilDiv(lines.length, width), down = ceilDiv(packed.filledRows, kLines);
  const auto most = static_cast<uint64_t>(std::clamp<int64_t>(kElements / (kLines * width), 1, lines.outer));
  const auto pieces = static_cast<int64_t>(std::bit_floor(most)); // which most numbers of filters divide by

  CudaStepWriter w(c.k, "_pack", true);
  CudaText &t = w.text;
  const std::string piece = w.sharedArray("piece", DType::F32, pieces * kLines * pitch);
  const std::string first =
      t.define("int", "first", fmt::format("{} * {}", cudaRemainder("block", across), width));
  const std::string row0 = t.define(
      "int", "row0", fmt::format("{} * {}", cudaRemainder(cudaQuotient("block", across), down), kLines));
  const std::string outer0 =
      t.define("int", "outer0", fmt::format("{} * {}", cudaQuotient("block", across * down), pieces));
  const bool even = lines.outer % pieces == 0;
  // Lines that touch are read as one; an odd pitch keeps their writes apart, too.
  const bool flat = width == pitch && width == lines.stride;
  const int64_t lanes = flat ? width : kLines;
  t.open("for (int i = threadIdx.x; i < {}; i += {})", pieces * kLines * lanes, kCudaThreads);
  {
    const std::string line = t.define("int", "line", cudaQuotient("i", lanes)),
                      in = t.define("int", "in", cudaRemainder("i", lanes));
    const std::string row = t.define("int", "row", fmt::format("{} + {}", row0, cudaRemainder(line, kLines)));
    const std::string outer =
        t.define("int", "outer", fmt::format("{} + {}", outer0, cudaQuotient(line, kLines)));
    t.line("if ({}{}{} < {} && {} + {} < {})", width < lanes ? fmt::format("{} < {} && ", in, width) : "",
           even ? "" : fmt::format("{} < {} && ", outer, lines.outer), row, lines.count, first, in,
           lines.length);
    t.line("  {}[{} * {} + {}] = {}[({} * {}LL + {}) * {} + {} + {}];", piece, line, pitch, in,
           c.pointer(w, 1), outer, lines.count, row, lines.stride, first, in);
  }
  t.close();
  w.barrier();
  const std::string lane = t.define("int", "lane_line", fmt::format("int(threadIdx.x) % {}", kLines));
  const std::string row = t.define("int", "row", fmt::format("{} + {}", row0, lane));
  t.open("for (int i = int(threadIdx.x) / {}; i < {}; i += {})", kLines, pieces * width, kWarps);
  const std::string in = t.define("int", "in", cudaRemainder("i", width)),
                    number = t.define("int", "number", cudaQuotient("i", width));
  const std::string at = t.define("int", "at", fmt::format("{} + {}", first, in)),
                    outer = t.define("int", "outer", fmt::format("{} + {}", outer0, number));
  const std::string depth = forward ? fmt::format("{} * {} + {}", cudaRemainder(at, taps),
                                                  conv.channels / conv.groups, cudaQuotient(at, taps))
                                    : fmt::format("{} * {} + {}", at, conv.filters / conv.groups,
                                                  cudaRemainder(outer, conv.filters / conv.groups));
  const std::string group = forward ? outer : cudaQuotient(outer, conv.filters / conv.groups);
  t.line("if ({} < {} && {}{} < {})", at, lines.length,
         even ? "" : fmt::format("{} < {} && ", outer, lines.outer), row, packed.filledRows);
  t.line("  ((float *){})[({} * {}LL + {}) * {} + {}] = {} < {} ? {}[({} * {} + {}) * {} + {}] : 0;",
         w.workspace, group, packed.depth, depth, packed.filledRows, row, row, packed.rows, piece, number,
         kLines, lane, pitch, in);
  t.close();
  CudaStep step = std::move(w).finish(ceilDiv(lines.outer, pieces) * across * down);
  step.isEarly = true;
  return step;
}

} // namespace gradc
