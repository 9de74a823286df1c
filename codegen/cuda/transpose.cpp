// Transposes that move the last dimension: tiles of 32 × 32 go through shared memory, so that both the reads and the
// writes are of neighbours. A tile's rows have a pitch of 33: its columns lie in different banks.
#include <algorithm>
#include <numeric>

#include "codegen/cuda/kernel_forms.h"
#include "codegen/cuda/step_writer.h"
#include "ir/op.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kTile = 32, kPitch = kTile + 1, kRowsAtOnce = kCudaThreads / kTile;

/// The region's one transpose, of an argument; all results have its shape.
struct Form {
  OpId op = kNoOp;
  Shape shape;                      // of the result
  std::vector<int64_t> permutation; // result dimension i is the operand's permutation[i]
  int columns = 0, rows = 0; // dimensions of the result: its last, and the one that is the operand's last
};

std::optional<Form> formOf(const CudaKernelContext &k) {
  Form form;
  for (OpId id : k.body().ops) {
    const OpData &op = k.fn[id];
    if (op.def->name == "transpose") {
      if (form.op != kNoOp || k.fn[op.operands[0]].def != kNoOp)
        return std::nullopt;
      form.op = id;
    } else if (!op.def->scalar && op.def->name != "broadcast" && op.def->name != "constant") {
      return std::nullopt;
    }
  }
  if (form.op == kNoOp)
    return std::nullopt;
  const OpData &op = k.fn[form.op];
  form.shape = k.fn.type(op.results[0]).shape;
  form.permutation = withDefaults(*op.def, op.attrs).ints("permutation");
  form.columns = form.shape.rank() - 1;
  form.rows = static_cast<int>(std::ranges::find(form.permutation, form.columns) - form.permutation.begin());
  auto fits = [&](ValueId v) { return k.fn.type(v).layout.empty() && k.fn.type(v).shape == form.shape; };
  auto isRowMajor = [&](ValueId v) { return k.fn.type(v).layout.empty(); };
  const bool wide = form.shape.rank() > 0 && form.rows != form.columns &&
                    std::min(form.shape[form.rows], form.shape[form.columns]) >= kRowsAtOnce;
  return wide && std::ranges::all_of(k.body().yields, fits) && std::ranges::all_of(k.body().args, isRowMajor)
             ? std::optional(form)
             : std::nullopt;
}

class TransposeWriter {
public:
  TransposeWriter(const CudaKernelContext &k, Form form) : w_(k), m_(w_.m), k_(k), form_(std::move(form)) {
    across_ = ceilDiv(form_.shape[form_.columns], kTile);
    down_ = ceilDiv(form_.shape[form_.rows], kTile);
  }

  CudaStep write() {
    CudaIndexMath &math = m_.math;
    const OpData &op = k_.fn[form_.op];
    const Type &type = k_.fn.type(op.results[0]);
    const int64_t blocks =
        form_.shape.elements() / form_.shape[form_.columns] / form_.shape[form_.rows] * across_ * down_;
    const CudaIndex block = math.counter("block", blocks), tiles = math.div(block, across_);
    column0_ = math.mul(math.mod(block, across_), kTile);
    row0_ = math.mul(math.mod(tiles, down_), kTile);
    outer_ = math.div(tiles, down_);
    const std::string tile = w_.sharedArray("tile", type.dtype, kTile * kPitch);
    auto thread = [&](std::string_view name, std::string_view sign, int64_t bound) {
      return math.counter(w_.text.define("int", name, fmt::format("int(threadIdx.x) {} {}", sign, kTile)),
                          bound);
    };
    const CudaIndex x = thread("tile_x", "%", kTile), y = thread("tile_y", "/", kRowsAtOnce);
    auto slot = [&](const CudaIndex &column, const CudaIndex &row) {
      return fmt::format("{}[{}]", tile, math.text(math.add(math.mul(column, kPitch), row)));
    };
    // Read along the operand's last dimension, the result's rows.
    forPart(y, [&](const CudaIndex &column) {
      forExisting(column, x, [&](const CudaIndices &at) {
        CudaIndices from(at.size());
        for (size_t i = 0; i < at.size(); ++i)
          from[static_cast<size_t>(form_.permutation[i])] = at[i];
        w_.text.line("{} = {};", slot(column, x), m_.emit(op.operands[0], from));
      });
    });
    w_.barrier();
    CudaIndex row;
    m_.bindValue(op.results[0], [&](const CudaIndices &) {
      const std::string value = slot(x, row);
      return w_.text.define(cudaType(type.dtype), k_.fn[op.results[0]].name,
                            type.dtype == DType::Bool ? value + " != 0" : value);
    });
    std::vector<int> results(k_.body().yields.size());
    std::iota(results.begin(), results.end(), 0);
    forPart(y, [&](const CudaIndex &part) {
      row = part;
      forExisting(x, part, [&](const CudaIndices &at) { w_.storeAll(results, at); });
    });
    return std::move(w_).finish(blocks);
  }

private:
  /// body(y), body(y + 8), …
  void forPart(const CudaIndex &y, const std::function<void(const CudaIndex &)> &body) {
    for (int64_t i = 0; i < kTile; i += kRowsAtOnce)
      body(m_.math.add(y, i));
  }

  /// body(index of the result) where the tile's element exists.
  void forExisting(const CudaIndex &column, const CudaIndex &row,
                   const std::function<void(const CudaIndices &)> &body) {
    CudaIndexMath &math = m_.math;
    Shape others = form_.shape;
    others[form_.columns] = others[form_.rows] = 1;
    CudaIndices at = math.dims(others, outer_);
    CudaCondition exists;
    for (auto [axis, place] : {std::pair{form_.columns, math.add(column0_, column)},
                               std::pair{form_.rows, math.add(row0_, row)}}) {
      exists.require(math.below(place, form_.shape[axis]));
      at[static_cast<size_t>(axis)] = place;
    }
    m_.when(exists.text(), [&] { body(at); });
  }

  CudaStepWriter w_;
  CudaElements &m_;
  const CudaKernelContext &k_;
  Form form_;
  int64_t across_ = 1, down_ = 1;
  CudaIndex column0_, row0_, outer_;
};

} // namespace

std::optional<CudaKernelCode> emitCudaTranspose(const CudaKernelContext &k) {
  std::optional<Form> form = formOf(k);
  if (!form)
    return std::nullopt;
  CudaKernelCode code;
  code.steps.push_back(TransposeWriter(k, *std::move(form)).write());
  return code;
}

} // namespace gradc
