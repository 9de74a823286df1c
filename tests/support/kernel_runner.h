// Runs a function's ops as one compiled kernel, for unit tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <vector>

#include "codegen/cpu/compiler.h"
#include "codegen/cpu/jit.h"
#include "codegen/storage.h"
#include "ir/builder.h"
#include "ir/layout.h"
#include "ir/op.h"

namespace gradc::testing {

/// 64-byte aligned memory between guards that must not change.
class Guarded {
public:
  explicit Guarded(int64_t bytes)
      : bytes_(bytes), memory_(static_cast<size_t>(bytes) + 3 * kGuard, std::byte{0xA5}) {
    auto start = reinterpret_cast<uintptr_t>(memory_.data()) + kGuard;
    data_ = reinterpret_cast<std::byte *>((start + 63) / 64 * 64);
  }
  std::span<std::byte> span() { return {data_, static_cast<size_t>(bytes_)}; }
  bool intact() const {
    const std::byte *end = memory_.data() + memory_.size();
    auto guard = [](const std::byte *from, const std::byte *to) {
      return std::all_of(from, to, [](std::byte b) { return b == std::byte{0xA5}; });
    };
    return guard(memory_.data(), data_) && guard(data_ + bytes_, end);
  }

private:
  static constexpr size_t kGuard = 256;
  int64_t bytes_;
  std::vector<std::byte> memory_;
  std::byte *data_;
};

/// Wraps all ops of a function in one kernel.
inline Module asKernel(const Module &module, std::string_view kind) {
  const Function &fn = *module.functions[0];
  Module result;
  Function &into = result.addFunction(fn.name);
  std::vector<ValueId> args;
  for (ValueId arg : fn.body().args)
    args.push_back(into.addArg(Function::kBody, fn.type(arg), fn[arg].name));
  std::vector<Type> types;
  std::vector<std::string> names;
  for (ValueId value : fn.body().yields) {
    types.push_back(fn.type(value));
    names.push_back("r");
  }
  OpId kernel = into.makeOp(Function::kBody, &opDef("kernel"), args, {{"kind", Keyword{std::string(kind)}}},
                            types, names, {});
  into[Function::kBody].ops.push_back(kernel);
  RegionId region = into.addRegion(kernel);
  ValueMap map(fn.numValues(), kNoValue);
  for (ValueId arg : fn.body().args)
    map[index(arg)] = into.addArg(region, fn.type(arg), fn[arg].name);
  Builder builder(into, region);
  for (OpId op : fn.body().ops) {
    OpId copy = cloneOp(fn, op, builder, map);
    for (size_t i = 0; i < fn[op].results.size(); ++i)
      into[into[copy].results[i]].type = fn.type(fn[op].results[i]);
  }
  for (ValueId value : fn.body().yields)
    into[region].yields.push_back(map[index(value)]);
  into.body().yields = into[kernel].results;
  return result;
}

/// What n16 has beyond the batch is zero in every byte.
inline bool paddingIsZero(std::span<const std::byte> memory, const Type &type) {
  if (!hasPadding(type))
    return true;
  const auto size = static_cast<size_t>(dtypeSize(type.dtype));
  const auto lanes = static_cast<size_t>(kLanes), examples = static_cast<size_t>(type.shape[0]) % lanes;
  const size_t blockBytes = memory.size() / static_cast<size_t>(laneBlocks(type.shape[0]));
  std::span<const std::byte> last = memory.last(blockBytes);
  for (size_t i = 0; i < last.size(); ++i)
    if (i / size % lanes >= examples && last[i] != std::byte{0})
      return false;
  return true;
}

/// The kernel's results, whose padding must be zero; its items run last to first, `stepSize` at a time (0: all at once).
inline std::vector<Tensor> runKernel(const Module &module, const CpuTarget &target,
                                     const std::vector<Tensor> &arguments, int64_t stepSize = 0) {
  const Function &fn = *module.functions[0];
  OpId kernel = fn.body().ops[0];
  auto compiler = KernelCompiler::create(target);
  EXPECT_TRUE(compiler);
  std::string symbol = kernelSymbol(fn, kernel, target);
  KernelObject object = compiler->compile(fn, kernel, symbol);
  auto jit = *Jit::create(target);
  EXPECT_TRUE(jit->add(symbol, object.bytes).ok());
  std::vector<Guarded> memory;
  memory.reserve(arguments.size() + fn.body().yields.size() + 2);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Type &type = fn.type(fn.body().args[i]);
    toStorage(arguments[i], type, memory.emplace_back(storageBytes(type)).span());
  }
  for (ValueId value : fn.body().yields)
    memory.emplace_back(storageBytes(fn.type(value)));
  memory.emplace_back(object.code.workspaceBytes);
  std::ranges::fill(memory.back().span(), std::byte{0xFF}); // NaN
  std::vector<void *> buffers;
  for (Guarded &buffer : memory)
    buffers.push_back(buffer.span().data());
  for (const KernelStep &step : object.code.steps) {
    Guarded scratch(step.scratchBytes);
    std::ranges::fill(scratch.span(), std::byte{0xFF}); // NaN
    gradc_ctx ctx{scratch.span().data()};
    gradc_kernel code = *jit->find(step.symbol);
    // Items in any order and in pieces.
    int64_t size = stepSize > 0 ? stepSize : step.items;
    for (int64_t begin = (step.items - 1) / size * size; begin >= 0; begin -= size)
      code(&ctx, buffers.data(), begin, std::min(begin + size, step.items));
    EXPECT_TRUE(scratch.intact()) << "scratch overrun";
  }
  std::vector<Tensor> results;
  for (size_t i = 0; i < memory.size(); ++i)
    EXPECT_TRUE(memory[i].intact()) << "buffer " << i << " overrun";
  for (size_t i = 0; i < fn.body().yields.size(); ++i) {
    const Type &type = fn.type(fn.body().yields[i]);
    std::span<std::byte> bytes = memory[arguments.size() + i].span();
    EXPECT_TRUE(paddingIsZero(bytes, type)) << "result " << i << ": something lies behind the last example";
    results.push_back(fromStorage(bytes, type));
  }
  return results;
}

} // namespace gradc::testing
