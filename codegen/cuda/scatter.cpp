// scatter_add without atomics: a block owns some rows of the result and 256 columns. It goes through the list of indices
// piece by piece, keeps those of its rows in the list's order, and adds their updates column by column, a thread each.
#include <algorithm>

#include "codegen/cuda/kernel_forms.h"
#include "codegen/cuda/step_writer.h"
#include "ir/op.h"
#include "support/check.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kRows = 8; // of a block
constexpr int64_t kWarps = kCudaThreads / 32;

class ScatterWriter {
public:
  ScatterWriter(const CudaKernelContext &k, const OpData &op)
      : w_(k), m_(w_.m), op_(op), result_(k.fn.type(op.results[0])),
        indices_(k.fn.type(op.operands[0]).shape) {
    axis_ = static_cast<int>(withDefaults(*op.def, op.attrs).i64("axis"));
    for (int i = 0; i < result_.rank(); ++i)
      (i < axis_ ? outer_ : i == axis_ ? rows_ : columns_) *= result_.shape[i];
    rowsPerBlock_ = std::min(kRows, rows_);
  }

  CudaStep write() {
    CudaIndexMath &math = m_.math;
    const int64_t across = ceilDiv(columns_, kCudaThreads), down = ceilDiv(rows_, rowsPerBlock_);
    const CudaIndex block = math.counter("block", outer_ * down * across), tiles = math.div(block, across);
    firstRow_ = math.mul(math.mod(tiles, down), rowsPerBlock_);
    w_.text.line("const int thread = threadIdx.x;");
    const CudaIndex thread = math.counter("thread", kCudaThreads);
    const CudaIndex column = math.add(math.mul(math.mod(block, across), kCudaThreads), thread),
                    outer = math.div(tiles, down);
    declare();
    const int64_t count = indices_.elements();
    m_.loop("piece", ceilDiv(count, kCudaThreads), [&](const CudaIndex &piece) {
      collect(math.add(math.mul(piece, kCudaThreads), thread));
      addHits(outer, column);
      w_.barrier();
    });
    m_.when(math.below(column, columns_), [&] {
      m_.loop("r", rowsPerBlock_, [&](const CudaIndex &r) {
        const CudaIndex row = math.add(firstRow_, r);
        m_.when(math.below(row, rows_), [&] {
          const CudaIndex place = math.add(math.mul(math.add(math.mul(outer, rows_), row), columns_), column);
          w_.text.line("{}[{}] = {};", w_.results[0], math.text(place), sumAt(r));
        });
      });
    });
    return std::move(w_).finish(outer_ * down * across);
  }

private:
  void declare() {
    sums_ = w_.sharedArray("sums", result_.dtype, rowsPerBlock_ * kCudaThreads);
    hits_ = w_.sharedArray("hits", DType::I32, kCudaThreads);        // numbers in the list of indices
    hitRows_ = w_.sharedArray("hit_rows", DType::I32, kCudaThreads); // of the block's rows
    counts_ = w_.sharedArray("counts", DType::I32, kWarps);
    m_.loop("r", rowsPerBlock_,
            [&](const CudaIndex &r) { w_.text.line("{} = {};", sumAt(r), cudaLiteral(result_.dtype, 0)); });
  }

  std::string sumAt(const CudaIndex &row) {
    return fmt::format("{}[{} + thread]", sums_, m_.math.text(m_.math.mul(row, kCudaThreads)));
  }

  /// Puts the indices that meet the block's rows into `hits`, in order; `hit_count` is their number.
  void collect(const CudaIndex &number) {
    CudaIndexMath &math = m_.math;
    const std::string row = m_.variable(DType::I32, "row", "-1");
    m_.when(math.below(number, indices_.elements()), [&] {
      w_.text.line("{} = clamp_index({}, {}) - ({});", row,
                   m_.emit(op_.operands[0], math.dims(indices_, number)), rows_ - 1, math.text(firstRow_));
    });
    const std::string meets =
        w_.text.define("bool", "meets", fmt::format("unsigned({}) < {}", row, rowsPerBlock_));
    const std::string votes =
        w_.text.define("unsigned", "votes", fmt::format("__ballot_sync(0xffffffffu, {})", meets));
    w_.text.line("if (thread % 32 == 0) {}[thread / 32] = __popc({});", counts_, votes);
    w_.barrier();
    const std::string before = m_.variable(DType::I32, "before", "0");
    hitCount_ = m_.variable(DType::I32, "hit_count", "0");
    w_.text.line("for (int warp = 0; warp < {}; ++warp) {{", kWarps);
    w_.text.line("  if (warp < thread / 32) {} += {}[warp];", before, counts_);
    w_.text.line("  {} += {}[warp];", hitCount_, counts_);
    w_.text.line("}");
    w_.text.line("{} += __popc({} & ((1u << thread % 32) - 1u));", before, votes);
    m_.block(fmt::format("if ({})", meets), [&] {
      w_.text.line("{}[{}] = {};", hits_, before, math.text(number));
      w_.text.line("{}[{}] = {};", hitRows_, before, row);
    });
    w_.barrier();
  }

  void addHits(const CudaIndex &outer, const CudaIndex &column) {
    CudaIndexMath &math = m_.math;
    m_.when(math.below(column, columns_), [&] {
      const std::string h = w_.text.name("h");
      m_.block(fmt::format("for (int {0} = 0; {0} < {1}; ++{0})", h, hitCount_), [&] {
        const std::string hit = w_.text.define("int", "hit", fmt::format("{}[{}]", hits_, h));
        const int64_t count = indices_.elements();
        const CudaIndex place =
            math.add(math.mul(math.add(math.mul(outer, count), math.counter(hit, count)), columns_), column);
        const std::string sum = fmt::format("{}[{}[{}] * {} + thread]", sums_, hitRows_, h, kCudaThreads);
        const std::string args[] = {sum, m_.emit(op_.operands[1], math.dims(updatesShape(), place))};
        w_.text.line("{} = {};", sum, cudaLeaf(Leaf::Add, result_.dtype, args));
      });
    });
  }
  const Shape &updatesShape() const { return m_.fn.type(op_.operands[1]).shape; }

  CudaStepWriter w_;
  CudaElements &m_;
  const OpData &op_;
  Type result_;
  Shape indices_;
  int axis_ = 0;
  int64_t outer_ = 1, rows_ = 1, columns_ = 1, rowsPerBlock_ = 1;
  CudaIndex firstRow_;
  std::string sums_, hits_, hitRows_, counts_, hitCount_;
};

} // namespace

std::optional<CudaKernelCode> emitCudaScatter(const CudaKernelContext &k) {
  const std::vector<OpId> &ops = k.body().ops;
  if (ops.size() != 1 || k.fn[ops[0]].def->name != "scatter_add" || k.body().yields.size() != 1)
    return std::nullopt;
  auto isRowMajor = [&](ValueId v) { return k.fn.type(v).layout.empty(); };
  if (!std::ranges::all_of(k.body().args, isRowMajor) || !isRowMajor(k.fn[ops[0]].results[0]))
    return std::nullopt;
  CudaKernelCode code;
  code.steps.push_back(ScatterWriter(k, k.fn[ops[0]]).write());
  return code;
}

} // namespace gradc
