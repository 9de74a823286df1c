// scatter_add of row-major tensors: each update is added to the row of its index, in the order of the list. An item owns
// 16 neighbouring columns of all rows, so no two items touch one element.
#include <algorithm>

#include "llvm/IR/Intrinsics.h"

#include "codegen/cpu/kernel.h"
#include "codegen/cpu/lane_index.h"
#include "ir/op.h"
#include "support/check.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr double kCyclesPerUpdate = 8, kCyclesPerSecond = 3e9;

OpId scatterOf(const KernelContext &k) {
  const std::vector<OpId> &ops = k.body().ops;
  return ops.size() == 1 && k.fn[ops[0]].def->name == "scatter_add" ? ops[0] : kNoOp;
}

class ScatterEmitter {
public:
  ScatterEmitter(KernelContext &k, const OpData &op) : k_(k), e(k.e), result_(k.fn.type(op.results[0])) {
    const Dict attrs = withDefaults(*op.def, op.attrs);
    const int64_t axis = attrs.i64("axis");
    for (int i = 0; i < result_.rank(); ++i)
      (i < axis ? outer_ : i == axis ? rows_ : columns_) *= result_.shape[i];
    count_ = k.fn.type(op.operands[0]).elements();
    vectors_ = ceilDiv(columns_, kVectorLanes);
    bytes_ = static_cast<int64_t>(dtypeSize(result_.dtype));
    indices_ = bufferOf(op.operands[0]);
    updates_ = bufferOf(op.operands[1]);
  }

  KernelCode emit() {
    KernelCode code;
    code.steps.push_back({.symbol = k_.symbol,
                          .items = outer_ * vectors_,
                          .work = kCyclesPerUpdate / kCyclesPerSecond *
                                  static_cast<double>(outer_ * vectors_ * (count_ + rows_))});
    e.beginKernel(k_.symbol);
    llvm::Value *indices = e.buffer(indices_), *updates = e.buffer(updates_),
                *result = e.buffer(k_.resultBuffer(0));
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *outer = e.div(item, vectors_), *first = e.mul(e.mod(item, vectors_), kVectorLanes);
      LaneMath math(e);
      mask_ = columns_ % kVectorLanes ? math.lessThan(math.consecutive(first), columns_) : nullptr;
      auto at = [&](llvm::Value *base, int64_t rows) {
        return e.offset(base, e.mul(e.add(e.mul(outer, rows * columns_), first), bytes_));
      };
      addAll(indices, at(updates, count_), at(result, rows_));
    });
    e.endFunction();
    return code;
  }

private:
  int bufferOf(ValueId operand) const {
    const auto &args = k_.body().args;
    const auto arg = std::ranges::find(args, operand);
    CHECK(arg != args.end(), "scatter_add reads memory");
    return k_.operandBuffer(static_cast<int>(arg - args.begin()));
  }

  void addAll(llvm::Value *indices, llvm::Value *updates, llvm::Value *result) {
    const int64_t pitch = columns_ * bytes_;
    e.count(rows_, [&](llvm::Value *row) {
      store(e.offset(result, e.mul(row, pitch)), llvm::Constant::getNullValue(e.vectorType(result_.dtype)));
    });
    e.count(count_, [&](llvm::Value *i) {
      llvm::Value *to = e.offset(result, e.mul(row(indices, i), pitch));
      store(to, e.b.CreateFAdd(load(to), load(e.offset(updates, e.mul(i, pitch)))));
    });
  }

  /// The index, clamped to the rows.
  llvm::Value *row(llvm::Value *indices, llvm::Value *i) {
    llvm::Value *given =
        e.b.CreateAlignedLoad(e.b.getInt32Ty(), e.offset(indices, e.mul(i, 4)), llvm::Align(4));
    llvm::Value *wide = e.b.CreateSExt(given, e.b.getInt64Ty());
    wide = e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, wide, e.i64(0));
    return e.b.CreateBinaryIntrinsic(llvm::Intrinsic::smin, wide, e.i64(rows_ - 1));
  }

  llvm::Value *load(llvm::Value *at) {
    llvm::Type *type = e.vectorType(result_.dtype);
    const llvm::Align align(static_cast<uint64_t>(bytes_));
    if (!mask_)
      return e.b.CreateAlignedLoad(type, at, align);
    return e.b.CreateMaskedLoad(type, at, align, mask_, llvm::Constant::getNullValue(type));
  }
  void store(llvm::Value *at, llvm::Value *value) {
    const llvm::Align align(static_cast<uint64_t>(bytes_));
    if (mask_)
      e.b.CreateMaskedStore(value, at, align, mask_);
    else
      e.b.CreateAlignedStore(value, at, align);
  }

  KernelContext &k_;
  Emit &e;
  Type result_;
  int64_t outer_ = 1, rows_ = 1, columns_ = 1, count_ = 1, vectors_ = 1, bytes_ = 4;
  int indices_ = 0, updates_ = 0;
  llvm::Value *mask_ = nullptr;
};

} // namespace

bool isScatter(const KernelContext &k) {
  const OpId op = scatterOf(k);
  if (op == kNoOp)
    return false;
  auto isRowMajor = [&](ValueId v) { return k.fn.type(v).layout.empty(); };
  return std::ranges::all_of(k.body().args, isRowMajor) && isRowMajor(k.fn[op].results[0]) &&
         k.fn[op].operands[0] != k.fn[op].operands[1];
}

KernelCode emitScatter(KernelContext &k) { return ScatterEmitter(k, k.fn[scatterOf(k)]).emit(); }

} // namespace gradc
