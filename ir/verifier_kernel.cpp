#include "ir/verifier_kernel.h"

#include "ir/contraction.h"
#include "ir/op.h"
#include "ir/spelling.h"
#include "ir/winograd.h"

namespace gradc {
namespace {

/// Made of other ops: no loop nest computes it as it stands.
bool isComposite(const OpDef &def) { return def.expand && !def.scalar; }

void checkArguments(const Function &fn, const OpData &op, std::vector<std::string> &errors) {
  const std::vector<ValueId> &args = fn[op.regions[0]].args;
  if (args.size() != op.operands.size()) {
    errors.push_back(fmt::format("{} has {} operands, but its region has {} arguments", op.def->name,
                                 op.operands.size(), args.size()));
    return;
  }
  for (size_t i = 0; i < args.size(); ++i)
    if (const Type &outer = fn.type(op.operands[i]), &inner = fn.type(args[i]); !(outer == inner))
      errors.push_back(fmt::format("{}'s operand {} is {}, but the region's argument {} is {}", op.def->name,
                                   valueText(fn[op.operands[i]].name), toString(outer),
                                   valueText(fn[args[i]].name), toString(inner)));
}

/// Why an op may not stand in a kernel of this kind, or nothing.
std::string_view objection(const OpDef &def, std::string_view kind) {
  if (def.numRegions != 0)
    return "kernels do not nest";
  if (def.is(kOrdered))
    return "it has an effect";
  if (isComposite(def))
    return "it must be expanded first";
  if (def.is(kContraction) && kind != "contract" && kind != "pair")
    return "it is a contraction";
  if (def.is(kReduction) && kind != "rows")
    return "it is a reduction";
  return {};
}

/// Tiles of bf16 compute contractions of bf16 (amx) and matmuls of f32 (amx6), as suitsTiles wants them.
bool canUseTiles(const Function &fn, OpId contraction, DType factor) {
  return fn.type(fn[contraction].operands[0]).dtype == factor && suitsTiles(fn, contraction);
}

/// The algorithm that a schedule names must be able to compute the kernel's contraction.
void checkAlgorithm(const Function &fn, OpId id, std::vector<std::string> &errors) {
  const std::string_view algorithm = scheduledAlgorithm(fn, id);
  const OpId contraction = findContraction(fn, fn[id].regions[0]);
  if (algorithm == "direct" || contraction == kNoOp)
    return;
  if (fn[id].attrs.str("kind") == "pair")
    errors.push_back(fmt::format("a kernel of kind pair has algorithm = direct, but got {}", algorithm));
  else if (algorithm == "amx" || algorithm == "amx6") {
    const DType factor = algorithm == "amx" ? DType::BF16 : DType::F32;
    if (!canUseTiles(fn, contraction, factor))
      errors.push_back(fmt::format("algorithm = {} needs a matmul{} of {}", algorithm,
                                   factor == DType::BF16 ? " or dense convolution in n16" : "",
                                   dtypeName(factor)));
  } else if (algorithm == "pixels") {
    if (!suitsPixels(fn, contraction))
      errors.push_back("algorithm = pixels needs a conv2d_grad_weight of f32, row-major");
  } else if (algorithm == "cublas") {
    if (fn[contraction].def->name != "matmul")
      errors.push_back(
          fmt::format("algorithm = cublas needs a matmul, but got {}", fn[contraction].def->name));
  } else if (algorithm == "mma_tf32" || algorithm == "mma_bf16" || algorithm == "mma_f16") {
    if (const Type &factor = fn.type(fn[contraction].operands[0]); factor.dtype != DType::F32)
      errors.push_back(
          fmt::format("algorithm = {} rounds factors of f32, but got {}", algorithm, toString(factor)));
  } else if (algorithm != "winograd")
    errors.push_back(fmt::format(
        "algorithm is direct, winograd, pixels, amx, amx6, mma_tf32, mma_bf16, mma_f16 or cublas, but got {}",
        algorithm));
  else if (std::optional<std::string> objection = winogradObjection(fn, contraction))
    errors.push_back(fmt::format("algorithm = winograd needs {}", *objection));
}

} // namespace

std::vector<std::string> kernelErrors(const Function &fn, OpId id) {
  const OpData &op = fn[id];
  const std::string &kind = op.attrs.str("kind");
  std::vector<std::string> errors;
  checkArguments(fn, op, errors);
  int contractions = 0;
  for (OpId inner : fn[op.regions[0]].ops) {
    const OpDef &def = *fn[inner].def;
    contractions += def.is(kContraction);
    if (std::string_view why = objection(def, kind); !why.empty())
      errors.push_back(fmt::format("a kernel of kind {} may not contain {}: {}", kind, def.name, why));
  }
  if (kind == "contract" && contractions != 1)
    errors.push_back(
        fmt::format("a kernel of kind contract contains one contraction, but got {}", contractions));
  if (kind == "pair" && !findGradientPair(fn, op.regions[0]))
    errors.push_back(
        "a kernel of kind pair contains the two gradients of a dense layer, matmul(%dy, %w) and "
        "matmul(%dy, %x) {transpose_a = true}, of arguments in n16, and each result is made of one of them");
  if (errors.empty())
    checkAlgorithm(fn, id, errors);
  if (fn[op.regions[0]].yields.empty())
    errors.push_back("a kernel yields at least one value");
  return errors;
}

} // namespace gradc
