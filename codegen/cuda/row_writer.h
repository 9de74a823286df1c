// Kernels in which a thread belongs to one sum all the time: it walks chains of that sum, and what the threads of the
// sum have is combined in the order's tree. Where threads of a sum lie is said by the two forms, rows and columns.
#pragma once

#include <string>
#include <vector>

#include "codegen/cuda/row_plan.h"
#include "codegen/cuda/step_writer.h"

namespace gradc {

class CudaRowWriter {
public:
  CudaRowWriter(const CudaKernelContext &k, const CudaRowPlan &plan) : w(k), m(w.m), k_(k), plan_(plan) {}
  virtual ~CudaRowWriter() = default;

  CudaStep write(int64_t blocks);

protected:
  /// One term of each of a thread's chains. `chain` is its number, `inside` a condition for terms that exist; without
  /// one the index is still legal.
  using Body = std::function<void(const CudaIndices &at, size_t chain, const std::string &inside)>;
  virtual void forEachTerm(const Body &body) = 0;
  /// The tree over all partial sums of a reduction, of which the thread has `own`; all threads get the result.
  virtual std::string combined(OpId op, const std::vector<std::string> &own) = 0;
  /// Likewise of argmax.
  virtual std::string chosen(OpId op, const std::vector<std::string> &values,
                             const std::vector<std::string> &numbers) = 0;

  const OpData &data(OpId op) const { return k_.fn[op]; }
  DType dtypeOf(OpId op) const { return k_.fn.type(data(op).operands[0]).dtype; }
  const std::string &nameOf(OpId op) const { return k_.fn[data(op).results[0]].name; }
  /// [](T a, T b) { return … }: what a reduction combines with.
  std::string combiner(OpId op) const;

  CudaStepWriter w;
  CudaElements &m;
  const CudaKernelContext &k_;
  const CudaRowPlan &plan_;
  CudaIndices at_;    // the thread's sum: an index of the full shape, 0 where it is reduced
  size_t chains_ = 1; // that a thread walks side by side
  std::string valid_; // condition for a sum that exists
  std::string owner_; // condition for the one thread that stores the sum

private:
  void reduceLevel(const std::vector<OpId> &ops);
  void storeKept();
  void storeFull();
};

bool isArgmax(const Function &fn, OpId op);
/// What argmax begins with: any element wins.
inline constexpr std::string_view kNoNumber = "2147483647";

} // namespace gradc
