#include "codegen/cpu/cross_target.h"

#include <algorithm>
#include <array>
#include <vector>

#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

#include "codegen/cpu/tile_unit.h"
#include "support/amx.h"
#include "support/diagnostics.h"

namespace gradc {
namespace {

struct Processor {
  std::string_view name;
  bool arm = false;
  int vectorBits, vectorRegisters;
  bool fma;
  int64_t l1KiB, l2KiB;
};

// Cache sizes per core, from the vendors' manuals; virtual machines that hide the model share the row.
constexpr std::array kProcessors = {
    Processor{"x86-64", false, 128, 16, false, 32, 256},
    Processor{"x86-64-v2", false, 128, 16, false, 32, 256},
    Processor{"x86-64-v3", false, 256, 16, true, 32, 512},
    Processor{"x86-64-v4", false, 512, 32, true, 32, 1024},
    Processor{"sandybridge", false, 256, 16, false, 32, 256},
    Processor{"haswell", false, 256, 16, true, 32, 256},
    Processor{"skylake", false, 256, 16, true, 32, 256},
    Processor{"znver2", false, 256, 16, true, 32, 512},
    Processor{"znver3", false, 256, 16, true, 32, 512},
    Processor{"znver4", false, 512, 32, true, 32, 1024},
    Processor{"znver5", false, 512, 32, true, 48, 1024},
    Processor{"skylake-avx512", false, 512, 32, true, 32, 1024},
    Processor{"icelake-server", false, 512, 32, true, 48, 1280},
    Processor{"sapphirerapids", false, 512, 32, true, 48, 2048},
    Processor{"graniterapids", false, 512, 32, true, 48, 2048},
    Processor{"generic", true, 128, 32, true, 32, 512},
    Processor{"neoverse-n1", true, 128, 32, true, 64, 1024},
    Processor{"neoverse-v1", true, 128, 32, true, 64, 1024},
    Processor{"apple-m1", true, 128, 32, true, 128, 3072},
};

CpuTarget make(const Processor &processor, std::string triple) {
  CpuTarget target;
  target.name = processor.name;
  target.triple = std::move(triple);
  target.vectorBits = processor.vectorBits;
  target.vectorRegisters = processor.vectorRegisters;
  target.fma = processor.fma;
  target.l1Bytes = processor.l1KiB << 10;
  target.l2Bytes = processor.l2KiB << 10;
  return target;
}

const Processor *find(std::string_view name, bool arm) {
  for (const Processor &processor : kProcessors)
    if (processor.name == name && processor.arm == arm)
      return &processor;
  return nullptr;
}

} // namespace

std::string_view processorWith(const std::set<std::string, std::less<>> &features) {
  auto has = [&](std::initializer_list<const char *> names) {
    return std::ranges::all_of(names, [&](const char *name) { return features.contains(name); });
  };
  const bool amd = has({"sse4a", "clzero"});
  if (has({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd", "bmi2", "fma"})) {
    if (amd && has({"avx512bf16", "avx512vbmi2", "gfni", "vaes"}))
      return has({"avxvnni", "avx512vp2intersect"}) ? "znver5" : "znver4";
    if (has({"avx512fp16", "avx512bf16"})) // tiles or none: hypervisors hide them
      return "sapphirerapids";
    return has({"avx512vbmi2", "avx512vnni", "gfni", "vaes"}) ? "icelake-server" : "skylake-avx512";
  }
  if (has({"avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"})) {
    if (amd && has({"adx", "rdseed", "clwb"}))
      return has({"vaes", "vpclmulqdq"}) ? "znver3" : "znver2";
    return "haswell";
  }
  if (has({"avx", "sse4.2", "popcnt"}))
    return "sandybridge";
  return has({"sse4.2", "popcnt", "cx16"}) ? "x86-64-v2" : "x86-64";
}

CpuTarget hostCpuTarget() {
  std::string triple = llvm::sys::getProcessTriple();
  const bool arm = llvm::Triple(triple).isAArch64();
  std::set<std::string, std::less<>> features;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    if (feature.second)
      features.insert(feature.first().str());
  std::string_view name = arm ? std::string_view("generic") : processorWith(features);
  CpuTarget target = make(*find(name, arm), std::move(triple));
  if (hasTileUnit(target) && !whyNoAmx().empty())
    target.features = "-amx-tile,-amx-bf16,-amx-int8"; // the system has a say, too
  return target;
}

StatusOr<CpuTarget> parseCpuTarget(std::string_view mcpu) {
  return mcpu == "native" ? hostCpuTarget() : parseTarget(llvm::sys::getProcessTriple(), mcpu);
}

StatusOr<CpuTarget> parseTarget(std::string_view triple, std::string_view mcpu) {
  const llvm::Triple parsed{std::string(triple)};
  const bool arm = parsed.isAArch64();
  if (!arm && parsed.getArch() != llvm::Triple::x86_64)
    return failure(ExitCode::Usage, fmt::format("unknown target '{}'{}", triple,
                                                proposal(triple, {"aarch64-linux-gnu", "x86_64-linux-gnu"})));
  if (mcpu == "native")
    mcpu = arm ? "generic" : "x86-64";
  if (const Processor *processor = find(mcpu, arm))
    return make(*processor, std::string(triple));
  std::vector<std::string_view> names = {"native"};
  for (const Processor &processor : kProcessors)
    if (processor.arm == arm)
      names.push_back(processor.name);
  return failure(ExitCode::Usage, fmt::format("unknown processor '{}'{}", mcpu, proposal(mcpu, names)));
}

} // namespace gradc
