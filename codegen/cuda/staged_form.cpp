#include "codegen/cuda/staged_form.h"

#include <algorithm>
#include <bit>

#include "codegen/cuda/row_writer.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

constexpr int64_t kRows = 64;     // of a block, where a row is one chain
constexpr int64_t kShortRun = 32; // fewer neighbours are staged for several sums together
constexpr int64_t kWholeRun = 64; // shorter runs of single chains are walked at once
constexpr int64_t kInFlight = 32; // terms of a thread that computes them
constexpr int64_t kColumns = 8;   // 32 bytes, a sector
constexpr int64_t kLongColumn = 64;

/// The terms of a tile: what a thread may hold of each of the reductions that are made together, 16 KiB of all.
int64_t mostTerms(const CudaKernelContext &k, const CudaRowPlan &plan) {
  size_t together = 1;
  for (const std::vector<OpId> &ops : plan.levels)
    together = std::max(together, ops.size());
  const int64_t narrow = std::max<int64_t>(1, cudaTermBytes(k, plan) / static_cast<int64_t>(sizeof(float)));
  return kStagedLoaders * kInFlight / static_cast<int64_t>(std::bit_ceil(together)) / narrow;
}

/// Steps of a tile that holds at most so many terms.
int64_t mostSteps(const CudaStagedForm &form, int64_t terms) {
  return std::max<int64_t>(1,
                           terms / static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(form.chains()))));
}

/// Whether term i of a sum lies where the lanes, one after the other, come to it.
bool lanesFollowMemory(const CudaRowPlan &plan) {
  const ReductionOrder &order = plan.order;
  const int last = plan.shape.rank() - 1;
  const bool column = order.laneAxis == 0 && order.axes.size() == 1,
             whole = order.laneAxis == last && plan.keptShape.elements() == 1;
  return (column || whole) && plan.shape[order.laneAxis] % kLanes == 0;
}

std::optional<CudaStagedForm> columnsOf(const CudaKernelContext &k, const CudaRowPlan &plan) {
  const ReductionOrder &order = plan.order;
  const auto reduced = std::ssize(order.axes);
  for (int axis = 0; axis < plan.shape.rank(); ++axis)
    if (plan.reduces(axis) != (axis < reduced))
      return std::nullopt;
  for (const std::vector<OpId> &ops : plan.levels)
    if (std::ranges::any_of(ops, [&](OpId op) { return isArgmax(k.fn, op); }))
      return std::nullopt;
  CudaStagedForm form{.columns = true, .sums = plan.keptShape.elements()};
  form.interleaved = order.lanes > 1;
  if (form.interleaved && !lanesFollowMemory(plan))
    return std::nullopt;
  form.parts = order.lanes * order.split;
  form.run = plan.shape.elements() / form.sums / form.parts;
  if (form.run < kLongColumn)
    return std::nullopt;
  // Few blocks leave memory idle: half a sector each is better.
  const int64_t last = plan.shape[plan.shape.rank() - 1];
  const bool few = form.sums / kColumns < k.target.multiprocessors || last % kColumns != 0;
  form.sumsPerBlock = few && form.sums % kStagedWidth == 0 ? kStagedWidth : std::min(form.sums, kColumns);
  form.steps = std::min(form.run, mostSteps(form, mostTerms(k, plan)));
  return form;
}

std::optional<CudaStagedForm> rowsOf(const CudaKernelContext &k, const CudaRowPlan &plan) {
  const int rank = plan.shape.rank();
  const ReductionOrder &order = plan.order;
  CudaStagedForm form;
  int axis = 0;
  if (plan.reduces(0) && !(rank == static_cast<int>(order.axes.size()) && order.lanes == 1))
    form.batch = plan.shape[axis++];
  for (; axis < rank && !plan.reduces(axis); ++axis)
    form.sums *= plan.shape[axis];
  for (; axis < rank && plan.reduces(axis); ++axis)
    form.run *= plan.shape[axis];
  const bool lanesAlongBatch = order.lanes == kLanes && order.laneAxis == 0 && rank > 1;
  if (axis != rank || order.split > 1 || (order.lanes > 1 && !lanesAlongBatch))
    return std::nullopt;
  form.parts = order.lanes;
  if (form.sums * form.parts == 1) // a chain of a few terms is walked where it lies
    return std::nullopt;
  const int64_t terms = mostTerms(k, plan);
  const int64_t wanted =
      form.parts == 1            ? std::clamp<int64_t>(terms / std::min(form.run, kWholeRun), 1, kRows)
      : form.run > kShortRun * 2 ? 1
                                 : std::clamp<int64_t>(kShortRun / form.run, 2, kStagedLoaders / kLanes);
  form.sumsPerBlock = std::min(form.sums, wanted);
  const bool whole = form.parts == 1 && form.run <= kWholeRun;
  form.steps = whole ? form.run : std::min(form.run, mostSteps(form, terms));
  return form;
}

bool addsFloats(const CudaKernelContext &k, const CudaRowPlan &plan) {
  return std::ranges::all_of(plan.levels, [&](const std::vector<OpId> &ops) {
    return std::ranges::all_of(ops, [&](OpId op) {
      return !isArgmax(k.fn, op) && k.fn.type(k.fn[op].operands[0]).dtype == DType::F32;
    });
  });
}

} // namespace

int64_t cudaTermBytes(const CudaKernelContext &k, const CudaRowPlan &plan) {
  size_t bytes = 1;
  for (const std::vector<OpId> &ops : plan.levels)
    for (OpId op : ops)
      bytes = std::max(bytes, dtypeSize(k.fn.type(k.fn[op].operands[0]).dtype));
  return static_cast<int64_t>(bytes);
}

std::optional<CudaStagedForm> cudaStagedForm(const CudaKernelContext &k, const CudaRowPlan &plan) {
  const bool areColumns = plan.keepsLast() || (plan.shape.rank() > 1 && lanesFollowMemory(plan));
  std::optional<CudaStagedForm> form = areColumns ? columnsOf(k, plan) : rowsOf(k, plan);
  if (!form || form->sums % form->sumsPerBlock != 0 || !cudaComputesNeighbours(k, true) ||
      !addsFloats(k, plan))
    return form;
  const int64_t neighbours =
      std::gcd(plan.shape[plan.shape.rank() - 1], form->columns ? form->sumsPerBlock : form->steps);
  form->width = neighbours % kStagedWidth == 0 ? kStagedWidth : 1;
  return form;
}

} // namespace gradc
