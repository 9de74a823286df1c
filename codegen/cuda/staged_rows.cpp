// Reductions whose chains walk along memory: of short rows, and of statistics over the batch and the pixels. All threads
// of a block compute the terms, neighbours in memory side by side, and put them into shared memory; then one thread per
// chain adds those of its chain. A gap in shared memory wherever rows of it begin at bank 0 again keeps both the lines that
// are written and the columns that are read free of bank conflicts.
//
//   f32[N,10] over axis 1:        64 rows a block, a chain each
//   f32[N,C,H,W] over N, H, W:    2 channels a block, 16 chains each for the lanes along N; 32 pixels at a time
#include <algorithm>
#include <limits>
#include <numeric>

#include "codegen/cuda/reduction.h"
#include "codegen/cuda/row_writer.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kRows = 64;  // of a block, where a row is one chain
constexpr int64_t kSteps = 32; // of a chain between two barriers
constexpr int64_t kBanks = 32;
constexpr int64_t kWholeRun = 64; // shorter runs of single chains are walked at once

/// [N] × sums × run: N is reduced or absent, `run` neighbours in memory are reduced.
struct Form {
  int64_t batch = 1; // axis 0 where it is reduced
  int64_t sums = 1, run = 1;
  int64_t lanes = 1;
  int64_t sumsPerBlock = 1, steps = 1;

  int64_t examples() const { return ceilDiv(batch, lanes); } // of a chain
  int64_t tile() const { return lanes * sumsPerBlock * steps; }
  int64_t gap() const { return std::lcm(steps, kBanks); } // elements between gaps
};

std::optional<Form> formOf(const CudaRowPlan &plan) {
  const int rank = plan.shape.rank();
  const ReductionOrder &order = plan.order;
  Form form;
  int axis = 0;
  if (plan.reduces(0) && !(rank == static_cast<int>(order.axes.size()) && order.lanes == 1))
    form.batch = plan.shape[axis++];
  for (; axis < rank && !plan.reduces(axis); ++axis)
    form.sums *= plan.shape[axis];
  for (; axis < rank && plan.reduces(axis); ++axis)
    form.run *= plan.shape[axis];
  const bool lanesAlongBatch = order.lanes == kLanes && order.laneAxis == 0 && rank > 1;
  if (axis != rank || plan.keepsLast() || order.split > 1 || (order.lanes > 1 && !lanesAlongBatch))
    return std::nullopt;
  form.lanes = order.lanes;
  if (form.sums * form.lanes == 1) // a chain of a few terms is walked where it lies
    return std::nullopt;
  form.steps = std::min(form.run, form.lanes == 1 && form.run <= kWholeRun ? form.run : kSteps);
  const int64_t wanted = form.lanes == 1 ? kRows : std::clamp<int64_t>(kSteps / form.run, 2, kLanes);
  form.sumsPerBlock = std::min(form.sums, wanted);
  return form;
}

class StagedRows {
public:
  StagedRows(const CudaKernelContext &k, const CudaRowPlan &plan, const Form &form)
      : w_(k), m_(w_.m), k_(k), plan_(plan), form_(form) {
    thread_ = m_.math.counter("thread", kCudaThreads);
    block_ = m_.math.counter("block", blocks());
  }

  int64_t blocks() const { return ceilDiv(form_.sums, form_.sumsPerBlock); }

  CudaStep write() {
    w_.text.line("const int thread = threadIdx.x;");
    for (const std::vector<OpId> &ops : plan_.levels)
      reduceLevel(ops);
    storeFull();
    storeKept();
    return std::move(w_).finish(blocks());
  }

private:
  struct Reduction {
    OpId op;
    ValueId operand;
    DType dtype;
    bool argmax;
    std::string name;
    std::string tile;        // the terms, in shared memory
    std::string sum, number; // of the chain
    std::string results;     // by sum, in shared memory
  };

  std::vector<Reduction> declare(const std::vector<OpId> &ops) {
    std::vector<Reduction> reductions;
    for (OpId op : ops) {
      const OpData &data = k_.fn[op];
      Reduction r{op,
                  data.operands[0],
                  k_.fn.type(data.operands[0]).dtype,
                  isArgmax(k_.fn, op),
                  k_.fn[data.results[0]].name,
                  {},
                  {},
                  {},
                  {}};
      const double start =
          r.argmax ? -std::numeric_limits<double>::infinity() : cudaReductionStart(data.def->name);
      r.tile = w_.sharedArray(r.name + "_terms", r.dtype, form_.tile() + form_.tile() / form_.gap());
      r.results = w_.sharedArray(r.name + "_sums", k_.fn.type(data.results[0]).dtype, form_.sumsPerBlock);
      r.sum = m_.variable(r.dtype, r.name + "_part", cudaLiteral(r.dtype, start));
      if (r.argmax)
        r.number = m_.variable(DType::I32, r.name + "_at", kNoNumber);
      reductions.push_back(std::move(r));
    }
    return reductions;
  }

  void reduceLevel(const std::vector<OpId> &ops) {
    std::vector<Reduction> reductions = declare(ops);
    m_.loop("b", form_.examples(), [&](const CudaIndex &example) {
      m_.loop("c", ceilDiv(form_.run, form_.steps), [&](const CudaIndex &chunk) {
        stage(reductions, example, chunk);
        w_.barrier();
        walk(reductions, example, chunk);
        w_.barrier();
      });
    });
    finish(reductions);
    w_.barrier();
    for (const Reduction &r : reductions)
      m_.bindValue(k_.fn[r.op].results[0], [this, results = r.results, name = r.name,
                                            dtype = k_.fn.type(k_.fn[r.op].results[0]).dtype](
                                               const CudaIndices &) {
        return w_.text.define(cudaType(dtype), name, fmt::format("{}[{}]", results, m_.math.text(local_)));
      });
  }

  /// The index of the full shape.
  CudaIndices at(const CudaIndex &n, const CudaIndex &sum, const CudaIndex &step) {
    CudaIndex number = m_.math.add(m_.math.mul(sum, form_.run), step);
    return m_.math.dims(plan_.shape, m_.math.add(m_.math.mul(n, form_.sums * form_.run), number));
  }
  CudaIndex globalSum(const CudaIndex &local) {
    return m_.math.add(m_.math.mul(block_, form_.sumsPerBlock), local);
  }
  CudaIndex exampleOf(const CudaIndex &example, const CudaIndex &lane) {
    return m_.math.add(m_.math.mul(example, form_.lanes), lane);
  }

  /// The thread's number where it is known to be less than a bound.
  CudaIndex threadBelow(int64_t bound) {
    return m_.math.counter("thread", std::min<int64_t>(bound, kCudaThreads));
  }

  /// body(element) for all of `count`, spread over the threads.
  void forElements(int64_t count, const std::function<void(const CudaIndex &)> &body) {
    m_.loop("j", ceilDiv(count, kCudaThreads), [&](const CudaIndex &j) {
      const CudaIndex element = m_.math.add(m_.math.mul(j, kCudaThreads), thread_);
      m_.when(m_.math.below(element, count), [&] {
        const std::string name = w_.text.define(m_.math.indexType(), "e", m_.math.text(element));
        body(m_.math.counter(name, count));
      });
    });
  }

  /// Where an element of the tile lies.
  std::string slotOf(const CudaIndex &element) {
    return m_.math.text(m_.math.add(element, m_.math.div(element, form_.gap())));
  }

  void stage(const std::vector<Reduction> &reductions, const CudaIndex &example, const CudaIndex &chunk) {
    forElements(form_.tile(), [&](const CudaIndex &element) {
      CudaIndexMath &math = m_.math;
      const CudaIndex step = math.mod(element, form_.steps), row = math.div(element, form_.steps);
      const CudaIndex local = math.mod(row, form_.sumsPerBlock), lane = math.div(row, form_.sumsPerBlock);
      const CudaIndex n = exampleOf(example, lane), sum = globalSum(local),
                      place = math.add(math.mul(chunk, form_.steps), step);
      CudaCondition exists;
      exists.require(math.below(n, form_.batch));
      exists.require(math.below(sum, form_.sums));
      exists.require(math.below(place, form_.run));
      local_ = local;
      m_.when(exists.text(), [&] {
        const CudaIndices index = at(n, sum, place);
        const std::string slot = slotOf(element);
        for (const Reduction &r : reductions)
          w_.text.line("{}[{}] = {};", r.tile, slot, m_.emit(r.operand, index));
      });
    });
  }

  void walk(const std::vector<Reduction> &reductions, const CudaIndex &example, const CudaIndex &chunk) {
    CudaIndexMath &math = m_.math;
    CudaCondition walks;
    walks.require(math.below(thread_, form_.sumsPerBlock * form_.lanes));
    m_.when(walks.text(), [&] {
      const CudaIndex chain = threadBelow(form_.sumsPerBlock * form_.lanes),
                      lane = math.mod(chain, form_.lanes);
      const CudaIndex local = math.div(chain, form_.lanes);
      const CudaIndex row = math.add(math.mul(lane, form_.sumsPerBlock), local); // as stage() has put them
      CudaCondition exists;
      exists.require(math.below(exampleOf(example, lane), form_.batch));
      exists.require(math.below(globalSum(local), form_.sums));
      m_.when(exists.text(), [&] {
        m_.loop("t", form_.steps, [&](const CudaIndex &step) {
          const CudaIndex place = math.add(math.mul(chunk, form_.steps), step);
          m_.when(math.below(place, form_.run), [&] {
            const std::string slot = slotOf(math.add(math.mul(row, form_.steps), step));
            for (const Reduction &r : reductions) {
              const std::string x = fmt::format("{}[{}]", r.tile, slot);
              if (r.argmax)
                w_.text.line("argmax_take({}, {}, {}, {});", x, math.text(place), r.sum, r.number);
              else
                w_.text.line("{} = {};", r.sum, cudaCombine(k_.fn[r.op].def->name, r.dtype, r.sum, x));
            }
          });
        });
      });
    });
  }

  /// Combines the lanes; all threads take part in the shuffles.
  void finish(const std::vector<Reduction> &reductions) {
    for (const Reduction &r : reductions) {
      std::string result = r.argmax ? r.number : r.sum;
      if (form_.lanes == kLanes && r.argmax)
        result = fmt::format("argmax16({}, {})", r.sum, r.number);
      else if (form_.lanes == kLanes)
        result = fmt::format("tree16({0}, []({1} a, {1} b) {{ return {2}; }})", r.sum, cudaType(r.dtype),
                             cudaCombine(k_.fn[r.op].def->name, r.dtype, "a", "b"));
      const DType dtype = k_.fn.type(k_.fn[r.op].results[0]).dtype;
      const std::string sum = w_.text.define(cudaType(dtype), r.name, result);
      CudaCondition owner;
      owner.require(m_.math.below(thread_, form_.sumsPerBlock * form_.lanes));
      owner.require(m_.math.equals(m_.math.mod(thread_, form_.lanes), 0));
      m_.when(owner.text(), [&] {
        w_.text.line("{}[{}] = {};", r.results, m_.math.text(m_.math.div(thread_, form_.lanes)), sum);
      });
    }
  }

  void storeFull() {
    if (plan_.fullResults.empty())
      return;
    CudaIndexMath &math = m_.math;
    const int64_t elements = form_.sumsPerBlock * form_.run;
    forElements(form_.batch * elements, [&](const CudaIndex &element) {
      local_ = math.mod(math.div(element, form_.run), form_.sumsPerBlock);
      const CudaIndex n = math.div(element, elements), sum = globalSum(local_);
      m_.when(math.below(sum, form_.sums),
              [&] { w_.storeAll(plan_.fullResults, at(n, sum, math.mod(element, form_.run))); });
    });
  }

  void storeKept() {
    if (plan_.keptResults.empty())
      return;
    CudaIndexMath &math = m_.math;
    local_ = threadBelow(form_.sumsPerBlock);
    CudaCondition exists;
    exists.require(math.below(thread_, form_.sumsPerBlock));
    m_.when(exists.text(), [&] {
      const CudaIndex sum = globalSum(local_);
      m_.when(math.below(sum, form_.sums), [&] {
        const CudaIndices kept = math.dims(plan_.keptShape, sum);
        std::vector<CudaStepWriter::Store> stores;
        for (int result : plan_.keptResults)
          stores.push_back(
              {result, math.reshaped(plan_.keptShape, kept,
                                     k_.fn.type(k_.body().yields[static_cast<size_t>(result)]).shape)});
        w_.storeAll(stores);
      });
    });
  }

  CudaStepWriter w_;
  CudaElements &m_;
  const CudaKernelContext &k_;
  const CudaRowPlan &plan_;
  Form form_;
  CudaIndex thread_, block_;
  CudaIndex local_; // the sum of the block that an element belongs to
};

} // namespace

std::optional<CudaKernelCode> emitCudaStagedRows(const CudaKernelContext &k, const CudaRowPlan &plan) {
  const std::optional<Form> form = formOf(plan);
  if (!form)
    return std::nullopt;
  CudaKernelCode code;
  code.steps.push_back(StagedRows(k, plan, *form).write());
  return code;
}

} // namespace gradc
