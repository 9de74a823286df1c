#include "codegen/cuda/module.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "codegen/constants.h"
#include "codegen/cuda/prelude.h"
#include "codegen/cuda/traffic.h"
#include "codegen/kernel_symbol.h"
#include "codegen/program_table.h"
#include "ir/cost.h"
#include "ir/plan.h"
#include "support/check.h"
#include "support/hash.h"

namespace gradc {
namespace {

constexpr int64_t kWorkspaceAlignment = 256;

/// A step of one kernel, as it goes into a launch.
struct Part {
  OpId kernel;
  const CudaStep *step;
};

/// Kernels that run together: one, or those of a launch number.
struct Group {
  std::vector<OpId> kernels;
  int64_t number = -1;
};

std::vector<Group> groupsOf(const Function &fn) {
  std::vector<Group> groups;
  for (OpId op : fn.body().ops) {
    if (!takesStep(fn, op))
      continue;
    const Attr *launch = fn[op].attrs.find("launch");
    const int64_t number = launch ? *launch->as<int64_t>() : -1;
    if (number < 0 || groups.empty() || groups.back().number != number)
      groups.push_back({{}, number});
    groups.back().kernels.push_back(op);
  }
  return groups;
}

class ModuleText {
public:
  ModuleText(const Function &fn, const CudaTarget &target) : fn_(fn), target_(target) {}

  CudaModule make(int parts) {
    const std::vector<Group> groups = groupsOf(fn_);
    for (const Group &group : groups)
      for (OpId op : group.kernels)
        addKernel(op);
    findEarly(groups);
    if (!early_.empty())
      addEarly(groups[0]);
    for (const Group &group : groups)
      addGroup(group);
    placeEarly();
    writeTexts(parts);
    module_.distinct = static_cast<int>(code_.size());
    return std::move(module_);
  }

private:
  void addKernel(OpId op) {
    ++module_.kernels;
    const std::string symbol = cudaKernelSymbol(fn_, op, target_);
    symbols_[op] = symbol;
    if (code_.contains(symbol))
      return;
    CudaKernelCode &code = code_[symbol] = emitCudaKernel(fn_, op, target_, symbol);
    // Where a generator does not say what its steps compute, the first stands for all.
    if (!code.steps.empty() &&
        std::ranges::all_of(code.steps, [](const CudaStep &s) { return s.flops == 0; }))
      code.steps[0].flops = costOf(fn_, op).flops;
    for (const CudaStep &step : code.steps)
      if (!step.product)
        functions_.emplace_back(step.symbol, step.text + "\n");
  }

  const CudaKernelCode &codeOf(OpId op) const { return code_.at(symbols_.at(op)); }

  /// Kernels whose first step may run before all others: it reads nothing that a kernel makes.
  void findEarly(const std::vector<Group> &groups) {
    auto isArgument = [&](OpId op, int buffer) {
      const std::vector<ValueId> &operands = fn_[op].operands;
      const auto number = static_cast<size_t>(buffer);
      return number >= operands.size() || fn_[rootOfViews(fn_, operands[number])].def == kNoOp;
    };
    for (const Group &group : groups)
      for (OpId op : group.kernels)
        if (const CudaStep &first = codeOf(op).steps[0];
            first.isEarly &&
            std::ranges::all_of(first.buffers, [&](int buffer) { return isArgument(op, buffer); }))
          early_.push_back(op);
  }

  bool isEarly(OpId op) const { return std::ranges::find(early_, op) != early_.end(); }

  /// The early steps are one launch, with the first that is there anyway where that waits for none of them.
  void addEarly(const Group &first) {
    constexpr size_t kMost = 64; // of a launch, whose parameters have 4 KiB
    std::vector<Part> parts;
    for (OpId op : early_) {
      if (parts.size() == kMost)
        addLaunch(std::exchange(parts, {}));
      parts.push_back({op, &codeOf(op).steps[0]});
    }
    const bool joins = std::ranges::none_of(first.kernels, [&](OpId op) {
      return isEarly(op) || codeOf(op).steps[0].product || codeOf(op).steps[0].threads != kCudaThreads;
    });
    if (joins)
      joining_ = std::move(parts);
    else if (!parts.empty())
      addLaunch(parts);
  }

  /// What early steps leave stays until their kernels run, apart from what groups use one after the other.
  void placeEarly() {
    for (OpId op : early_) {
      module_.workspaces.emplace_back(op, module_.workspaceBytes);
      module_.workspaceBytes += aligned(codeOf(op).workspaceBytes);
    }
  }

  static int64_t aligned(int64_t bytes) {
    return (bytes + kWorkspaceAlignment - 1) / kWorkspaceAlignment * kWorkspaceAlignment;
  }

  /// The steps that run where the kernel stands.
  std::span<const CudaStep> stepsOf(OpId op) const {
    return std::span(codeOf(op).steps).subspan(isEarly(op) ? 1 : 0);
  }

  /// Kernels of one group run at the same time, so each has a workspace of its own.
  void addGroup(const Group &group) {
    int64_t workspace = 0;
    size_t steps = 0;
    auto place = [&workspace](std::vector<std::pair<OpId, int64_t>> &places, OpId op, int64_t bytes) {
      if (bytes == 0)
        return;
      places.emplace_back(op, workspace);
      workspace += aligned(bytes);
    };
    for (OpId op : group.kernels) {
      const CudaKernelCode &code = codeOf(op);
      steps = std::max(steps, stepsOf(op).size());
      if (!isEarly(op))
        place(module_.workspaces, op, code.workspaceBytes);
      place(module_.partials, op, code.partialBytes);
    }
    module_.workspaceBytes = std::max(module_.workspaceBytes, workspace);
    for (size_t i = 0; i < steps; ++i)
      addStepsOf(group, i);
  }

  /// The i-th steps of all kernels that have one: one launch per number of threads, and the products.
  void addStepsOf(const Group &group, size_t i) {
    std::vector<std::pair<int, std::vector<Part>>> byThreads;
    if (!joining_.empty())
      byThreads.emplace_back(kCudaThreads, std::exchange(joining_, {}));
    for (OpId op : group.kernels) {
      const std::span<const CudaStep> all = stepsOf(op);
      if (i >= all.size())
        continue;
      const CudaStep &step = all[i];
      if (step.product) {
        addProduct({op, &step});
        continue;
      }
      auto same = std::ranges::find(byThreads, step.threads, [](const auto &entry) { return entry.first; });
      if (same == byThreads.end())
        same = byThreads.insert(byThreads.end(), {step.threads, {}});
      same->second.push_back({op, &step});
    }
    for (const auto &[threads, parts] : byThreads)
      addLaunch(parts);
  }

  void addProduct(const Part &part) {
    CudaLaunch &launch = module_.launches.emplace_back();
    launch.product = *part.step->product;
    describe(launch, {part});
  }

  void describe(CudaLaunch &launch, const std::vector<Part> &parts) {
    CudaTraffic traffic(fn_);
    for (const Part &part : parts) {
      const std::string name = stepName(fn_, part.kernel);
      launch.name += (launch.name.empty() ? "" : ", ") + name;
      launch.flops += part.step->flops;
      for (int buffer : part.step->buffers) {
        launch.parameters.emplace_back(part.kernel, buffer);
        traffic.touch(part.kernel, buffer, codeOf(part.kernel));
      }
    }
    launch.bytes = traffic.bytes();
  }

  void addLaunch(const std::vector<Part> &parts) {
    CudaLaunch &launch = module_.launches.emplace_back();
    describe(launch, parts);
    launch.threads = parts[0].step->threads;
    launch.blocks = 0;
    std::string symbols;
    for (const Part &part : parts) {
      launch.blocks += part.step->blocks;
      launch.sharedBytes = std::max(launch.sharedBytes, part.step->sharedBytes);
      symbols += part.step->symbol + "\n";
    }
    CHECK(launch.sharedBytes <= target_.sharedPerBlock, "{} asks for {} bytes of shared memory", launch.name,
          launch.sharedBytes);
    launch.function = "launch_" + (parts.size() == 1 ? parts[0].step->symbol : hex(hash64(symbols)));
    auto [wrapper, isNew] = wrappers_.try_emplace(launch.function);
    if (isNew) {
      order_.push_back(launch.function);
      wrapper->second.text = wrapperText(launch, parts);
      for (const Part &part : parts)
        wrapper->second.calls.insert(part.step->symbol);
    }
    wrapper->second.names += fmt::format("// {}\n", launch.name);
  }

  std::string wrapperText(const CudaLaunch &launch, const std::vector<Part> &parts) const {
    std::string parameters, body;
    const char *shared = "nullptr";
    if (launch.sharedBytes > 0) {
      shared = "shared";
      body = "  extern __shared__ __align__(16) unsigned char shared[];\n";
    }
    if (parts.size() > 1)
      body += "  int block = (int)blockIdx.x;\n";
    for (size_t i = 0; i < parts.size(); ++i) {
      std::string arguments;
      for (const auto &[type, base] : parts[i].step->parameters) {
        const std::string name = parts.size() == 1 ? base : fmt::format("{}_{}", base, i);
        parameters += fmt::format("{}{}{}", parameters.empty() ? "" : ", ", type, name);
        arguments += ", " + name;
      }
      body += callText(parts, i, shared + arguments);
    }
    const bool readsAhead =
        std::ranges::any_of(parts, [](const Part &part) { return part.step->readsAhead; });
    return fmt::format("extern \"C\" __global__ void {} {}({}) {{\n{}}}\n",
                       cudaLaunchBounds(target_, launch.threads, launch.blocks, readsAhead), launch.function,
                       parameters, body);
  }

  /// The call of part i, for the blocks that are its share.
  static std::string callText(const std::vector<Part> &parts, size_t i, const std::string &arguments) {
    const CudaStep &step = *parts[i].step;
    if (parts.size() == 1)
      return fmt::format("  {}((int)blockIdx.x, {});\n", step.symbol, arguments);
    const std::string call = fmt::format("{}(block, {});", step.symbol, arguments);
    if (i + 1 == parts.size())
      return fmt::format("  {}\n", call);
    return fmt::format("  if (block < {}) {{\n    {}\n    return;\n  }}\n  block -= {};\n", step.blocks, call,
                       step.blocks);
  }

  struct Wrapper {
    std::string names, text;
    std::set<std::string> calls; // device functions
  };

  /// Wrappers with the functions that they call, in their order.
  std::string textOf(std::span<const std::string> wrappers) const {
    std::set<std::string> called;
    std::string functions, launched;
    for (const std::string &name : wrappers) {
      const Wrapper &wrapper = wrappers_.at(name);
      called.insert(wrapper.calls.begin(), wrapper.calls.end());
      launched += "\n" + wrapper.names + wrapper.text;
    }
    for (const auto &[symbol, text] : functions_)
      functions += called.contains(symbol) ? text : "";
    return fmt::format("// {} for {}\n{}\n{}{}", fn_.name, target_.name(), cudaPrelude(functions), functions,
                       launched);
  }

  /// Parts of about as much text, and of no less than pays for starting a compiler.
  void writeTexts(int parts) {
    constexpr size_t kLeast = 16384;
    size_t all = 0, written = 0;
    for (const auto &[symbol, text] : functions_)
      all += text.size();
    const size_t each = parts == 1 ? std::numeric_limits<size_t>::max()
                                   : std::max(all / static_cast<size_t>(parts) + 1, kLeast);
    std::map<std::string, int> partOf;
    for (size_t begin = 0, i = 0; i < order_.size(); ++i) {
      const Wrapper &wrapper = wrappers_.at(order_[i]);
      for (const auto &[symbol, text] : functions_)
        written += wrapper.calls.contains(symbol) ? text.size() : 0;
      partOf[order_[i]] = static_cast<int>(module_.texts.size());
      if (written < each && i + 1 < order_.size())
        continue;
      module_.texts.push_back(textOf(std::span(order_).subspan(begin, i + 1 - begin)));
      begin = i + 1;
      written = 0;
    }
    for (CudaLaunch &launch : module_.launches)
      if (!launch.function.empty())
        launch.part = partOf.at(launch.function);
  }

  const Function &fn_;
  const CudaTarget &target_;
  CudaModule module_;
  std::map<std::string, CudaKernelCode> code_; // by symbol
  std::map<OpId, std::string> symbols_;
  std::vector<OpId> early_;
  std::vector<Part> joining_;                                  // of early steps, with the first launch
  std::vector<std::pair<std::string, std::string>> functions_; // symbol and text
  std::map<std::string, Wrapper> wrappers_;
  std::vector<std::string> order_; // of wrappers
};

} // namespace

CudaModule emitCudaModule(const Function &fn, const CudaTarget &target, int parts) {
  return ModuleText(fn, target).make(parts);
}

CudaModule emitCudaModule(const Module &module, const Function &fn, const CudaTarget &target) {
  const std::optional<Function> whole = withConstants(module, fn);
  return emitCudaModule(whole ? *whole : fn, target);
}

} // namespace gradc
