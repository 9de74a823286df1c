// What an object file holds.
#pragma once

#include <cstdint>
#include <string>

namespace gradc {

/// Bytes of machine code, and of the constants that it reads.
struct ObjectSize {
  int64_t code = 0, constants = 0;
};
ObjectSize sizeOfObject(const std::string &bytes);

} // namespace gradc
