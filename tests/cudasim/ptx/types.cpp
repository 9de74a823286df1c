#include "ptx/module.h"
#include <array>
#include <utility>

namespace cudasim::ptx {

int64_t bytesOf(Type type) {
  switch (type) {
  case Type::None: return 0;
  case Type::B8:
  case Type::U8:
  case Type::S8: return 1;
  case Type::B16:
  case Type::U16:
  case Type::S16:
  case Type::F16:
  case Type::BF16: return 2;
  case Type::B64:
  case Type::U64:
  case Type::S64:
  case Type::F64: return 8;
  case Type::B128: return 16;
  default: return 4;
  }
}

Type typeNamed(std::string_view name) {
  static constexpr std::array<std::pair<std::string_view, Type>, 21> kTypes{{
      {"pred", Type::Pred}, {"b8", Type::B8},       {"u8", Type::U8},         {"s8", Type::S8},
      {"b16", Type::B16},   {"u16", Type::U16},     {"s16", Type::S16},       {"f16", Type::F16},
      {"bf16", Type::BF16}, {"b32", Type::B32},     {"u32", Type::U32},       {"s32", Type::S32},
      {"f32", Type::F32},   {"f16x2", Type::F16x2}, {"bf16x2", Type::BF16x2}, {"tf32", Type::TF32},
      {"b64", Type::B64},   {"u64", Type::U64},     {"s64", Type::S64},       {"f64", Type::F64},
      {"b128", Type::B128},
  }};
  for (const auto &[known, type] : kTypes)
    if (known == name)
      return type;
  return Type::None;
}

bool isFloat(Type type) {
  return type == Type::F16 || type == Type::BF16 || type == Type::F32 || type == Type::TF32 ||
         type == Type::F64;
}

bool isSigned(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64;
}

} // namespace cudasim::ptx
