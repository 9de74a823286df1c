// Form `dots`: up to eight rows by a matrix that lies transposed. Half a warp makes a column of the result: each of its
// lanes has a partial sum of every row, over every 16th element (ir/order.h), so that the matrix is read once and in
// order.
#include "codegen/cuda/contract.h"
#include "ir/layout.h"
#include "support/tiling.h"

namespace gradc {

CudaKernelCode emitCudaDots(const CudaContraction &c) {
  CudaStepWriter w(c.k);
  CudaText &t = w.text;
  const int64_t rows = c.type().shape[0], columns = c.type().shape[1], depth = c.operandType(0).shape[1];
  const int64_t perBlock = kCudaThreads / kLanes;
  const std::string a = c.pointer(w, 0), b = c.pointer(w, 1);
  const std::string part = t.define("int", "part", fmt::format("int(threadIdx.x) % {}", kLanes));
  const std::string column =
      t.define("int", "column", fmt::format("block * {} + int(threadIdx.x) / {}", perBlock, kLanes));
  // All lanes take part in the trees: those beyond the last column make it again.
  const std::string from = t.define(
      "float *", "from",
      fmt::format("{} + {} * {}LL", b,
                  columns % perBlock == 0 ? column : fmt::format("min({}, {})", column, columns - 1), depth));
  const std::string sums = t.name("sums"), step = t.name("k");
  t.line("float {}[{}] = {{}};", sums, rows);
  t.line("#pragma unroll 8");
  t.open("for (int {0} = {1}; {0} < {2}; {0} += {3})", step, part, depth, kLanes);
  const std::string x = t.define("float", "x", fmt::format("{}[{}]", from, step));
  for (int64_t row = 0; row < rows; ++row)
    t.line("{0}[{1}] = fmaf({2}[{3} + {4}], {5}, {0}[{1}]);", sums, row, a, row * depth, step, x);
  t.close();
  const std::string add = "[](float x, float y) { return x + y; }";
  const std::string sum = t.name("sum");
  t.line("float {} = 0;", sum);
  for (int64_t row = 0; row < rows; ++row) { // lane r of the half warp finishes row r
    const std::string whole = t.define("float", "whole", fmt::format("tree16({}[{}], {})", sums, row, add));
    t.line("{0} = {1} == {2} ? {3} : {0};", sum, part, row, whole);
  }
  CudaCondition inside;
  inside.require(rows == kLanes ? "" : fmt::format("{} < {}", part, rows));
  inside.require(columns % perBlock == 0 ? "" : fmt::format("{} < {}", column, columns));
  w.m.when(inside.text(), [&] {
    c.store(w, {w.m.math.counter(part, rows), w.m.math.counter(column, columns)}, sum);
  });
  CudaKernelCode code;
  code.steps.push_back(std::move(w).finish(ceilDiv(columns, perBlock)));
  c.setCost(code.steps[0]);
  return code;
}

} // namespace gradc
