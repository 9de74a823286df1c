// A PTX module as parsed: names of registers are resolved, everything else is as written.
#pragma once
#include <array>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace cudasim::ptx {

enum class Type : uint8_t {
  None,
  Pred,
  B8,
  U8,
  S8,
  B16,
  U16,
  S16,
  F16,
  BF16,
  B32,
  U32,
  S32,
  F32,
  F16x2,
  BF16x2,
  TF32,
  B64,
  U64,
  S64,
  F64,
  B128
};
int64_t bytesOf(Type);
Type typeNamed(std::string_view name); // "f32"; None if there is none of this name
bool isFloat(Type);                    // f16, bf16, f32, tf32, f64
bool isSigned(Type);                   // s8 … s64

enum class Space : uint8_t { Generic, Global, Shared, Local, Param, Const };

struct Operand {
  enum class Kind : uint8_t { Register, Special, Symbol, Integer, Float, Double, Address, Vector, Sink };
  Kind kind = Kind::Sink;
  bool negated = false;          // !p
  int32_t reg = -1;              // Register, or the base of an Address
  int32_t second = -1;           // the q of p|q
  uint64_t bits = 0;             // of a literal: two's complement, or the bits of its float or double
  int64_t offset = 0;            // Address, Symbol
  std::string name;              // Special, Symbol, an Address whose base is no register
  std::vector<Operand> elements; // Vector
};

struct Instruction {
  std::string opcode; // with modifiers: "fma.rn.f32"
  int32_t predicate = -1;
  bool negated = false;
  int line = 0;
  int64_t target = -1; // of a branch: index of an instruction
  std::vector<Operand> operands;
};

struct Register {
  std::string name;
  Type type = Type::None;
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  int64_t bytes = 0, align = 1;
  bool open = false;                   // extern .shared x[]: the launch says how much
  std::vector<unsigned char> contents; // bytes that an initialiser gave; the rest is zero
  int line = 0;
};

struct Parameter {
  std::string name;
  int64_t offset = 0, bytes = 0;
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  int64_t parameterBytes = 0;
  std::vector<Register> registers;
  std::vector<Variable> variables; // .shared and .local of the kernel
  std::vector<Instruction> code;
  int maxThreads = 0;                 // .maxntid as a product, 0 when not given
  std::array<uint32_t, 3> required{}; // .reqntid, zeros when not given
};

struct Module {
  int versionMajor = 0, versionMinor = 0;
  int target = 0; // 80 of sm_80
  std::vector<Variable> variables;
  std::vector<Kernel> kernels;
};

struct ParseError {
  int line = 0;
  std::string text;
};
std::expected<Module, ParseError> parse(std::string_view text);

} // namespace cudasim::ptx
