// Kernels without reductions between elements: a thread per element, or per four neighbours where the tensor is large
// and its rows allow it. Kind `multi` is several such ranges of blocks, one after the other.
#include <algorithm>

#include "codegen/cuda/step_writer.h"
#include "codegen/cuda/window.h"
#include "codegen/cuda/window_cells.h"
#include "codegen/nests.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// Fewer elements keep more threads busy one by one.
constexpr int64_t kLargeEnough = int64_t{1} << 16;
constexpr int kVectorWidth = 4;

int widthOf(const CudaKernelContext &k, const Nest &nest) {
  const Shape &shape = nest.type.shape;
  const bool large = nest.type.layout.empty() && nest.type.elements() >= kLargeEnough;
  return large && shape[shape.rank() - 1] % kVectorWidth == 0 && cudaComputesNeighbours(k, false)
             ? kVectorWidth
             : 1;
}

/// The shape that a type takes in memory: n16's last block is filled up.
Shape memoryShape(const Type &type) {
  Shape memory = type.shape;
  if (hasPadding(type))
    memory[0] = laneBlocks(memory[0]) * kLanes;
  return memory;
}

int64_t threadsOf(const CudaKernelContext &k, const Nest &nest) {
  if (const std::optional<CudaWindowCells> cells = cudaWindowCells(k, nest.type))
    return memoryShape(cells->type).elements();
  return memoryShape(nest.type).elements() / widthOf(k, nest);
}

/// The index of element `number` of a type's memory.
CudaIndices indexOf(CudaIndexMath &math, const Type &type, const CudaIndex &number) {
  const Shape memory = memoryShape(type);
  if (type.layout != kLayoutN16)
    return math.dims(memory, number);
  const int64_t rest = memory.elements() / memory[0]; // neighbours in memory are examples
  const CudaIndex inner = math.div(number, kLanes);
  CudaIndices at = math.dims(memory, math.mod(inner, rest));
  at[0] = math.add(math.mul(math.div(inner, rest), kLanes), math.mod(number, kLanes));
  return at;
}

/// `body` where the example exists, `padding` where it fills up a block.
void whereExists(CudaElements &m, const Type &type, const CudaIndices &at, const std::function<void()> &body,
                 const std::function<void()> &padding) {
  const std::string exists = at.empty() ? "" : m.math.below(at[0], type.shape[0]);
  m.when(exists, body);
  if (!exists.empty())
    m.block("else", padding);
}

/// Writes what the thread of one element, or of a group of neighbours, does.
void writeElements(const CudaKernelContext &k, CudaStepWriter &w, const Nest &nest, const CudaIndex &thread) {
  CudaElements &m = w.m;
  m.lanes = widthOf(k, nest);
  const CudaIndices at =
      indexOf(m.math, nest.type, m.math.add(m.math.mul(thread, m.lanes), m.math.lanes(m.lanes)));
  whereExists(
      m, nest.type, at, [&] { w.storeAll(nest.results, at); },
      [&] {
        for (int result : nest.results) {
          const Type &type = k.fn.type(k.body().yields[static_cast<size_t>(result)]);
          m.store(type, w.results[static_cast<size_t>(result)], at, cudaLiteral(type.dtype, 0));
        }
      });
}

void writeCell(const CudaKernelContext &k, CudaStepWriter &w, const Nest &nest, const CudaWindowCells &cells,
               const CudaIndex &thread) {
  const CudaIndices cell = indexOf(w.m.math, cells.type, thread);
  whereExists(
      w.m, cells.type, cell, [&] { writeCudaWindowCell(w, k, cells, nest.results, cell); },
      [&] { writeCudaPaddedCell(w, k, cells, nest.results, cell); });
}

/// Writes one thread of a nest, whose blocks begin at `first`.
void writeNest(const CudaKernelContext &k, CudaStepWriter &w, const Nest &nest, int64_t first) {
  CudaElements &m = w.m;
  const int64_t threads = threadsOf(k, nest);
  const std::string i = w.text.define(m.math.indexType(), "i",
                                      fmt::format("{} * {}{} + int(threadIdx.x)",
                                                  first == 0 ? "block" : fmt::format("(block - {})", first),
                                                  kCudaThreads, m.math.indexType() == "int" ? "" : "LL"));
  m.when(threads % kCudaThreads == 0 ? "" : fmt::format("{} < {}", i, threads), [&] {
    const CudaIndex thread = m.math.counter(i, threads);
    if (const std::optional<CudaWindowCells> cells = cudaWindowCells(k, nest.type))
      writeCell(k, w, nest, *cells, thread);
    else
      writeElements(k, w, nest, thread);
  });
}

/// The region's window_max_grad of overlapping windows, if it is its only window op and all results have its shape.
std::optional<OpId> overlappingGradient(const CudaKernelContext &k) {
  std::optional<OpId> found;
  for (OpId id : k.body().ops)
    if (k.fn[id].def->is(kWindow)) {
      if (found || k.fn[id].def->name != "window_max_grad")
        return std::nullopt;
      found = id;
    }
  if (!found)
    return std::nullopt;
  const Type &type = k.fn.type(k.fn[*found].results[0]);
  const Window win = cudaWindowOf(k.fn, *found);
  auto same = [&](ValueId v) { return k.fn.type(v).shape == type.shape && k.fn.type(v).layout.empty(); };
  const bool fits = type.layout.empty() && std::ranges::all_of(k.body().yields, same) &&
                    !cudaWindowCells(k, type) && win.kernel[0] * win.kernel[1] <= kMaxWinnerTaps;
  return fits ? found : std::nullopt;
}

/// Finds the winner of each window, a thread each.
CudaStep winnersStep(const CudaKernelContext &k, OpId op) {
  CudaStepWriter w(k, "_winners", true);
  const Shape &windows = k.fn.type(k.fn[op].operands[1]).shape;
  const std::string i =
      w.text.define(w.m.math.indexType(), "i", fmt::format("block * {} + int(threadIdx.x)", kCudaThreads));
  w.m.when(fmt::format("{} < {}", i, windows.elements()), [&] {
    const CudaIndex window = w.m.math.counter(i, windows.elements());
    const std::string winner = cudaWindowWinner(w.m, op, w.m.math.dims(windows, window));
    w.text.line("{}[{}] = ({})({});", w.workspace, i, kWinnerType, winner);
  });
  return std::move(w).finish(ceilDiv(windows.elements(), kCudaThreads));
}

} // namespace

CudaKernelCode emitCudaMap(const CudaKernelContext &k) {
  const std::vector<Nest> nests = nestsOf(k.fn, k.region());
  const std::optional<OpId> gradient = overlappingGradient(k);
  CudaKernelCode code;
  if (gradient) {
    code.steps.push_back(winnersStep(k, *gradient));
    code.workspaceBytes = k.fn.type(k.fn[*gradient].operands[1]).elements();
  }
  CudaStepWriter w(k, "", gradient.has_value());
  if (gradient)
    w.m.bindValue(k.fn[*gradient].results[0],
                  [&](const CudaIndices &at) { return cudaWindowGradient(w.m, *gradient, at, w.workspace); });
  int64_t blocks = 0;
  for (const Nest &nest : nests) {
    const int64_t end = blocks + ceilDiv(threadsOf(k, nest), kCudaThreads);
    w.m.when(nests.size() == 1 ? "" : fmt::format("block >= {} && block < {}", blocks, end),
             [&] { writeNest(k, w, nest, blocks); });
    blocks = end;
  }
  code.steps.push_back(std::move(w).finish(blocks));
  return code;
}

} // namespace gradc
