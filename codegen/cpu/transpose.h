// Transposing 16 x 16 elements in registers.
#pragma once

#include "codegen/cpu/emit.h"

namespace gradc {

/// rows[i] lane j becomes rows[j] lane i.
void transpose16(Emit &e, Values &rows);

} // namespace gradc
