// The interpreter's memory mode: the same meaning, but values live at the addresses that plan-memory chose.
#include <algorithm>
#include <map>

#include "ir/interpreter.h"
#include "ir/layout.h"
#include "ir/plan.h"

namespace gradc {

namespace {

constexpr std::byte kPoison{0xff}; // NaN in every float type

/// Calls f(index in memory, row-major index) for the elements of a type.
template <class F> void forEachInMemory(const Type &type, F &&f) {
  const std::vector<PhysicalDim> dims = physicalDims(type);
  const std::vector<int64_t> strides = rowMajorStrides(type.shape);
  auto loop = [&](auto &self, size_t depth, int64_t memory, int64_t at) -> void {
    if (depth == dims.size()) {
      if (at < type.elements()) // else padding: only dimension 0 goes too far
        f(memory, at);
      return;
    }
    const PhysicalDim &dim = dims[depth];
    for (int64_t i = 0; i < dim.size; ++i)
      self(self, depth + 1, memory + i * dim.stride, at + i * dim.step * strides[dim.axis]);
  };
  loop(loop, 0, 0, 0);
}

class MemoryFrame {
public:
  MemoryFrame(const Module &module, const Function &fn)
      : module_(module), fn_(fn), places_(placesOfValues(fn)) {}

  /// Why the plan cannot be carried out at all, or empty.
  std::string prepare() {
    if (!isPlanned(fn_))
      return "has no memory plan; run plan-memory first";
    const int64_t *arena = fn_.attrs.find(kArenaAttr)->as<int64_t>();
    if (!arena || *arena < 0)
      return "has a malformed attribute 'arena'";
    memories_["arena"].assign(*arena, kPoison);
    for (ValueId v : fn_.body().args)
      reserve(v);
    for (OpId op : fn_.body().ops)
      for (ValueId v : fn_[op].results) {
        if (!places_[index(v)])
          return fmt::format("has no place for %{}", fn_[v].name);
        reserve(v);
        if (offset(v) + storageBytes(fn_.type(v)) > static_cast<int64_t>(memoryOf(v).size()))
          return fmt::format("places %{} outside of its memory", fn_[v].name);
      }
    return {};
  }

  std::vector<Tensor> run(std::span<const Tensor> arguments) {
    for (size_t i = 0; i < arguments.size(); ++i)
      store(fn_.body().args[i], arguments[i]);
    const std::vector<size_t> lastUse = findLastUses();
    const std::vector<OpId> &ops = fn_.body().ops;
    for (size_t t = 0; t < ops.size(); ++t) {
      const OpData &op = fn_[ops[t]];
      std::vector<Tensor> operands;
      for (ValueId v : op.operands)
        operands.push_back(load(v));
      for (ValueId v : op.operands)
        if (lastUse[index(v)] == t)
          poison(v);
      std::vector<Tensor> results = interpretRegion(module_, fn_, op.regions[0], operands);
      for (size_t i = 0; i < results.size(); ++i)
        store(op.results[i], results[i]);
    }
    std::vector<Tensor> results;
    for (ValueId v : fn_.body().yields)
      results.push_back(load(v));
    return results;
  }

private:
  std::string keyOf(ValueId v) const {
    const Place &place = *places_[index(v)];
    return place.space == Place::Space::Arena ? "arena" : toString(place);
  }
  std::vector<std::byte> &memoryOf(ValueId v) { return memories_[keyOf(v)]; }
  int64_t offset(ValueId v) const {
    const Place &place = *places_[index(v)];
    return place.space == Place::Space::Arena ? place.number : 0;
  }
  void reserve(ValueId v) {
    std::vector<std::byte> &memory = memoryOf(v);
    if (places_[index(v)]->space != Place::Space::Arena)
      memory.resize(std::max<size_t>(memory.size(), storageBytes(fn_.type(v))), kPoison);
  }

  Tensor load(ValueId v) {
    const Type &type = fn_.type(v);
    Tensor tensor(type);
    const size_t size = dtypeSize(type.dtype);
    const std::byte *from = memoryOf(v).data() + offset(v);
    forEachInMemory(type, [&](int64_t memory, int64_t i) {
      std::copy_n(from + memory * size, size, tensor.bytes().data() + i * size);
    });
    return tensor;
  }

  void store(ValueId v, const Tensor &tensor) {
    const size_t size = dtypeSize(tensor.type().dtype);
    std::byte *to = memoryOf(v).data() + offset(v);
    std::fill_n(to, storageBytes(fn_.type(v)), std::byte{0}); // padding
    forEachInMemory(fn_.type(v), [&](int64_t memory, int64_t i) {
      std::copy_n(tensor.bytes().data() + i * size, size, to + memory * size);
    });
  }

  void poison(ValueId v) {
    if (places_[index(v)]->space == Place::Space::Arena)
      std::fill_n(memoryOf(v).data() + offset(v), storageBytes(fn_.type(v)), kPoison);
  }

  /// By value: the kernel after which nothing reads it or what else shows its memory, its views and the value of
  /// which it is one; the number of kernels if one of these is returned.
  std::vector<size_t> findLastUses() const {
    const std::vector<OpId> &ops = fn_.body().ops;
    std::vector<ValueId> shown(fn_.numValues()); // by value: itself, or what it is a view of
    for (size_t i = 0; i < shown.size(); ++i)
      shown[i] = ValueId{static_cast<uint32_t>(i)};
    std::vector<size_t> last(fn_.numValues(), 0);
    for (size_t t = 0; t < ops.size(); ++t) {
      for (ValueId v : fn_[ops[t]].operands)
        last[index(shown[index(v)])] = t;
      if (takesNoStep(fn_, ops[t]))
        for (ValueId v : fn_[ops[t]].results)
          shown[index(v)] = shown[index(fn_[ops[t]].operands[0])];
    }
    for (ValueId v : fn_.body().yields)
      last[index(shown[index(v)])] = ops.size();
    for (size_t i = 0; i < shown.size(); ++i)
      last[i] = last[index(shown[i])];
    return last;
  }

  const Module &module_;
  const Function &fn_;
  std::vector<std::optional<Place>> places_;
  std::map<std::string, std::vector<std::byte>> memories_;
};

} // namespace

Result<std::vector<Tensor>> interpretInMemory(const Module &module, const Function &fn,
                                              std::span<const Tensor> arguments, Diagnostics &diag) {
  MemoryFrame frame(module, fn);
  if (std::string wrong = frame.prepare(); !wrong.empty())
    return std::unexpected(diag.error(fn.loc, "@{} {}", fn.name, wrong));
  return frame.run(arguments);
}

} // namespace gradc
