// Form `library`: a matmul by cuBLAS. What follows it is cuBLASLt's epilogue where that does exactly this (a bias, a relu
// or gelu, or both), else one elementwise kernel that reads the product from the workspace.
#include <algorithm>

#include "codegen/cuda/contract.h"
#include "ir/op.h"
#include "support/check.h"
#include "support/tiling.h"

namespace gradc {
namespace {

struct LibraryEpilogue {
  gradc_cuda_epilogue kind = GRADC_CUDA_EPILOGUE_NONE;
  int bias = -1; // number of the kernel's operand
};

/// Follows the values from the product to the only result.
class EpilogueMatcher {
public:
  explicit EpilogueMatcher(const CudaContraction &c) : c_(c), fn_(c.k.fn) {}

  /// Nothing where the library has no such epilogue.
  std::optional<LibraryEpilogue> match() {
    if (c_.k.body().yields.size() != 1)
      return std::nullopt;
    ValueId at = c_.result();
    if (const OpId next = onlyReader(at); next != kNoOp && fn_[next].def->name == "add")
      if (const ValueId other = fn_[next].operands[fn_[next].operands[0] == at ? 1 : 0]; isBias(other))
        at = take(next);
    bool relu = false, gelu = false;
    if (const OpId next = onlyReader(at); next != kNoOp) {
      relu = fn_[next].def->name == "relu";
      gelu = fn_[next].def->name == "gelu" &&
             withDefaults(*fn_[next].def, fn_[next].attrs).str("approximate") == "tanh";
      if (relu || gelu)
        at = take(next);
    }
    if (at != c_.k.body().yields[0])
      return std::nullopt;
    const bool bias = epilogue_.bias >= 0;
    epilogue_.kind = relu   ? bias ? GRADC_CUDA_EPILOGUE_RELU_BIAS : GRADC_CUDA_EPILOGUE_RELU
                     : gelu ? bias ? GRADC_CUDA_EPILOGUE_GELU_BIAS : GRADC_CUDA_EPILOGUE_GELU
                     : bias ? GRADC_CUDA_EPILOGUE_BIAS
                            : GRADC_CUDA_EPILOGUE_NONE;
    return epilogue_;
  }

private:
  /// The op that alone reads a value, which is not yielded; kNoOp: there is none.
  OpId onlyReader(ValueId v) const {
    OpId reader = kNoOp;
    if (std::ranges::find(c_.k.body().yields, v) != c_.k.body().yields.end())
      return kNoOp;
    for (OpId op : c_.k.body().ops)
      if (const auto uses = std::ranges::count(fn_[op].operands, v); uses > 0) {
        if (reader != kNoOp || uses > 1)
          return kNoOp;
        reader = op;
      }
    return reader;
  }

  ValueId take(OpId op) { return fn_[op].results[0]; }

  /// A vector repeated for all rows, and the kernel's own operand.
  bool isBias(ValueId v) {
    const OpId def = fn_[v].def;
    if (def == kNoOp || fn_[def].def->name != "broadcast" || fn_[fn_[def].operands[0]].def != kNoOp)
      return false;
    const std::vector<int64_t> axes = fn_[def].attrs.ints("axes");
    if (axes.size() != 1 || axes[0] != c_.type().rank() - 1)
      return false;
    epilogue_.bias = static_cast<int>(fn_[fn_[def].operands[0]].number);
    return true;
  }

  const CudaContraction &c_;
  const Function &fn_;
  LibraryEpilogue epilogue_;
};

/// What the schedule lets the library round factors to.
gradc_cuda_compute computeOf(const CudaContraction &c) {
  const Attr *precision = c.k.fn[c.k.kernel].attrs.find("schedule")->as<Dict>()->find("precision");
  if (!precision)
    return GRADC_CUDA_COMPUTE_F32;
  if (*precision == Attr(DType::BF16))
    return GRADC_CUDA_COMPUTE_BF16;
  return *precision == Attr(DType::F16) ? GRADC_CUDA_COMPUTE_F16 : GRADC_CUDA_COMPUTE_TF32;
}

gradc_cuda_product productOf(const CudaContraction &c) {
  const ImplicitProduct sizes = matmulProduct(c.k.fn, c.op);
  const Dict attrs = withDefaults(*c.data().def, c.data().attrs);
  const bool shared = c.operandType(1).rank() < c.type().rank();
  gradc_cuda_product product{};
  product.m = sizes.rows;
  product.n = sizes.columns;
  product.k = sizes.depth;
  product.batch = sizes.batch;
  product.stride_a = sizes.rows * sizes.depth;
  product.stride_b = shared ? 0 : sizes.columns * sizes.depth;
  product.stride_c = sizes.rows * sizes.columns;
  product.transpose_a = attrs.flag("transpose_a");
  product.transpose_b = attrs.flag("transpose_b");
  product.factor_dtype = static_cast<int32_t>(c.operandType(0).dtype);
  product.result_dtype = static_cast<int32_t>(c.type().dtype);
  product.compute = computeOf(c);
  return product;
}

CudaStep call(const CudaContraction &c, const gradc_cuda_product &product, int to, int bias) {
  CudaStep step;
  step.product = product;
  step.buffers = {c.k.operandBuffer(c.argument(0)), c.k.operandBuffer(c.argument(1)), to};
  if (bias >= 0)
    step.buffers.push_back(c.k.operandBuffer(bias));
  c.setCost(step);
  return step;
}

/// Everything after the product, an element a thread.
CudaStep finish(const CudaContraction &c) {
  CudaStepWriter w(c.k, "_finish", true);
  const int64_t elements = c.type().elements();
  const std::string i = w.text.define(w.m.math.indexType(), "i",
                                      fmt::format("block * {}{} + int(threadIdx.x)", kCudaThreads,
                                                  w.m.math.indexType() == "int" ? "" : "LL"));
  w.m.when(elements % kCudaThreads == 0 ? "" : fmt::format("{} < {}", i, elements), [&] {
    const std::string product =
        w.text.define("float", "product", fmt::format("((const float *){})[{}]", w.workspace, i));
    c.store(w, w.m.math.dims(c.type().shape, w.m.math.counter(i, elements)), product);
  });
  return std::move(w).finish(ceilDiv(elements, kCudaThreads));
}

} // namespace

CudaKernelCode emitCudaLibrary(const CudaContraction &c) {
  CHECK(c.type().dtype == DType::F32, "products of {}", dtypeName(c.type().dtype));
  gradc_cuda_product product = productOf(c);
  CudaKernelCode code;
  const std::optional<LibraryEpilogue> epilogue = EpilogueMatcher(c).match();
  if (epilogue && (product.batch == 1 || epilogue->kind == GRADC_CUDA_EPILOGUE_NONE)) {
    product.epilogue = epilogue->kind;
    code.steps.push_back(call(c, product, c.k.resultBuffer(0), epilogue->bias));
    return code;
  }
  code.workspaceBytes = c.type().elements() * static_cast<int64_t>(sizeof(float));
  code.steps.push_back(call(c, product, c.k.workspaceBuffer(), -1));
  code.steps.push_back(finish(c));
  return code;
}

} // namespace gradc
