// Launches: limits of the device, then one block after the other.
#include "machine/block.h"
#include "machine/random.h"
#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <numeric>

namespace cudasim {
namespace {

int64_t alignUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

std::optional<Fault> checkBlock(const Launch &launch, const DeviceProfile &device) {
  const Kernel &kernel = *launch.kernel;
  auto [x, y, z] = launch.block;
  uint64_t threads = static_cast<uint64_t>(x) * y * z;
  if (threads == 0 || x > 1024 || y > 1024 || z > 64 ||
      threads > static_cast<uint64_t>(device.maxThreadsPerBlock))
    return Fault{kInvalidValue,
                 fmt::format("kernel {}: a block of {}x{}x{} threads; {} are allowed, 1024x1024x64 at most",
                             kernel.name, x, y, z, device.maxThreadsPerBlock)};
  if (kernel.maxThreads && threads > static_cast<uint64_t>(kernel.maxThreads))
    return Fault{kInvalidValue,
                 fmt::format("kernel {}: a block of {} threads, but it was compiled for at most {}",
                             kernel.name, threads, kernel.maxThreads)};
  if (kernel.required[0] && kernel.required != launch.block)
    return Fault{kInvalidValue,
                 fmt::format("kernel {}: the block is not the one of its .reqntid", kernel.name)};
  int64_t registers = alignUp(alignUp(launch.registers, 8) * kLanes, 256) *
                      alignUp(static_cast<int64_t>(threads), kLanes) / kLanes;
  if (registers > device.registersPerMultiprocessor)
    return Fault{kOutOfResources,
                 fmt::format("kernel {}: {} threads of {} registers need {}, {} has {}", kernel.name, threads,
                             launch.registers, registers, device.name, device.registersPerMultiprocessor)};
  return std::nullopt;
}

std::optional<Fault> checkGrid(const Launch &launch) {
  auto [x, y, z] = launch.grid;
  if (x == 0 || y == 0 || z == 0 || x > INT32_MAX || y > 65535 || z > 65535)
    return Fault{kInvalidValue,
                 fmt::format("kernel {}: a grid of {}x{}x{} blocks; 2147483647x65535x65535 at most",
                             launch.kernel->name, x, y, z)};
  if (static_cast<int64_t>(launch.parameters.size()) < launch.kernel->parameterBytes)
    return Fault{kInvalidValue,
                 fmt::format("kernel {}: {} bytes of parameters, but it takes {}", launch.kernel->name,
                             launch.parameters.size(), launch.kernel->parameterBytes)};
  return std::nullopt;
}

std::optional<Fault> checkShared(const Launch &launch, const DeviceProfile &device) {
  const Kernel &kernel = *launch.kernel;
  int64_t all = kernel.staticShared + launch.sharedBytes;
  if (kernel.staticShared > device.sharedPerBlock)
    return Fault{kInvalidValue, fmt::format("kernel {}: {} bytes of static shared memory, {} are allowed",
                                            kernel.name, kernel.staticShared, device.sharedPerBlock)};
  int64_t allowed =
      launch.maxSharedBytes < 0 ? device.sharedPerBlock - kernel.staticShared : launch.maxSharedBytes;
  if (launch.sharedBytes > allowed || all > device.sharedPerBlockOptIn)
    return Fault{
        kInvalidValue,
        fmt::format(
            "kernel {}: {} + {} bytes of shared memory; {} has {} a block, {} after opting in (dynamic bytes "
            "allowed for this function: {})",
            kernel.name, kernel.staticShared, launch.sharedBytes, device.name, device.sharedPerBlock,
            device.sharedPerBlockOptIn, allowed)};
  return std::nullopt;
}

std::optional<Fault> checkTarget(const Launch &launch, const DeviceProfile &device) {
  if (launch.kernel->target > device.major * 10 + device.minor)
    return Fault{kNoBinaryForGpu, fmt::format("kernel {} is for sm_{}, the device is {}", launch.kernel->name,
                                              launch.kernel->target, device.name)};
  return std::nullopt;
}

class Runner {
public:
  Runner(const Launch &launch, Memory &memory, const Options &options)
      : grid{launch, *launch.kernel->program, memory, options}, block{grid} {
    const Program &program = grid.program;
    grid.entered.assign(program.code.size() + 1, 0);
    grid.left.assign(program.code.size() + 1, 0);
    grid.sites.resize(static_cast<size_t>(program.sites));
    grid.budget = options.budget;
    blocks = static_cast<uint64_t>(launch.grid[0]) * launch.grid[1] * launch.grid[2];
    threads = static_cast<int>(launch.block[0] * launch.block[1] * launch.block[2]);
    grid.tags = memory.beginLaunch();
    prepareShared();
    prepareWarps();
  }

  std::expected<Counters, Fault> run() {
    Order order(blocks, grid.options.seed);
    for (uint64_t k = 0; k < blocks && !grid.fault; ++k)
      runOne(order.at(k));
    if (grid.fault)
      return std::unexpected(*grid.fault);
    return finish();
  }

private:
  void prepareShared() {
    const Launch &launch = grid.launch;
    block.sharedBytes = alignUp(launch.kernel->staticShared, 16) + launch.sharedBytes;
    block.shared.resize(static_cast<size_t>(alignUp(block.sharedBytes, 16)));
    block.cells.writer.resize(block.shared.size() / static_cast<size_t>(grid.program.sharedCell));
    block.cells.readers.resize(block.cells.writer.size());
    block.localBytes = alignUp(launch.kernel->localBytes, 16);
  }

  void prepareWarps() {
    auto count = static_cast<size_t>((threads + kLanes - 1) / kLanes);
    auto registerBytes = static_cast<size_t>(grid.program.registerBytes);
    auto localBytes = static_cast<size_t>(block.localBytes) * kLanes;
    block.registers.assign(count * registerBytes + 64, 0xAB);
    block.local.assign(count * localBytes, 0xFF);
    block.warps.resize(count);
    auto begin = (reinterpret_cast<uintptr_t>(block.registers.data()) + 63) & ~uintptr_t{63};
    for (size_t k = 0; k < count; ++k) {
      Warp &w = block.warps[k];
      w.registers = reinterpret_cast<unsigned char *>(begin) + k * registerBytes;
      w.local = block.local.data() + k * localBytes;
      w.id = static_cast<int>(k);
      w.block = &block;
      int lanesHere = std::min(kLanes, threads - w.id * kLanes);
      w.full = lanesHere == kLanes ? kAllLanes : (1U << lanesHere) - 1;
      setConstants(w);
      setSpecials(w);
    }
  }

  void setConstants(Warp &w) {
    for (const Constant &c : grid.program.constants) {
      uint64_t value =
          c.value +
          (c.afterStatic ? static_cast<uint64_t>(alignUp(grid.launch.kernel->staticShared, 16)) : 0);
      for (int l = 0; l < kLanes; ++l)
        std::memcpy(w.registers + c.slot + l * c.bytes, &value, static_cast<size_t>(c.bytes));
    }
  }

  template <class F> void set(Warp &w, Special special, F value) {
    int32_t slot = grid.program.specials[static_cast<size_t>(special)];
    for (int l = 0; slot >= 0 && l < kLanes; ++l)
      lanes<uint32_t>(w, slot)[l] = static_cast<uint32_t>(value(static_cast<uint32_t>(l)));
  }

  void setSpecials(Warp &w) {
    auto [bx, by, bz] = grid.launch.block;
    auto first = static_cast<uint32_t>(w.id * kLanes);
    set(w, Special::TidX, [&](uint32_t l) { return (first + l) % bx; });
    set(w, Special::TidY, [&](uint32_t l) { return (first + l) / bx % by; });
    set(w, Special::TidZ, [&](uint32_t l) { return (first + l) / (bx * by); });
    for (int k = 0; k < 3; ++k) {
      set(w, static_cast<Special>(static_cast<int>(Special::NtidX) + k),
          [&](uint32_t) { return grid.launch.block[k]; });
      set(w, static_cast<Special>(static_cast<int>(Special::NctaidX) + k),
          [&](uint32_t) { return grid.launch.grid[k]; });
    }
    set(w, Special::LaneId, [](uint32_t l) { return l; });
    set(w, Special::WarpId, [&](uint32_t) { return w.id; });
    set(w, Special::NwarpId, [&](uint32_t) { return block.warps.size(); });
    set(w, Special::DynamicShared, [&](uint32_t) { return grid.launch.sharedBytes; });
    set(w, Special::TotalShared, [&](uint32_t) { return block.sharedBytes; });
    set(w, Special::MaskEq, [](uint32_t l) { return 1U << l; });
    set(w, Special::MaskLt, [](uint32_t l) { return (1U << l) - 1; });
    set(w, Special::MaskLe, [](uint32_t l) { return (2U << l) - 1; });
    set(w, Special::MaskGt, [](uint32_t l) { return ~((2U << l) - 1); });
    set(w, Special::MaskGe, [](uint32_t l) { return ~((1U << l) - 1); });
    set(w, Special::Clock, [](uint32_t) { return 0; });
  }

  void runOne(uint64_t number) {
    const auto &size = grid.launch.grid;
    block.index = {static_cast<uint32_t>(number % size[0]), static_cast<uint32_t>(number / size[0] % size[1]),
                   static_cast<uint32_t>(number / size[0] / size[1])};
    if (!beginInterval(block))
      return;
    block.tag = block.interval;
    grid.started.push_back({block.tag, number});
    block.alive = threads;
    block.fenced = false;
    block.acquired.clear();
    std::fill(block.shared.begin(), block.shared.end(), 0xFF);
    block.cells.beginBlock(grid.options.uninitialised);
    for (Warp &w : block.warps) {
      w.groups.assign(1, {0, w.full, Group::Ready});
      w.exited = 0;
      w.synchronised = 0;
      w.copies.clear();
      w.copyGroup.fill(0);
      for (int k = 0; k < 3; ++k)
        set(w, static_cast<Special>(static_cast<int>(Special::CtaidX) + k),
            [&](uint32_t) { return block.index[k]; });
    }
    runBlock(block);
  }

  Counters finish() {
    Counters &c = grid.counters;
    c.blocks = blocks;
    c.threads = blocks * static_cast<uint64_t>(threads);
    std::map<std::string, uint64_t> byName;
    uint64_t executed = 0;
    for (size_t pc = 0; pc < grid.program.code.size(); ++pc) {
      const Inst &i = grid.program.code[pc];
      executed += grid.entered[pc] - grid.left[pc];
      if (i.helper || executed == 0)
        continue;
      const Opcode &opcode = grid.program.opcodes[static_cast<size_t>(i.opcode)];
      c.warpInstructions += executed;
      c.classes[static_cast<size_t>(opcode.kind)] += executed;
      byName[opcode.name] += executed;
    }
    c.opcodes.assign(byName.begin(), byName.end());
    return c;
  }

  Grid grid;
  Block block;
  uint64_t blocks = 0;
  int threads = 0;
};

} // namespace

void Warp::fault(int code, int lane, std::string what) {
  Grid &grid = block->grid;
  if (grid.fault)
    return;
  grid.fault =
      Fault{code, fmt::format("{}: kernel {}, PTX line {} '{}', {}", what, grid.program.kernel, current->line,
                              grid.program.opcodes[static_cast<size_t>(current->opcode)].name,
                              describeThread(*this, lane))};
}

std::string describeThread(const Warp &w, int lane) {
  auto [x, y, z] = w.block->grid.launch.block;
  auto number = static_cast<uint32_t>(w.id * kLanes + lane);
  const auto &at = w.block->index;
  return fmt::format("thread ({},{},{}) of block ({},{},{})", number % x, number / x % y, number / (x * y),
                     at[0], at[1], at[2]);
}

std::optional<Fault> checkLaunch(const Launch &launch, const DeviceProfile &device) {
  for (const auto &fault : {checkTarget(launch, device), checkGrid(launch), checkBlock(launch, device),
                            checkShared(launch, device)})
    if (fault)
      return fault;
  return std::nullopt;
}

std::expected<Counters, Fault> run(const Launch &launch, Memory &memory, const DeviceProfile &device,
                                   const Options &options) {
  if (std::optional<Fault> fault = checkLaunch(launch, device))
    return std::unexpected(*fault);
  return Runner(launch, memory, options).run();
}

} // namespace cudasim
