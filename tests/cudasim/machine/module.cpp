#include "ptx/module.h"
#include "machine/decoder.h"
#include "machine/machine.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace cudasim {
namespace {

std::optional<Fault> checkTarget(const ptx::Module &module, const DeviceProfile *device) {
  if (!device)
    return std::nullopt;
  if (std::pair(module.versionMajor, module.versionMinor) > std::pair(device->ptxMajor, device->ptxMinor))
    return Fault{kUnsupportedPtxVersion,
                 fmt::format("PTX {}.{}, but the driver takes {}.{} at most", module.versionMajor,
                             module.versionMinor, device->ptxMajor, device->ptxMinor)};
  if (module.target > device->major * 10 + device->minor)
    return Fault{kNoBinaryForGpu,
                 fmt::format("PTX for sm_{}, but the device is {}", module.target, device->name)};
  return std::nullopt;
}

// Global and constant variables get memory; those in shared memory get their place in the kernels that use them.
std::expected<Symbol, Fault> allocate(const ptx::Variable &v, Memory &memory) {
  Symbol symbol{.space = v.space, .bytes = v.bytes, .align = v.align, .open = v.open};
  if (v.space == Space::Shared) {
    symbol.placed = false;
    return symbol;
  }
  void *place = memory.allocate(v.bytes, v.name);
  if (!place)
    return std::unexpected(
        Fault{kOutOfMemory, fmt::format("no memory for variable '{}' of {} bytes", v.name, v.bytes)});
  std::memset(place, 0, static_cast<size_t>(v.bytes));
  std::copy(v.contents.begin(), v.contents.end(), static_cast<unsigned char *>(place));
  memory.markWritten(place, v.bytes);
  if (auto found = memory.check(place, v.bytes))
    (*found)->readOnly = v.space == Space::Const;
  symbol.address = reinterpret_cast<uint64_t>(place);
  return symbol;
}

std::expected<std::unique_ptr<Kernel>, Fault> decode(const ptx::Kernel &text, const Symbols &symbols,
                                                     int target) {
  Decoder decoder(text, symbols, target);
  auto program = decoder.run();
  if (!program)
    return std::unexpected(program.error());
  auto kernel = std::make_unique<Kernel>();
  kernel->name = text.name;
  for (const ptx::Parameter &p : text.parameters)
    kernel->parameters.emplace_back(p.offset, p.bytes);
  kernel->parameterBytes = text.parameterBytes;
  kernel->staticShared = decoder.staticShared();
  kernel->localBytes = decoder.localBytes();
  kernel->maxThreads = text.maxThreads;
  kernel->required = text.required;
  kernel->target = target;
  kernel->program = *program;
  return kernel;
}

} // namespace

std::expected<std::unique_ptr<Module>, Fault> Module::load(std::string_view text, Memory &memory,
                                                           const DeviceProfile *device) {
  auto parsed = ptx::parse(text);
  if (!parsed)
    return std::unexpected(
        Fault{kInvalidPtx, fmt::format("PTX line {}: {}", parsed.error().line, parsed.error().text)});
  if (auto fault = checkTarget(*parsed, device))
    return std::unexpected(*fault);
  std::unique_ptr<Module> module(new Module(memory));
  Symbols symbols;
  for (const ptx::Variable &v : parsed->variables) {
    auto symbol = allocate(v, memory);
    if (!symbol)
      return std::unexpected(symbol.error());
    symbols[v.name] = *symbol;
    if (v.space != Space::Shared)
      module->globals.emplace_back(v.name, std::pair(reinterpret_cast<void *>(symbol->address), v.bytes));
  }
  for (const ptx::Kernel &k : parsed->kernels) {
    auto kernel = decode(k, symbols, parsed->target);
    if (!kernel)
      return std::unexpected(kernel.error());
    module->all.push_back(std::move(*kernel));
  }
  return module;
}

Module::~Module() {
  for (auto &[name, place] : globals)
    memory.free(place.first);
}

const Kernel *Module::kernel(std::string_view name) const {
  auto found = std::find_if(all.begin(), all.end(), [&](const auto &k) { return k->name == name; });
  return found == all.end() ? nullptr : found->get();
}

std::pair<void *, int64_t> Module::global(std::string_view name) const {
  auto found = std::find_if(globals.begin(), globals.end(), [&](const auto &g) { return g.first == name; });
  return found == globals.end() ? std::pair<void *, int64_t>{nullptr, 0} : found->second;
}

} // namespace cudasim
