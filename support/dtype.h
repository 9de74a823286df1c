// Element types, shared by the IR, the files that hold tensors and the programs that read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gradc {

/// The numbers are part of the program ABI (gradc_port.dtype) and of checkpoints: only append.
enum class DType : uint8_t { F32, F64, BF16, F16, I8, U8, I32, I64, Bool };

std::string_view dtypeName(DType dtype);
std::optional<DType> parseDType(std::string_view name);
/// Bytes of one element in memory.
size_t dtypeSize(DType dtype);

} // namespace gradc
