// Sums along columns: the last axis is kept, so neighbouring threads belong to neighbouring sums and read neighbouring
// elements. A block has some columns and all partial sums of each: 32 columns with 8 threads of two lanes each, 16 with
// 16 of one, or as many as there are segments. They meet in shared memory.
#include "codegen/cuda/reduction.h"
#include "codegen/cuda/row_writer.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kUnroll = 4; // loads in flight

class Columns final : public CudaRowWriter {
public:
  Columns(const CudaKernelContext &k, const CudaRowPlan &plan) : CudaRowWriter(k, plan) {
    for (int axis = plan.shape.rank() - 1; !plan.reduces(axis); --axis)
      columns_ *= plan.shape[axis];
    const bool lanes = plan.order.lanes == kLanes;
    width_ = lanes ? (columns_ > kLanes ? 2 * kLanes : kLanes) : kCudaThreads / plan.order.split;
    slots_ = kCudaThreads / width_;
    chains_ = lanes ? static_cast<size_t>(kLanes / slots_) : 1;
    across_ = ceilDiv(columns_, width_);
    placeThread();
  }

  int64_t blocks() const { return plan_.keptShape.elements() / columns_ * across_; }

protected:
  void forEachTerm(const Body &body) override { nest(0, at_, 0, body); }

  std::string combined(OpId op, const std::vector<std::string> &own) override {
    const DType dtype = dtypeOf(op);
    auto combine = [&](const std::string &a, const std::string &b) {
      return cudaCombine(data(op).def->name, dtype, a, b);
    };
    const std::string first = own.size() == 2 ? combine(own[0], own[1]) : own[0]; // the lanes j and j + 8
    if (slots_ == 1)
      return w.text.define(cudaType(dtype), nameOf(op), first);
    const std::string parts = share(op, dtype, first);
    std::vector<std::string> tree;
    for (int64_t i = 0; i < slots_; ++i)
      tree.push_back(w.text.define(cudaType(dtype), nameOf(op) + "_part", part(parts, i)));
    for (size_t half = tree.size() / 2; half > 0; half /= 2)
      for (size_t j = 0; j < half; ++j)
        tree[j] = w.text.define(cudaType(dtype), nameOf(op), combine(tree[j], tree[j + half]));
    return tree[0];
  }

  std::string chosen(OpId op, const std::vector<std::string> &values,
                     const std::vector<std::string> &numbers) override {
    const std::string best = values[0], number = numbers[0];
    if (values.size() == 2)
      w.text.line("argmax_take({}, {}, {}, {});", values[1], numbers[1], best, number);
    if (slots_ == 1)
      return number;
    const std::string bests = share(op, dtypeOf(op), best), places = share(op, DType::I32, number);
    for (int64_t i = 0; i < slots_; ++i)
      w.text.line("argmax_take({}, {}, {}, {});", part(bests, i), part(places, i), best, number);
    return number;
  }

private:
  void placeThread() {
    CudaIndexMath &math = m.math;
    const CudaIndex block = math.counter("block", blocks());
    column_ = w.text.define("int", "column", fmt::format("int(threadIdx.x) % {}", width_));
    if (slots_ > 1) {
      const std::string slot = w.text.define("int", "slot", fmt::format("int(threadIdx.x) / {}", width_));
      slot_ = math.counter(slot, slots_);
      owner_ = slot + " == 0";
    }
    CudaIndex place = math.add(math.mul(math.mod(block, across_), width_), math.counter(column_, width_));
    if (columns_ % width_ != 0) {
      valid_ = math.below(place, columns_);
      place = math.counter(w.text.define(math.indexType(), "safe_column",
                                         fmt::format("{} ? {} : {}", valid_, math.text(place), columns_ - 1)),
                           columns_);
    }
    const CudaIndices kept =
        math.dims(plan_.keptShape, math.add(math.mul(math.div(block, across_), columns_), place));
    at_.resize(static_cast<size_t>(plan_.shape.rank()));
    for (size_t i = 0; i < plan_.kept.size(); ++i)
      at_[static_cast<size_t>(plan_.kept[i])] = kept[i];
  }

  void nest(size_t level, CudaIndices at, size_t chain, const Body &body) {
    const ReductionOrder &order = plan_.order;
    if (level == order.axes.size())
      return body(at, chain, "");
    const int axis = order.axes[level];
    const bool lanes = order.lanes > 1 && axis == order.laneAxis;
    const int64_t size = level == 0 ? plan_.shape[axis] / order.split : plan_.shape[axis];
    const int64_t count = lanes ? ceilDiv(size, kLanes) : size;
    if (level + 1 == order.axes.size() && count > kUnroll)
      w.text.line("#pragma unroll {}", kUnroll);
    m.loop("k", count, [&](const CudaIndex &k) {
      CudaIndex &place = at[static_cast<size_t>(axis)];
      if (!lanes) {
        place = level == 0 && order.split > 1 ? m.math.add(k, m.math.mul(slot_, size)) : k;
        return nest(level + 1, at, chain, body);
      }
      for (size_t c = 0; c < chains_; ++c) {
        place = m.math.add(m.math.add(m.math.mul(k, kLanes), slot_), static_cast<int64_t>(c) * slots_);
        m.when(m.math.below(place, size), [&] { nest(level + 1, at, c, body); });
      }
    });
  }

  /// Puts what each thread has into shared memory, for all slots of its column.
  std::string share(OpId op, DType dtype, const std::string &value) {
    const std::string array = w.sharedArray(nameOf(op) + "_shared", dtype, kCudaThreads);
    w.text.line("{}[threadIdx.x] = {};", array, value);
    w.barrier();
    return array;
  }
  std::string part(const std::string &array, int64_t slot) const {
    return slot == 0 ? fmt::format("{}[{}]", array, column_)
                     : fmt::format("{}[{} + {}]", array, column_, slot * width_);
  }

  int64_t columns_ = 1, width_ = 1, slots_ = 1, across_ = 1;
  std::string column_; // of the block
  CudaIndex slot_;     // which of a column's threads it is
};

} // namespace

std::optional<CudaKernelCode> emitCudaColumns(const CudaKernelContext &k, const CudaRowPlan &plan) {
  if (!plan.keepsLast())
    return std::nullopt;
  Columns columns(k, plan);
  const int64_t blocks = columns.blocks();
  CudaKernelCode code;
  code.steps.push_back(columns.write(blocks));
  return code;
}

} // namespace gradc
