// Form `tiles`: an implicit product by blocks (codegen/cuda/tile_writer.h). Where an element has several partial sums, each
// is a product of its own whose result goes to the workspace, and a second step adds them; or, where there are blocks
// enough, a block makes them in turn. Segments of a split depth, which only tensor cores have, are such products, too.
// Filters may be packed there by a step before. The gradient for images of a strided
// convolution is a product for each phase, and the blocks of all of them are one grid: no tap is multiplied that a
// pixel never meets.
#include <algorithm>

#include "codegen/cuda/contract.h"
#include "codegen/cuda/filters.h"
#include "codegen/cuda/tile_writer.h"
#include "ir/op.h"
#include "ir/order.h"
#include "support/tiling.h"

namespace gradc {
namespace {

class TiledContraction {
public:
  TiledContraction(const CudaContraction &c, const ImplicitProduct &product, const CudaTile &tile,
                   const CudaTileOptions &options)
      : c_(c), k_(c.k), product_(product), tile_(tile), options_(options) {}

  CudaKernelCode emit() const {
    CudaKernelCode code;
    if (options_.packFilters) {
      code.workspaceBytes = packedFilters(product_).elements() * static_cast<int64_t>(sizeof(float));
      code.steps.push_back(emitPackedFilters(c_, product_));
    }
    if (partials() > 1) {
      const int64_t bytes = partials() * c_.type().elements() * static_cast<int64_t>(sizeof(float));
      (options_.split > 1 ? code.partialBytes : code.workspaceBytes) = bytes;
      code.steps.push_back(partialSums());
      code.steps.push_back(combine());
    } else {
      code.steps.push_back(whole());
    }
    return code;
  }

private:
  /// Results of the first step for each element.
  int64_t partials() const { return options_.lanesInTurn ? 1 : product_.partials * options_.split; }

  /// What some of the step's blocks compute.
  struct Part {
    ImplicitProduct product;
    ConvolutionPhase phase = {};
  };
  std::vector<Part> parts() const {
    if (c_.data().def->name != "conv2d_grad_input")
      return {{product_}};
    std::vector<Part> parts;
    const Convolution conv = convolutionOf(k_.fn, c_.op);
    for (const ConvolutionPhase &phase : inputPhases(conv.window))
      parts.push_back({phaseProduct(product_, conv, phase), phase});
    return parts;
  }

  /// The index in the contraction's result.
  CudaIndices resultIndex(CudaIndexMath &math, const Part &part, const CudaIndex &product,
                          const CudaIndex &row, const CudaIndex &column) const {
    const Shape &shape = c_.type().shape;
    const std::string_view op = c_.data().def->name;
    const CudaIndex batch = partials() == 1 ? product : math.div(product, partials());
    if (op == "matmul" || op == "conv2d_grad_weight") {
      const CudaIndex rows = math.add(math.mul(batch, product_.rows), row);
      return math.dims(shape, math.add(math.mul(rows, product_.columns), column));
    }
    const CudaIndex channel = math.add(math.mul(batch, product_.rows), row);
    std::array<int64_t, 2> size = planeOf(shape);
    if (op == "conv2d_grad_input")
      size = part.phase.pixels;
    const CudaIndex pixel = math.mod(column, size[0] * size[1]);
    CudaIndices at = {math.div(column, size[0] * size[1]), channel, math.div(pixel, size[1]),
                      math.mod(pixel, size[1])};
    if (op == "conv2d_grad_input")
      for (size_t dim : {0, 1})
        at[2 + dim] = math.add(math.mul(at[2 + dim], convolutionOf(k_.fn, c_.op).window.stride[dim]),
                               part.phase.firstPixel[dim]);
    return at;
  }

  /// Writes what becomes of sums, each at an index of the contraction's result.
  using Finish =
      std::function<void(std::span<const CudaTileSum> sums, std::span<const CudaContraction::Place> places)>;

  CudaStep tiles(CudaStepWriter &w, const Finish &finish) const {
    TileFactors factors{.a = c_.pointer(w, 0), .b = c_.pointer(w, 1), .product = ""};
    if (options_.packFilters) {
      factors.b = w.text.define("float *", "packed", fmt::format("(const float *){}", w.workspace));
      factors.packedRows = packedFilters(product_).filledRows;
    }
    int64_t launchBlocks = 0; // which all parts must know: they share the block's memory
    auto writerOf = [&](const Part &part) {
      return CudaTileWriter(w, part.product, tile_, k_.target, options_.format, options_.lanesInTurn,
                            options_.split, launchBlocks);
    };
    const std::vector<Part> all = parts();
    for (const Part &part : all)
      launchBlocks += writerOf(part).blocks();
    const std::string shared = w.sharedArray("tile", DType::F32, writerOf(all[0]).sharedFloats());
    for (const Part &part : all) {
      CudaTileWriter tiles = writerOf(part);
      const bool isLast = &part == &all.back();
      w.m.when(isLast ? "" : fmt::format("block < {}", tiles.blocks()), [&] {
        factors.phase = part.phase;
        tiles.write(c_.op, factors, shared, [&](std::span<const CudaTileSum> sums) {
          std::vector<CudaContraction::Place> places;
          for (const CudaTileSum &s : sums)
            places.push_back({resultIndex(w.m.math, part, s.product, s.row, s.column), s.sum, s.exists});
          finish(sums, places);
        });
        if (!isLast)
          w.text.line("return;");
      });
      if (!isLast)
        w.text.line("block -= {};", tiles.blocks());
    }
    CudaStep step = std::move(w).finish(launchBlocks);
    step.readsAhead = options_.format.has_value();
    c_.setCost(step);
    return step;
  }

  CudaStep whole() const {
    CudaStepWriter w(k_, "", options_.packFilters);
    return tiles(w, [&](std::span<const CudaTileSum>, std::span<const CudaContraction::Place> places) {
      c_.store(w, places);
    });
  }

  /// Partial sums of lanes lie in the workspace, those of segments beside it: what is packed there may wait for long.
  CudaStepWriter partialWriter(const char *suffix) const {
    return CudaStepWriter(k_, suffix, options_.split == 1 || options_.packFilters, options_.split > 1);
  }
  const std::string &partialSumsOf(const CudaStepWriter &w) const {
    return options_.split > 1 ? w.partials : w.workspace;
  }

  /// Partial sum p of an element goes to p · elements + element.
  CudaStep partialSums() const {
    CudaStepWriter w = partialWriter("_partial");
    const Type &type = c_.type();
    return tiles(w, [&](std::span<const CudaTileSum> sums, std::span<const CudaContraction::Place> places) {
      CudaIndexMath &math = w.m.math;
      for (size_t i = 0; i < sums.size(); ++i)
        w.m.when(places[i].condition, [&] {
          const CudaIndex element = math.linear(type.shape, places[i].at);
          const std::string partial = math.text(math.mod(sums[i].product, partials()));
          w.text.line("((float *){})[{} * {} + {}] = {};", partialSumsOf(w), partial, type.elements(),
                      math.text(element), places[i].value);
        });
    });
  }

  /// The second step, an element a thread: the partial sums' sum, then the epilogue.
  CudaStep combine() const {
    CudaStepWriter w = partialWriter("_sum");
    const Type &type = c_.type();
    const int64_t elements = type.elements();
    const std::string i =
        w.text.define("int", "i", fmt::format("block * {} + int(threadIdx.x)", kCudaThreads));
    w.m.when(elements % kCudaThreads == 0 ? "" : fmt::format("{} < {}", i, elements), [&] {
      const std::string sum = options_.split > 1 ? addSegments(w, i) : addTree(w, i);
      c_.store(w, w.m.math.dims(type.shape, w.m.math.counter(i, elements)), sum);
    });
    return std::move(w).finish(ceilDiv(elements, kCudaThreads));
  }

  /// In order, the same for every run; all are read before the first is added.
  std::string addSegments(CudaStepWriter &w, const std::string &i) const {
    const std::string segments = w.text.name("segments"), sum = w.text.name("sum");
    w.text.line("float {}[{}];", segments, partials());
    w.text.line("#pragma unroll");
    w.text.line("for (int s = 0; s < {}; ++s)", partials());
    w.text.line("  {}[s] = ((const float *){})[s * {} + {}];", segments, partialSumsOf(w),
                c_.type().elements(), i);
    w.text.line("float {} = {}[0];", sum, segments);
    w.text.line("#pragma unroll");
    w.text.line("for (int s = 1; s < {}; ++s)", partials());
    w.text.line("  {0} = {0} + {1}[s];", sum, segments);
    return sum;
  }

  /// The tree of ir/order.h.
  std::string addTree(CudaStepWriter &w, const std::string &i) const {
    const ReductionOrder order = reductionOrder(k_.fn, c_.op);
    const std::string segments = w.text.name("segments");
    w.text.line("float {}[{}];", segments, order.split);
    w.text.line("#pragma unroll");
    w.m.block(fmt::format("for (int s = 0; s < {}; ++s)", order.split), [&] {
      w.text.line("float p[{}];", order.lanes);
      w.text.line("#pragma unroll");
      w.text.line("for (int j = 0; j < {}; ++j)", order.lanes);
      w.text.line("  p[j] = ((const float *){})[(s * {} + j) * {} + {}];", w.workspace, order.lanes,
                  c_.type().elements(), i);
      for (int64_t h = order.lanes / 2; h > 0; h /= 2) {
        w.text.line("#pragma unroll");
        w.text.line("for (int j = 0; j < {0}; ++j)", h);
        w.text.line("  p[j] = p[j] + p[j + {}];", h);
      }
      w.text.line("{}[s] = p[0];", segments);
    });
    for (int64_t h = order.split / 2; h > 0; h /= 2)
      for (int64_t s = 0; s < h; ++s)
        w.text.line("{0}[{1}] = {0}[{1}] + {0}[{2}];", segments, s, s + h);
    return w.text.define("float", "sum", fmt::format("{}[0]", segments));
  }

  CudaContraction c_;
  const CudaKernelContext &k_;
  ImplicitProduct product_;
  CudaTile tile_;
  CudaTileOptions options_;
};

} // namespace

CudaKernelCode emitCudaTiles(const CudaContraction &c, const ImplicitProduct &product, const CudaTile &tile,
                             const CudaTileOptions &options) {
  return TiledContraction(c, product, tile, options).emit();
}

} // namespace gradc
