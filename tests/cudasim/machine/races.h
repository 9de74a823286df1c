// What is remembered of each cell of memory: whether it was written at all, and who may race for it.
#pragma once
#include "machine/access.h"

namespace cudasim {

// False: faulted. The addresses are inside the allocation and aligned.
bool touchGlobal(Warp &, const Pattern &, Allocation &, uint64_t base, Mode);
bool touchShared(Warp &, const Pattern &, uint64_t base, Mode);

// A cp.async was issued: until its bytes land nobody may read the place.
void poisonShared(Block &, const Pattern &, int64_t base);
// They land: written by these lanes, now.
void landShared(Warp &, uint32_t lanes, const uint32_t *places, uint32_t bytes);

// An atomic at this address orders what was written before a fence with what comes after it in other blocks.
void synchronise(Warp &, uint64_t address);

} // namespace cudasim
