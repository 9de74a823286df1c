#include "codegen/cpu/tile_unit.h"

#include "llvm/TargetParser/Triple.h"

namespace gradc {

bool hasTileUnit(const CpuTarget &target) {
  return (target.name == "sapphirerapids" || target.name == "graniterapids") &&
         target.features.find("-amx-bf16") == std::string::npos;
}

bool hasDots(const CpuTarget &target) { return target.name == "znver5"; }

bool emulatesTiles(const CpuTarget &target) { return target.fma && llvm::Triple(target.triple).isX86(); }

} // namespace gradc
