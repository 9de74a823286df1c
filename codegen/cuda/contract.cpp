// Kernels of one matmul or convolution, by the form that their schedule names (passes/schedule_cuda.cpp).
#include "codegen/cuda/contract.h"

#include <algorithm>
#include <array>

#include "ir/contraction.h"
#include "ir/cost.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc {
namespace {

/// A word of the kernel's schedule.
std::string_view scheduled(const CudaKernelContext &k, std::string_view name) {
  const Attr *attr = k.fn[k.kernel].attrs.find("schedule");
  const Dict *schedule = attr ? attr->as<Dict>() : nullptr;
  const Attr *word = schedule ? schedule->find(name) : nullptr;
  return word && word->as<Keyword>() ? std::string_view(word->as<Keyword>()->word) : "";
}

std::optional<CudaTile> scheduledTile(const CudaKernelContext &k) {
  const Attr *schedule = k.fn[k.kernel].attrs.find("schedule");
  if (!schedule || !schedule->as<Dict>()->has("tile"))
    return std::nullopt;
  const std::vector<int64_t> tile = schedule->as<Dict>()->ints("tile");
  return tile.size() == 2 ? findCudaTile(tile[0], tile[1]) : std::nullopt;
}

std::optional<CudaTensorFormat> scheduledFormat(const CudaKernelContext &k) {
  const std::string_view algorithm = scheduled(k, "algorithm");
  if (algorithm == "mma_tf32")
    return CudaTensorFormat::Tf32;
  if (algorithm == "mma_bf16")
    return CudaTensorFormat::Bf16;
  return algorithm == "mma_f16" ? std::optional(CudaTensorFormat::F16) : std::nullopt;
}

/// Segments of the depth, of what tensor cores add.
int64_t scheduledSplit(const CudaKernelContext &k) {
  const Attr *split = k.fn[k.kernel].attrs.find("schedule")->as<Dict>()->find("split");
  const int64_t *segments = split && scheduledFormat(k) ? split->as<int64_t>() : nullptr;
  return segments ? std::max<int64_t>(*segments, 1) : 1;
}

CudaTileOptions scheduledOptions(const CudaContraction &c, const ImplicitProduct &product) {
  const Dict &schedule = *c.k.fn[c.k.kernel].attrs.find("schedule")->as<Dict>();
  const std::string_view op = c.data().def->name;
  return {.format = scheduledFormat(c.k),
          .packFilters = schedule.flag("pack") && (op == "conv2d" || op == "conv2d_grad_input"),
          .lanesInTurn = schedule.flag("in_turn") && product.partials == kLanes,
          .split = scheduledSplit(c.k)};
}

/// What tensor cores add has no order, so no partial sums.
ImplicitProduct scheduledProduct(const CudaContraction &c, const ImplicitProduct &product) {
  return scheduledFormat(c.k) ? withoutPartials(c.k.fn, c.op, product) : product;
}

/// The operands are the kernel's own, of f32, row by row.
bool readsArguments(const CudaContraction &c) {
  const bool plain = c.type().dtype == DType::F32 && c.type().layout.empty();
  return plain && std::ranges::all_of(c.data().operands, [&](ValueId v) {
           return c.k.fn[v].def == kNoOp && c.k.fn.type(v).dtype == DType::F32 &&
                  c.k.fn.type(v).layout.empty();
         });
}

} // namespace

void CudaContraction::store(CudaStepWriter &w, const CudaIndices &at, const std::string &value) const {
  store(w, std::array{Place{at, value, ""}});
}

void CudaContraction::store(CudaStepWriter &w, std::span<const Place> places) const {
  const std::vector<ValueId> &yields = k.body().yields;
  std::vector<std::string> values; // by place, then result
  for (const Place &place : places) {
    w.m.bindValue(result(), [&](const CudaIndices &) { return place.value; });
    for (ValueId yield : yields)
      values.push_back(w.m.emit(yield, place.at));
  }
  for (size_t p = 0; p < places.size(); ++p)
    w.m.when(places[p].condition, [&] {
      for (size_t i = 0; i < yields.size(); ++i)
        w.m.store(k.fn.type(yields[i]), w.results[i], places[p].at, values[p * yields.size() + i]);
    });
  w.m.unbind(result());
}

void CudaContraction::setCost(CudaStep &step) const { step.flops = costOf(k.fn, k.kernel).flops; }

CudaKernelCode emitCudaContract(const CudaKernelContext &k) {
  const CudaContraction c{k, findContraction(k.fn, k.region())};
  const std::string_view form = scheduled(k, "form");
  if (readsArguments(c)) {
    const std::optional<ImplicitProduct> product = implicitProduct(k.fn, c.op);
    const std::optional<CudaTile> tile = scheduledTile(k);
    if (form == "tiles" && product && tile) {
      const ImplicitProduct scheduled = scheduledProduct(c, *product);
      return emitCudaTiles(c, scheduled, *tile, scheduledOptions(c, scheduled));
    }
    if (form == "dots" && !product)
      return emitCudaDots(c);
    if (form == "library" && c.data().def->name == "matmul")
      return emitCudaLibrary(c);
  }
  return emitCudaMap(k); // an element a thread
}

} // namespace gradc
