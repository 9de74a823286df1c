#include "machine/decoder.h"
#include <algorithm>
#include <fmt/format.h>

namespace cudasim {

Form::Form(Decoder &decoder, const ptx::Instruction &text) : decoder(decoder), text(text) {
  std::string_view rest = text.opcode;
  base = rest.substr(0, rest.find('.'));
  for (size_t dot = rest.find('.'); dot != std::string_view::npos; dot = rest.find('.')) {
    rest.remove_prefix(dot + 1);
    modifiers.push_back(rest.substr(0, rest.find('.')));
  }
  inst.negated = text.negated;
  inst.line = text.line;
  if (text.predicate >= 0) {
    if (decoder.kernel.registers[static_cast<size_t>(text.predicate)].type != Type::Pred)
      fail("the guard is no predicate");
    inst.predicate = decoder.slots[static_cast<size_t>(text.predicate)];
  }
}

bool Form::has(std::string_view modifier) const {
  return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end();
}

bool Form::take(std::string_view modifier) {
  auto found = std::find(modifiers.begin(), modifiers.end(), modifier);
  if (found == modifiers.end())
    return false;
  modifiers.erase(found);
  return true;
}

int Form::takeOneOf(std::initializer_list<std::string_view> names) {
  int index = 0;
  for (std::string_view name : names) {
    if (take(name))
      return index;
    ++index;
  }
  return -1;
}

void Form::skip(std::initializer_list<std::string_view> names) {
  for (std::string_view name : names)
    take(name);
}

Type Form::takeType() {
  for (auto m = modifiers.begin(); m != modifiers.end(); ++m)
    if (Type type = ptx::typeNamed(*m); type != Type::None) {
      modifiers.erase(m);
      return type;
    }
  fail("a type is missing");
  return Type::B32;
}

Type Form::takeType(std::initializer_list<Type> allowed) {
  Type type = takeType();
  if (std::find(allowed.begin(), allowed.end(), type) == allowed.end())
    fail("the type is not allowed here");
  return type;
}

Type Form::lastType() const {
  for (auto m = modifiers.rbegin(); m != modifiers.rend(); ++m)
    if (Type type = ptx::typeNamed(*m); type != Type::None)
      return type;
  return Type::None;
}

const ptx::Operand &Form::operand(size_t k) {
  static const ptx::Operand none;
  if (k < text.operands.size())
    return text.operands[k];
  fail("an operand is missing");
  return none;
}

void Form::expectOperands(size_t least, size_t most) {
  if (operands() < least || operands() > std::max(least, most))
    fail(fmt::format("{} operands, but it takes {}", operands(), least));
}

int32_t Form::newSite() { return decoder.program->sites++; }
void Form::sharedCell(int bytes) {
  decoder.program->sharedCell = bytes < 4 ? 1 : decoder.program->sharedCell;
}
void Form::globalCell(int bytes) {
  decoder.program->globalCell = bytes < 4 ? 1 : decoder.program->globalCell;
}

void Form::needs(int architecture) {
  if (decoder.target < architecture)
    fail(fmt::format("this needs sm_{}, the module is for sm_{}", architecture, decoder.target));
}

void Form::fail(std::string what) {
  if (!decoder.error)
    decoder.error = Fault{kInvalidPtx, fmt::format("PTX line {}: {} in '{}' (kernel {})", text.line, what,
                                                   text.opcode, decoder.kernel.name)};
}

bool Form::failed() const { return decoder.error.has_value(); }

void Form::finish() {
  if (!modifiers.empty())
    fail(fmt::format("unsupported modifier '.{}'", modifiers.front()));
  if (inst.flow == Flow::Plain && !inst.run)
    fail("unsupported combination of types");
  inst.opcode = decoder.opcodeNumber(text.opcode, kind);
  auto append = [&](Inst i) {
    i.predicate = inst.predicate;
    i.negated = inst.negated;
    i.line = inst.line;
    i.opcode = inst.opcode;
    decoder.program->code.push_back(i);
  };
  for (const Inst &i : before)
    append(i);
  append(inst);
  for (const Inst &i : after)
    append(i);
}

} // namespace cudasim
