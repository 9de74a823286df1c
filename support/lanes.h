// What programs and those that feed them agree on about layout n16 (ir/layout.h): its name and how many positions of
// dimension 0 a block has.
#pragma once

#include <cstdint>
#include <string_view>

namespace gradc {

inline constexpr int64_t kLanes = 16;
inline constexpr std::string_view kLayoutN16 = "n16";

} // namespace gradc
