// What a processor has for products of bf16.
#pragma once

#include "codegen/cpu/target.h"

namespace gradc {

/// Has tiles of bf16 (AMX), and its system lets processes use them: else `features` takes them away.
bool hasTileUnit(const CpuTarget &target);
/// Has products of two pairs of bf16 (vdpbf16ps) that add one term after the other, as a fused multiply-add does, and are
/// twice as fast: Zen 5, by measurement. On Intel's they are not faster, and no others were tried.
bool hasDots(const CpuTarget &target);
/// Vector code computes the same bits as the tile unit: x86 with fused multiply-add.
bool emulatesTiles(const CpuTarget &target);

} // namespace gradc
