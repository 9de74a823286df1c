// Arithmetic rounded towards zero, down or up, by the processor's rounding mode.
#pragma once
#include "machine/warp.h"
#include <string_view>

namespace cudasim {

class Form;

// rounding: 1 rz, 2 rm, 3 rp. Null: no such operation.
Handler directed32(std::string_view opcode, int rounding, bool flushes, bool saturates, Inst &);
Handler directed64(std::string_view opcode, int rounding, Inst &);

// Conversions in this mode; lane by lane.
Handler directedConversion(Type to, Type from, int rounding, Inst &);

// The forms of div, rcp and sqrt that are exact.
void decodeExact32(Form &);
void decodeApproximate64(Form &); // rcp and rsqrt, whose other forms are exact

} // namespace cudasim
