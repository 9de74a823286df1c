// Bytes in executables, packed by zlib: text and code for CUDA devices take a quarter to a sixth of their size.
#pragma once

#include <string>
#include <string_view>

namespace gradc {

std::string pack(std::string_view bytes);
/// Of `size` bytes; empty where `packed` is not that.
std::string unpack(std::string_view packed, size_t size);

} // namespace gradc
