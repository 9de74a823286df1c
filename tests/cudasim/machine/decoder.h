// From a parsed kernel to a Program: each opcode's family (machine/ops) picks a handler and says where its operands are.
#pragma once
#include "machine/warp.h"
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>

namespace cudasim {

struct Symbol {
  Space space = Space::Global;
  uint64_t address = 0; // of shared, local and parameter variables: their offset
  int64_t bytes = 0, align = 1;
  bool open = false;  // begins where static shared memory ends
  bool placed = true; // shared variables of the module get their place in a kernel that uses them
};
using Symbols = std::map<std::string, Symbol, std::less<>>;

class Decoder;

// One instruction being decoded. What a family does not take, modifiers and operands alike, is an error.
class Form {
public:
  Form(Decoder &, const ptx::Instruction &);

  // Modifiers.
  bool has(std::string_view modifier) const; // without taking it
  bool take(std::string_view modifier);
  int takeOneOf(std::initializer_list<std::string_view> modifiers); // index, -1: none is there
  void skip(std::initializer_list<std::string_view> modifiers);     // any of them, they change nothing here
  Type takeType(); // the first that names a type; an error if there is none
  Type takeType(std::initializer_list<Type> allowed);
  Type lastType() const; // without taking it

  // Operands, as offsets in the register file. Sizes must agree.
  const ptx::Operand &operand(size_t k);
  size_t operands() const { return text.operands.size(); }
  void expectOperands(size_t least, size_t most = 0);
  int32_t source(const ptx::Operand &, Type);
  int32_t destination(const ptx::Operand &, Type); // -1 for _
  int32_t source(size_t k, Type type) { return source(operand(k), type); }
  int32_t destination(size_t k, Type type) { return destination(operand(k), type); }
  int32_t predicateSource(size_t k, bool &negated);
  int32_t predicateDestination(size_t k);
  int32_t secondPredicate(size_t k); // q of p|q; -1: absent
  // Of ld, st and cvt, whose registers may be wider than their types: helpers convert.
  int32_t wideSource(const ptx::Operand &, Type);
  int32_t wideDestination(const ptx::Operand &, Type);
  Type typeOf(const ptx::Operand &);

  struct Address {
    int32_t slot = -1; // of the base; -1: none
    bool wide = false; // the base has 64 bits
    int64_t offset = 0;
    Space space = Space::Generic; // of the symbol, Generic if the base is a register
  };
  Address address(const ptx::Operand &);
  int32_t newSite();
  int32_t constant(uint64_t value, int64_t bytes);
  void sharedCell(int bytes), globalCell(int bytes); // an access of this size exists

  void needs(int architecture); // 80: sm_80 or newer
  void fail(std::string);
  bool failed() const;
  void finish(); // everything was taken: the instruction is appended

  Inst inst;
  OpClass kind = OpClass::Move;
  std::string_view opcode() const { return base; }

private:
  bool literal(const ptx::Operand &, Type, uint64_t &bits);
  Decoder &decoder;
  const ptx::Instruction &text;
  std::string_view base;
  std::vector<std::string_view> modifiers;
  std::vector<Inst> before, after;
};

enum class Data : uint8_t { Any, Integer, F32, F64, Half, Predicate }; // of an opcode's last type

struct Family {
  std::string_view opcode;
  Data data;
  OpClass kind;
  void (*decode)(Form &);
};
std::span<const Family> integerFamilies(), bitFamilies(), float32Families(), float64Families(),
    halfFamilies(), approximateFamilies(), compareFamilies(), convertFamilies(), moveFamilies(),
    memoryFamilies(), atomicFamilies(), warpFamilies(), matrixFamilies(), asyncFamilies(), controlFamilies();
const std::vector<Family> &allFamilies();

class Decoder {
public:
  Decoder(const ptx::Kernel &, const Symbols &module, int target);
  std::expected<std::shared_ptr<Program>, Fault> run();
  int64_t staticShared() const { return sharedBytes; }
  int64_t localBytes() const { return localSize; }

private:
  friend class Form;
  int32_t allocate(int64_t bytes);
  int32_t constant(uint64_t value, int64_t bytes, bool afterStatic);
  int32_t special(std::string_view name); // -1: unknown
  const Symbol *symbol(std::string_view name);
  void place(Symbol &);
  void declare(const ptx::Variable &);
  void decode(const ptx::Instruction &);
  int32_t opcodeNumber(const std::string &name, OpClass);

  const ptx::Kernel &kernel;
  int target; // 80 for sm_80
  Symbols symbols;
  std::shared_ptr<Program> program = std::make_shared<Program>();
  std::vector<int32_t> slots; // of the kernel's registers
  std::map<std::tuple<uint64_t, int64_t, bool>, int32_t> constants;
  std::map<std::string, int32_t, std::less<>> opcodes;
  std::vector<uint32_t> places; // pc of each instruction of the text
  int64_t nextRegister = 0, sharedBytes = 0, localSize = 0;
  std::optional<Fault> error;
};

inline Data dataOf(Type type) {
  switch (type) {
  case Type::F32:
  case Type::TF32: return Data::F32;
  case Type::F64: return Data::F64;
  case Type::F16:
  case Type::BF16:
  case Type::F16x2:
  case Type::BF16x2: return Data::Half;
  case Type::Pred: return Data::Predicate;
  case Type::None: return Data::Any;
  default: return Data::Integer;
  }
}

// f with a value of the type's C++ type; null (the type is refused) for floats.
template <class F> Handler forInteger(Type type, F f) {
  switch (type) {
  case Type::B8:
  case Type::U8: return f(uint8_t{});
  case Type::S8: return f(int8_t{});
  case Type::B16:
  case Type::U16: return f(uint16_t{});
  case Type::S16: return f(int16_t{});
  case Type::B32:
  case Type::U32: return f(uint32_t{});
  case Type::S32: return f(int32_t{});
  case Type::B64:
  case Type::U64: return f(uint64_t{});
  case Type::S64: return f(int64_t{});
  default: return nullptr;
  }
}

// By size alone: registers as unsigned numbers.
template <class F> Handler forSize(Type type, F f) {
  switch (ptx::bytesOf(type)) {
  case 2: return f(uint16_t{});
  case 4: return f(uint32_t{});
  case 8: return f(uint64_t{});
  default: return nullptr;
  }
}

} // namespace cudasim
