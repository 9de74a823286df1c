// Form `tiles`: an implicit product by blocks (codegen/cuda/tile_writer.h). Where an element has several partial sums, each
// is a product of its own whose result goes to the workspace, and a second step adds them; or, where there are blocks
// enough, a block makes them in turn. Filters may be packed there by a step before. The gradient for images of a strided
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
    if (product_.partials > 1 && !options_.lanesInTurn) {
      code.workspaceBytes = product_.partials * c_.type().elements() * static_cast<int64_t>(sizeof(float));
      code.steps = {partialSums(), combine()};
    } else if (options_.packFilters) {
      code.workspaceBytes = packedFilters(product_).elements() * static_cast<int64_t>(sizeof(float));
      code.steps = {emitPackedFilters(c_, product_), whole()};
    } else {
      code.steps = {whole()};
    }
    return code;
  }

private:
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
    if (op == "matmul" || op == "conv2d_grad_weight") {
      const CudaIndex batch =
          product_.partials == 1 || options_.lanesInTurn ? product : math.div(product, product_.partials);
      const CudaIndex rows = math.add(math.mul(batch, product_.rows), row);
      return math.dims(shape, math.add(math.mul(rows, product_.columns), column));
    }
    const CudaIndex channel = math.add(math.mul(product, product_.rows), row);
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

  /// Writes what becomes of a sum, at an index of the contraction's result.
  using Finish = std::function<void(const CudaIndex &product, const CudaIndices &at, const std::string &sum)>;

  CudaStep tiles(CudaStepWriter &w, const Finish &finish) const {
    TileFactors factors{.a = c_.pointer(w, 0), .b = c_.pointer(w, 1), .product = ""};
    if (options_.packFilters) {
      factors.b = w.text.define("float *", "packed", fmt::format("(const float *){}", w.workspace));
      factors.packedRows = packedFilters(product_).filledRows;
    }
    auto writerOf = [&](const Part &part) {
      return CudaTileWriter(w, part.product, tile_, k_.target, options_.format, options_.lanesInTurn);
    };
    const std::vector<Part> all = parts();
    const std::string shared = w.sharedArray("tile", DType::F32, writerOf(all[0]).sharedFloats());
    int64_t blocks = 0;
    for (const Part &part : all) {
      CudaTileWriter tiles = writerOf(part);
      const bool isLast = &part == &all.back();
      w.m.when(isLast ? "" : fmt::format("block < {}", tiles.blocks()), [&] {
        factors.phase = part.phase;
        tiles.write(c_.op, factors, shared,
                    [&](const CudaIndex &product, const CudaIndex &row, const CudaIndex &column,
                        const std::string &sum) {
                      finish(product, resultIndex(w.m.math, part, product, row, column), sum);
                    });
        if (!isLast)
          w.text.line("return;");
      });
      if (!isLast)
        w.text.line("block -= {};", tiles.blocks());
      blocks += tiles.blocks();
    }
    CudaStep step = std::move(w).finish(blocks);
    c_.setCost(step);
    return step;
  }

  CudaStep whole() const {
    CudaStepWriter w(k_, "", options_.packFilters);
    return tiles(
        w, [&](const CudaIndex &, const CudaIndices &at, const std::string &sum) { c_.store(w, at, sum); });
  }

  /// Partial sum p of an element goes to p · elements + element of the workspace.
  CudaStep partialSums() const {
    CudaStepWriter w(k_, "_partial", true);
    const Type &type = c_.type();
    return tiles(w, [&](const CudaIndex &product, const CudaIndices &at, const std::string &sum) {
      CudaIndexMath &math = w.m.math;
      const CudaIndex element = math.linear(type.shape, at);
      const std::string partial = math.text(math.mod(product, product_.partials));
      w.text.line("((float *){})[{} * {} + {}] = {};", w.workspace, partial, type.elements(),
                  math.text(element), sum);
    });
  }

  /// The tree over the partial sums (ir/order.h), an element a thread, then the epilogue.
  CudaStep combine() const {
    CudaStepWriter w(k_, "_sum", true);
    const Type &type = c_.type();
    const int64_t elements = type.elements();
    const ReductionOrder order = reductionOrder(k_.fn, c_.op);
    const std::string i =
        w.text.define("int", "i", fmt::format("block * {} + int(threadIdx.x)", kCudaThreads));
    w.m.when(elements % kCudaThreads == 0 ? "" : fmt::format("{} < {}", i, elements), [&] {
      const std::string segments = w.text.name("segments");
      w.text.line("float {}[{}];", segments, order.split);
      w.text.line("#pragma unroll");
      w.m.block(fmt::format("for (int s = 0; s < {}; ++s)", order.split), [&] {
        w.text.line("float p[{}];", order.lanes);
        w.text.line("#pragma unroll");
        w.text.line("for (int j = 0; j < {}; ++j)", order.lanes);
        w.text.line("  p[j] = ((const float *){})[(s * {} + j) * {} + {}];", w.workspace, order.lanes,
                    elements, i);
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
      const std::string sum = w.text.define("float", "sum", fmt::format("{}[0]", segments));
      c_.store(w, w.m.math.dims(type.shape, w.m.math.counter(i, elements)), sum);
    });
    return std::move(w).finish(ceilDiv(elements, kCudaThreads));
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
