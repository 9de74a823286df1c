// Form `tiles`: an implicit product by blocks (codegen/cuda/tile_writer.h). Where an element has several partial sums, each
// is a product of its own whose result goes to the workspace, and a second step adds them; or, where there are blocks
// enough, a block makes them in turn. Filters that are read by many
// blocks are packed there by a step before.
#include "codegen/cuda/contract.h"
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
      code.steps = {pack(), whole()};
    } else {
      code.steps = {whole()};
    }
    return code;
  }

private:
  /// The index in the contraction's result.
  CudaIndices resultIndex(CudaIndexMath &math, const CudaIndex &product, const CudaIndex &row,
                          const CudaIndex &column) const {
    const Shape &shape = c_.type().shape;
    const std::string_view op = c_.data().def->name;
    if (op == "matmul" || op == "conv2d_grad_weight") {
      const CudaIndex batch =
          product_.partials == 1 || options_.lanesInTurn ? product : math.div(product, product_.partials);
      const CudaIndex rows = math.add(math.mul(batch, product_.rows), row);
      return math.dims(shape, math.add(math.mul(rows, product_.columns), column));
    }
    const int64_t plane = shape[2] * shape[3];
    const CudaIndex pixel = math.mod(column, plane);
    return {math.div(column, plane), math.add(math.mul(product, product_.rows), row),
            math.div(pixel, shape[3]), math.mod(pixel, shape[3])};
  }

  CudaStep tiles(CudaStepWriter &w, const CudaTileWriter::Finish &finish) const {
    CudaTileWriter tiles(w, product_, tile_, k_.target.architecture, options_.format, options_.lanesInTurn);
    const std::string filters =
        options_.packFilters
            ? w.text.define("float *", "packed", fmt::format("(const float *){}", w.workspace))
            : c_.pointer(w, 1);
    tiles.write(c_.op, c_.pointer(w, 0), filters, options_.packFilters, finish);
    CudaStep step = std::move(w).finish(tiles.blocks());
    c_.setCost(step);
    return step;
  }

  /// An element of the packed filters a thread.
  CudaStep pack() const {
    CudaStepWriter w(k_, "_pack", true);
    const PackedFilters filters = packedFilters(product_);
    const int64_t elements = filters.elements();
    const std::string i =
        w.text.define("int", "i", fmt::format("block * {} + int(threadIdx.x)", kCudaThreads));
    w.m.when(elements % kCudaThreads == 0 ? "" : fmt::format("{} < {}", i, elements), [&] {
      const std::string row = w.text.define("int", "row", fmt::format("{} % {}", i, filters.filledRows));
      const std::string k =
          w.text.define("int", "k", fmt::format("{} / {} % {}", i, filters.filledRows, filters.depth));
      const std::string group =
          w.text.define("int", "group", fmt::format("{} / {}", i, filters.filledRows * filters.depth));
      std::string value =
          fmt::format("{}[{}]", c_.pointer(w, 1), filterElement(w.text, k_.fn, c_.op, group, k, row));
      if (filters.rows != filters.filledRows)
        value = fmt::format("{} < {} ? {} : 0", row, filters.rows, value);
      w.text.line("((float *){})[{}] = {};", w.workspace, i, value);
    });
    return std::move(w).finish(ceilDiv(elements, kCudaThreads));
  }

  CudaStep whole() const {
    CudaStepWriter w(k_, "", options_.packFilters);
    return tiles(
        w, [&](const CudaIndex &product, const CudaIndex &row, const CudaIndex &column,
               const std::string &sum) { c_.store(w, resultIndex(w.m.math, product, row, column), sum); });
  }

  /// Partial sum p of an element goes to p · elements + element of the workspace.
  CudaStep partialSums() const {
    CudaStepWriter w(k_, "_partial", true);
    const Type &type = c_.type();
    return tiles(w, [&](const CudaIndex &product, const CudaIndex &row, const CudaIndex &column,
                        const std::string &sum) {
      CudaIndexMath &math = w.m.math;
      const CudaIndex element = math.linear(type.shape, resultIndex(math, product, row, column));
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
