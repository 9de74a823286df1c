// Reductions whose 16 lanes lie along the last axis: a half warp for each sum, so that it reads 64 bytes at a time and
// combines by shuffles. Short rows stay in registers through all passes.
#include "codegen/cuda/row_writer.h"
#include "ir/layout.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int kRowsPerBlock = kCudaThreads / static_cast<int>(kLanes);
constexpr int64_t kMaxUnrolledTerms = 16; // of a thread: their loads and what comes of them are kept

class HalfWarpRows final : public CudaRowWriter {
public:
  HalfWarpRows(const CudaKernelContext &k, const CudaRowPlan &plan) : CudaRowWriter(k, plan) {
    const int64_t rows = plan.keptShape.elements();
    const std::string_view type = m.math.indexType();
    lane_ = w.text.define("int", "column", fmt::format("int(threadIdx.x) % {}", kLanes));
    std::string row = w.text.define(
        type, "row", fmt::format("block * {0} + int(threadIdx.x) / {1}", kRowsPerBlock, kLanes));
    if (rows % kRowsPerBlock != 0) {
      valid_ = fmt::format("{} < {}", row, rows);
      row = w.text.define(type, "safe_row", fmt::format("{} ? {} : {}", valid_, row, rows - 1));
    }
    owner_ = lane_ + " == 0";
    column_ = m.math.counter(lane_, kLanes);
    at_.resize(static_cast<size_t>(plan.shape.rank()));
    const CudaIndices kept = m.math.dims(plan.keptShape, m.math.counter(row, rows));
    for (size_t i = 0; i < plan.kept.size(); ++i)
      at_[static_cast<size_t>(plan.kept[i])] = kept[i];
    int64_t terms = 1;
    for (int axis : plan.order.axes)
      terms *= axis == plan.order.laneAxis ? ceilDiv(plan.shape[axis], kLanes) : plan.shape[axis];
    unrolled_ = terms <= kMaxUnrolledTerms;
  }

  static int64_t blocks(const CudaRowPlan &plan) { return ceilDiv(plan.keptShape.elements(), kRowsPerBlock); }

protected:
  void forEachTerm(const Body &body) override { nest(0, at_, body); }

  std::string combined(OpId op, const std::vector<std::string> &own) override {
    return w.text.define(cudaType(dtypeOf(op)), nameOf(op),
                         fmt::format("tree16({}, {})", own[0], combiner(op)));
  }

  std::string chosen(OpId op, const std::vector<std::string> &values,
                     const std::vector<std::string> &numbers) override {
    return w.text.define("int", nameOf(op), fmt::format("argmax16({}, {})", values[0], numbers[0]));
  }

private:
  void nest(size_t level, CudaIndices at, const Body &body) {
    const int axis = plan_.order.axes[level];
    const bool last = level + 1 == plan_.order.axes.size();
    const int64_t size = plan_.shape[axis], count = last ? ceilDiv(size, kLanes) : size;
    auto step = [&](const CudaIndex &i) {
      at[static_cast<size_t>(axis)] = last ? m.math.add(m.math.mul(i, kLanes), column_) : i;
      last ? term(at, body) : nest(level + 1, at, body);
    };
    if (unrolled_)
      for (int64_t i = 0; i < count; ++i)
        step(i);
    else
      m.loop("k", count, step);
  }

  /// Lanes beyond the row's end take its last element where the text is written out, and no term.
  void term(CudaIndices at, const Body &body) {
    const int64_t size = plan_.shape[plan_.shape.rank() - 1];
    const std::string inside = m.math.below(at.back(), size);
    if (inside.empty())
      return body(at, 0, "");
    if (!unrolled_)
      return m.when(inside, [&] { body(at, 0, ""); });
    std::string &safe = tails_[at.back()];
    if (safe.empty())
      safe = w.text.define(m.math.indexType(), "safe_column",
                           fmt::format("{} ? {} : {}", inside, m.math.text(at.back()), size - 1));
    auto counter = counters_.find(safe);
    if (counter == counters_.end())
      counter = counters_.emplace(safe, m.math.counter(safe, size)).first;
    at.back() = counter->second;
    body(at, 0, inside);
  }

  std::string lane_;
  CudaIndex column_;
  bool unrolled_ = false;
  std::map<CudaIndex, std::string> tails_;
  std::map<std::string, CudaIndex> counters_;
};

} // namespace

CudaKernelCode emitCudaRows(const CudaKernelContext &k) {
  const std::optional<CudaRowPlan> plan = cudaRowPlan(k);
  if (!plan)
    return emitCudaMap(k);
  if (std::optional<CudaKernelCode> staged = emitCudaStagedChains(k, *plan))
    return *std::move(staged);
  if (std::optional<CudaKernelCode> columns = emitCudaColumns(k, *plan))
    return *std::move(columns);
  if (plan->order.lanes != kLanes || plan->order.laneAxis != plan->shape.rank() - 1)
    return emitCudaMap(k);
  CudaKernelCode code;
  code.steps.push_back(HalfWarpRows(k, *plan).write(HalfWarpRows::blocks(*plan)));
  return code;
}

} // namespace gradc
