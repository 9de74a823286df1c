#include "support/dtype.h"

#include <array>

namespace gradc {
namespace {

struct Row {
  std::string_view name;
  size_t size;
};

constexpr std::array<Row, 9> kRows = {{{"f32", 4},
                                       {"f64", 8},
                                       {"bf16", 2},
                                       {"f16", 2},
                                       {"i8", 1},
                                       {"u8", 1},
                                       {"i32", 4},
                                       {"i64", 8},
                                       {"bool", 1}}};

} // namespace

std::string_view dtypeName(DType dtype) { return kRows[static_cast<size_t>(dtype)].name; }

size_t dtypeSize(DType dtype) { return kRows[static_cast<size_t>(dtype)].size; }

std::optional<DType> parseDType(std::string_view name) {
  for (size_t i = 0; i < kRows.size(); ++i)
    if (kRows[i].name == name)
      return static_cast<DType>(i);
  return std::nullopt;
}

} // namespace gradc
