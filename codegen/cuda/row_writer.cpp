#include "codegen/cuda/row_writer.h"

#include <limits>

#include "codegen/cuda/reduction.h"
#include "ir/op.h"

namespace gradc {

bool isArgmax(const Function &fn, OpId op) { return fn[op].def->name == "argmax"; }

std::string CudaRowWriter::combiner(OpId op) const {
  const DType dtype = dtypeOf(op);
  return fmt::format("[]({0} a, {0} b) {{ return {1}; }}", cudaType(dtype),
                     cudaCombine(data(op).def->name, dtype, "a", "b"));
}

CudaStep CudaRowWriter::write(int64_t blocks) {
  for (const std::vector<OpId> &ops : plan_.levels)
    reduceLevel(ops);
  storeFull();
  storeKept();
  return std::move(w).finish(blocks);
}

void CudaRowWriter::reduceLevel(const std::vector<OpId> &ops) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  struct Sums {
    std::vector<std::string> values, numbers; // by chain; numbers of argmax only
  };
  std::vector<Sums> sums;
  for (OpId op : ops) {
    Sums &own = sums.emplace_back();
    const bool argmax = isArgmax(k_.fn, op);
    const double start = argmax ? -kInf : cudaReductionStart(data(op).def->name);
    for (size_t i = 0; i < chains_; ++i) {
      own.values.push_back(m.variable(dtypeOf(op), nameOf(op) + "_part", cudaLiteral(dtypeOf(op), start)));
      if (argmax)
        own.numbers.push_back(m.variable(DType::I32, nameOf(op) + "_at", kNoNumber));
    }
  }
  forEachTerm([&](const CudaIndices &at, size_t chain, const std::string &inside) {
    const std::string prefix = inside.empty() ? "" : fmt::format("if ({}) ", inside);
    for (size_t r = 0; r < ops.size(); ++r) {
      const std::string x = m.emit(data(ops[r]).operands[0], at), &sum = sums[r].values[chain];
      if (isArgmax(k_.fn, ops[r]))
        w.text.line("{}argmax_take({}, {}, {}, {});", prefix, x,
                    m.math.text(at[static_cast<size_t>(plan_.order.axes[0])]), sum, sums[r].numbers[chain]);
      else
        w.text.line("{}{} = {};", prefix, sum, cudaCombine(data(ops[r]).def->name, dtypeOf(ops[r]), sum, x));
    }
  });
  for (size_t r = 0; r < ops.size(); ++r) {
    m.bindFinished(data(ops[r]).results[0], isArgmax(k_.fn, ops[r])
                                                ? chosen(ops[r], sums[r].values, sums[r].numbers)
                                                : combined(ops[r], sums[r].values));
  }
}

void CudaRowWriter::storeFull() {
  if (plan_.fullResults.empty())
    return;
  forEachTerm([&](const CudaIndices &at, size_t, const std::string &inside) {
    CudaCondition exists;
    exists.require(valid_);
    exists.require(inside);
    m.when(exists.text(), [&] { w.storeAll(plan_.fullResults, at); });
  });
}

void CudaRowWriter::storeKept() {
  if (plan_.keptResults.empty())
    return;
  CudaIndices kept;
  for (int axis : plan_.kept)
    kept.push_back(at_[static_cast<size_t>(axis)]);
  CudaCondition stores;
  stores.require(valid_);
  stores.require(owner_);
  m.when(stores.text(), [&] {
    std::vector<CudaStepWriter::Store> all;
    for (int result : plan_.keptResults)
      all.push_back(
          {result, m.math.reshaped(plan_.keptShape, kept,
                                   k_.fn.type(k_.body().yields[static_cast<size_t>(result)]).shape)});
    w.storeAll(all);
  });
}

} // namespace gradc
