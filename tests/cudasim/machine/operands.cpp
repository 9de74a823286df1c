// Operands of an instruction: places in the register file.
#include "machine/decoder.h"
#include <algorithm>
#include <fmt/format.h>
#include <utility>

namespace cudasim {

using Kind = ptx::Operand::Kind;

Type Form::typeOf(const ptx::Operand &o) {
  return o.kind == Kind::Register ? decoder.kernel.registers[static_cast<size_t>(o.reg)].type : Type::None;
}

bool Form::literal(const ptx::Operand &o, Type type, uint64_t &bits) {
  if (o.kind == Kind::Integer) {
    bits = o.bits;
    if (ptx::isFloat(type) && type != Type::F16 && type != Type::BF16)
      fail("an integer literal where a float is expected");
  } else if (o.kind == Kind::Float) {
    bits = o.bits;
    if (ptx::bytesOf(type) != 4)
      fail("a 32-bit float literal where another size is expected");
  } else if (o.kind == Kind::Double) {
    bits = type == Type::F32 ? std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(o.bits)))
                             : o.bits;
    if (type != Type::F32 && ptx::bytesOf(type) != 8)
      fail("a 64-bit float literal where another size is expected");
  } else {
    return false;
  }
  return true;
}

int32_t Form::constant(uint64_t value, int64_t bytes) {
  return decoder.constant(value, std::max<int64_t>(bytes, 2), false);
}

int32_t Form::source(const ptx::Operand &o, Type type) {
  if (o.negated)
    fail("an unexpected '!'");
  if (uint64_t bits = 0; literal(o, type, bits))
    return constant(bits, ptx::bytesOf(type));
  if (o.kind == Kind::Register) {
    int64_t have = std::max<int64_t>(2, ptx::bytesOf(typeOf(o))),
            want = std::max<int64_t>(2, ptx::bytesOf(type));
    if (have != want || (typeOf(o) == Type::Pred) != (type == Type::Pred))
      fail(fmt::format("register '{}' has the wrong size",
                       decoder.kernel.registers[static_cast<size_t>(o.reg)].name));
    return decoder.slots[static_cast<size_t>(o.reg)];
  }
  if (o.kind == Kind::Special) {
    int32_t slot = decoder.special(o.name);
    if (slot < 0)
      fail(fmt::format("unknown register '{}'", o.name));
    else if (ptx::bytesOf(type) != 4)
      fail("special registers have 32 bits");
    return std::max(slot, 0);
  }
  if (o.kind == Kind::Symbol) {
    const Symbol *symbol = decoder.symbol(o.name);
    if (symbol)
      return decoder.constant(symbol->address + static_cast<uint64_t>(o.offset), ptx::bytesOf(type),
                              symbol->open);
    fail(fmt::format("unknown symbol '{}'", o.name));
    return 0;
  }
  fail("an operand of the wrong kind");
  return 0;
}

int32_t Form::destination(const ptx::Operand &o, Type type) {
  if (o.kind == Kind::Sink)
    return decoder.allocate(8);
  if (o.kind != Kind::Register) {
    fail("the destination is no register");
    return 0;
  }
  return source(o, type);
}

int32_t Form::predicateSource(size_t k, bool &negated) {
  ptx::Operand o = operand(k);
  negated = std::exchange(o.negated, false);
  if (o.kind == Kind::Integer)
    return decoder.constant(o.bits ? ~0ULL : 0, 4, false);
  return source(o, Type::Pred);
}

int32_t Form::predicateDestination(size_t k) { return destination(operand(k), Type::Pred); }

int32_t Form::secondPredicate(size_t k) {
  int32_t reg = operand(k).second;
  return reg < 0 ? -1 : decoder.slots[static_cast<size_t>(reg)];
}

namespace {

template <class D, class S> D convertBits(S value) { return static_cast<D>(value); }

Handler widening(Type from, int64_t to) {
  return forInteger(from, [&]<class S>(S) -> Handler {
    switch (to) {
    case 2:
      return unary<uint16_t, Storage<S>,
                   [](Storage<S> v) { return static_cast<uint16_t>(static_cast<S>(v)); }>;
    case 4:
      return unary<uint32_t, Storage<S>,
                   [](Storage<S> v) { return static_cast<uint32_t>(static_cast<S>(v)); }>;
    default:
      return unary<uint64_t, Storage<S>,
                   [](Storage<S> v) { return static_cast<uint64_t>(static_cast<S>(v)); }>;
    }
  });
}

Handler narrowing(int64_t from, int64_t to) {
  if (from == 8)
    return to == 4 ? unary<uint32_t, uint64_t, convertBits<uint32_t, uint64_t>>
                   : unary<uint16_t, uint64_t, convertBits<uint16_t, uint64_t>>;
  return unary<uint16_t, uint32_t, convertBits<uint16_t, uint32_t>>;
}

// f32 → b32 …: the integer of the same size, to widen with zeros.
Type bitsOf(Type type) {
  if (ptx::isSigned(type))
    return type;
  switch (ptx::bytesOf(type)) {
  case 1: return Type::B8;
  case 2: return Type::B16;
  case 4: return Type::B32;
  default: return Type::B64;
  }
}

} // namespace

int32_t Form::wideSource(const ptx::Operand &o, Type type) {
  int64_t have = ptx::bytesOf(typeOf(o)), want = std::max<int64_t>(2, ptx::bytesOf(type));
  if (o.kind != Kind::Register || have <= want)
    return source(o, type);
  Inst helper{.run = narrowing(have, want), .helper = true};
  helper.slots[0] = decoder.allocate(want);
  helper.slots[1] = decoder.slots[static_cast<size_t>(o.reg)];
  before.push_back(helper);
  return helper.slots[0];
}

int32_t Form::wideDestination(const ptx::Operand &o, Type type) {
  int64_t have = ptx::bytesOf(typeOf(o)), want = std::max<int64_t>(2, ptx::bytesOf(type));
  if (o.kind != Kind::Register || have < want || (have == want && ptx::bytesOf(type) != 1))
    return destination(o, type);
  Inst helper{.run = widening(bitsOf(type), have), .helper = true};
  helper.slots[0] = decoder.slots[static_cast<size_t>(o.reg)];
  helper.slots[1] = decoder.allocate(want);
  after.push_back(helper);
  return helper.slots[1];
}

Form::Address Form::address(const ptx::Operand &o) {
  Address result{.offset = o.offset};
  if (o.kind != Kind::Address) {
    fail("an address is expected");
  } else if (o.reg >= 0) {
    Type type = decoder.kernel.registers[static_cast<size_t>(o.reg)].type;
    result.wide = ptx::bytesOf(type) == 8;
    if (!result.wide && ptx::bytesOf(type) != 4)
      fail("an address has 32 or 64 bits");
    result.slot = decoder.slots[static_cast<size_t>(o.reg)];
  } else if (!o.name.empty()) {
    const Symbol *symbol = decoder.symbol(o.name);
    if (!symbol) {
      fail(fmt::format("unknown symbol '{}'", o.name));
      return result;
    }
    result.space = symbol->space;
    result.wide = true;
    if (symbol->open)
      result.slot = decoder.constant(symbol->address, 8, true);
    else
      result.offset += static_cast<int64_t>(symbol->address);
  }
  return result;
}

} // namespace cudasim
