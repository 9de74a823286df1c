// Chooses how kernels run, as an attribute that code generation obeys and that dumps show.
//
//   %y = kernel(%x, %w) {kind = contract} { … matmul … }
// becomes
//   %y = kernel(%x, %w) {kind = contract, schedule = {algorithm = direct, form = batch_lanes, tile = [6,4]}} { … }
//
// algorithm  the one word here that touches bits (ir/order.h): direct; what an earlier pass has named (winograd); amx
//         where the factors are bf16; amx6, f32 factors as sums of three bf16, with the option split where shapes make
//         it pay
// form    what lies in the 16 lanes of a vector and in the rows and columns of a register tile (ir/contraction.h);
//         generic where no fast form exists
// tile    accumulators held in registers: rows × vectors of 16 lanes, from a cost model (support/tiling.h)
// order   partial sums of a reduction, where it is not one chain (ir/order.h): stated, not chosen
//
// A kernel without a schedule is one loop over its result, 16 lanes along the innermost dimension in memory. The
// processor is given by its registers, so the pass asks nothing of the machine it runs on. A tile never changes a
// bit. Runs after outline, winograd and pair, before plan-memory. Exact.
#include <cmath>

#include "ir/contraction.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "ir/order.h"
#include "ir/winograd.h"
#include "passes/kernel_util.h"
#include "passes/pass.h"
#include "support/tiling.h"

namespace gradc {
namespace {

/// Whether six products of bf16 tiles are faster than one of f32, by cycles of a core: 24 multiply-adds each of f32,
/// 16 for a product of tiles, and what packing takes. From shapes alone, as it decides bits.
bool splittingPays(const Function &fn, OpId contraction) {
  const OpData &op = fn[contraction];
  const Type operands[] = {fn.type(op.operands[0]), fn.type(op.operands[1])},
             &result = fn.type(op.results[0]);
  if (operands[0].dtype != DType::F32 || !suitsTiles(fn, contraction))
    return false;
  const int rank = result.rank();
  const bool transposed = withDefaults(*op.def, op.attrs).flag("transpose_a");
  const bool shared = operands[1].rank() < rank; // one rhs for all rows
  const auto columns = static_cast<double>(result.shape[rank - 1]),
             rows = shared ? static_cast<double>(result.elements()) / columns
                           : static_cast<double>(result.shape[rank - 2]);
  const auto depth = static_cast<double>(operands[0].shape[transposed ? rank - 2 : rank - 1]);
  // Then the tiles' columns are the result's rows. Gradients of weights count as row-major, packed or not.
  const bool lanesAreRows = result.layout == kLayoutN16 && !transposed;
  const double packedRows = lanesAreRows ? columns : rows, packedColumns = lanesAreRows ? rows : columns;
  const double tiles = std::ceil(rows / 16) * std::ceil(columns / 16) * std::ceil(depth / 32);
  // Rows are packed beside products, columns before them and through memory.
  constexpr double kPackRow = 1, kPackColumn = 2, kOverhead = 2000; // an element, an element, a kernel
  // Where the depth is that of a weight gradient over thousands of tokens, sums and packed tiles pass through memory.
  constexpr double kDeep = 4096, kProducts = 6 * 16, kDeepProducts = 2.5 * kProducts; // a tile
  return tiles * (depth > kDeep ? kDeepProducts : kProducts) +
             (kPackRow * packedRows + kPackColumn * packedColumns) * depth + kOverhead <
         0.85 * rows * columns * depth / 24;
}

Dict contractionSchedule(const Function &fn, OpId kernel, OpId contraction, const VectorUnit &unit,
                         bool split) {
  std::string algorithm(scheduledAlgorithm(fn, kernel));
  ContractionShape shape = algorithmShape(fn, contraction, algorithm);
  if (shape.form == ContractionForm::Tiles)
    algorithm = "amx";
  else if (split && algorithm == "direct" && splittingPays(fn, contraction))
    algorithm = "amx6";
  if (algorithm == "amx6")
    shape = {ContractionForm::Tiles};
  Dict schedule;
  schedule.set("algorithm", Keyword{algorithm});
  schedule.set("form", Keyword{std::string(contractionFormName(shape.form))});
  if (shape.form != ContractionForm::Generic && shape.form != ContractionForm::Tiles) {
    const RegisterTile tile = chooseTile(shape, unit);
    schedule.set("tile", std::vector<int64_t>{tile.rows, tile.vectors});
  }
  if (shape.form == ContractionForm::ChannelLanes) {
    if (const int64_t split = winogradSegments(fn, contraction); split > 1)
      schedule.set("order", toDict({.split = split}));
  } else if (shape.form != ContractionForm::Tiles && algorithm != "pixels") { // whose order the algorithm is
    addOrder(fn, contraction, schedule);
  }
  return schedule;
}

Dict scheduleOf(const Function &fn, OpId kernel, const VectorUnit &unit, bool split) {
  Dict schedule;
  for (OpId op : fn[fn[kernel].regions[0]].ops) {
    if (fn[op].def->is(kContraction)) // a pair's first one has its loops
      return contractionSchedule(fn, kernel, op, unit, split && fn[kernel].attrs.str("kind") == "contract");
    if (fn[op].def->is(kReduction) && !schedule.has("order"))
      addOrder(fn, op, schedule);
  }
  return schedule;
}

Result<bool> run(Module &module, PassContext &context) {
  const VectorUnit unit{.registers = static_cast<int>(context.options.i64("registers")),
                        .bits = static_cast<int>(context.options.i64("bits"))};
  if ((unit.bits != 128 && unit.bits != 256 && unit.bits != 512) || unit.registers < 8)
    return std::unexpected(context.diag.error({},
                                              "schedule knows vector registers of 128, 256 and 512 bits, at "
                                              "least 8 of them, but got {} of {} bits",
                                              unit.registers, unit.bits));
  const bool split = context.options.flag("split");
  bool changed = false;
  for (auto &fn : module.functions)
    changed |= setSchedules(*fn, context, [&](OpId kernel) { return scheduleOf(*fn, kernel, unit, split); });
  return changed;
}

} // namespace
} // namespace gradc

GRADC_PASS(schedule) {
  return {.name = "schedule",
          .doc = "choose the register tiles of contractions",
          .options = {{.name = "registers", .doc = "vector registers of the processor", .defaultValue = 32},
                      {.name = "bits", .doc = "width of a vector register", .defaultValue = 512},
                      {.name = "split",
                       .doc = "compute f32 products from bf16 pieces, algorithm amx6, where that pays",
                       .defaultValue = false}},
          .run = run};
}
