// Kernels: parameters, launch bounds, registers, labels, instructions.
#include "ptx/parser.h"
#include <algorithm>
#include <fmt/format.h>

namespace cudasim::ptx {

void Parser::kernel(Module &module) {
  Kernel kernel;
  kernel.name = std::string(next());
  parameters(kernel);
  launchBounds(kernel);
  expect("{");
  body(kernel);
  module.kernels.push_back(std::move(kernel));
}

void Parser::parameters(Kernel &kernel) {
  if (!accept("("))
    return;
  while (!failed() && !accept(")")) {
    expect(".param");
    int64_t align = 0, pointee = 0, count = 1;
    Type type = Type::None;
    bool pointer = false;
    while (peek().starts_with('.')) {
      std::string_view word = next();
      if (word == ".align")
        (pointer ? pointee : align) = static_cast<int64_t>(integer());
      else if (word == ".ptr")
        pointer = true;
      else if (word == ".global" || word == ".shared" || word == ".const" || word == ".local")
        continue;
      else if (type = typeNamed(word.substr(1)); type == Type::None)
        fail(fmt::format("unsupported '{}' in a parameter", word));
    }
    Parameter parameter{.name = std::string(next())};
    if (accept("[")) {
      count = static_cast<int64_t>(integer());
      expect("]");
    }
    align = align ? align : bytesOf(type);
    if (align <= 0)
      return fail(fmt::format("parameter '{}' has no type", parameter.name));
    parameter.offset = (kernel.parameterBytes + align - 1) / align * align;
    parameter.bytes = count * bytesOf(type);
    kernel.parameterBytes = parameter.offset + parameter.bytes;
    kernel.parameters.push_back(std::move(parameter));
    accept(",");
  }
}

void Parser::launchBounds(Kernel &kernel) {
  while (!failed() && peek() != "{") {
    std::string_view word = next();
    std::array<uint32_t, 3> values{1, 1, 1};
    size_t count = 0;
    do
      values[std::min<size_t>(count++, 2)] = static_cast<uint32_t>(integer());
    while (accept(","));
    if (word == ".maxntid")
      kernel.maxThreads = static_cast<int>(values[0] * values[1] * values[2]);
    else if (word == ".reqntid")
      kernel.required = values;
    else if (word != ".minnctapersm" && word != ".maxnreg")
      fail(fmt::format("unsupported directive '{}' of kernel '{}'", word, kernel.name));
  }
}

void Parser::body(Kernel &kernel) {
  scopes.assign(1, {});
  while (!failed() && !scopes.empty())
    statement(kernel);
}

void Parser::statement(Kernel &kernel) {
  if (accept("{"))
    scopes.emplace_back();
  else if (accept("}"))
    closeScope(kernel);
  else if (accept(".reg") || peek().starts_with(".reg."))
    declareRegisters(kernel);
  else if (accept(".shared"))
    variable(kernel.variables, Space::Shared, false);
  else if (accept(".local"))
    variable(kernel.variables, Space::Local, false);
  else if (accept(".pragma")) {
    next();
    expect(";");
  } else if (accept(";"))
    return;
  else if (peek(1) == ":") {
    std::string label(next());
    expect(":");
    if (!scopes.back().labels.emplace(label, static_cast<int64_t>(kernel.code.size())).second)
      fail(fmt::format("label '{}' stands twice", label));
  } else if (peek().starts_with('.'))
    fail(fmt::format("unsupported directive '{}'", peek()));
  else
    instruction(kernel);
}

void Parser::declareRegisters(Kernel &kernel) {
  std::string_view word = next();
  if (word.starts_with(".reg.")) // ".reg.b16 x" is one word
    word.remove_prefix(4);
  Type type = word.starts_with('.') ? typeNamed(word.substr(1)) : Type::None;
  if (type == Type::None)
    fail(fmt::format("unsupported register type '{}'", word));
  auto declare = [&](std::string name) {
    if (!scopes.back().registers.emplace(name, static_cast<int32_t>(kernel.registers.size())).second)
      fail(fmt::format("register '{}' is declared twice", name));
    kernel.registers.push_back({std::move(name), type});
  };
  do {
    std::string name(next());
    if (accept("<")) {
      uint64_t count = integer();
      expect(">");
      if (count > 1'000'000)
        fail("too many registers");
      for (uint64_t k = 0; k < count && !failed(); ++k)
        declare(name + std::to_string(k));
    } else {
      declare(std::move(name));
    }
  } while (accept(","));
  expect(";");
}

std::optional<int32_t> Parser::find(std::string_view name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
    if (auto found = scope->registers.find(name); found != scope->registers.end())
      return found->second;
  return std::nullopt;
}

int32_t Parser::predicateNamed(std::string_view name) {
  if (name == "_")
    return -1;
  auto found = find(name);
  if (!found)
    fail(fmt::format("unknown register '{}'", name));
  return found.value_or(-1);
}

void Parser::instruction(Kernel &kernel) {
  Instruction result{.line = line()};
  if (accept("@")) {
    result.negated = accept("!");
    result.predicate = predicateNamed(next());
  }
  result.opcode = std::string(next());
  if (result.opcode.starts_with("bra") && (result.opcode.size() == 3 || result.opcode[3] == '.'))
    scopes.back().branches.emplace_back(kernel.code.size(), next());
  else
    while (!failed() && peek() != ";") {
      result.operands.push_back(operand());
      if (peek() != ";")
        expect(",");
    }
  expect(";");
  kernel.code.push_back(std::move(result));
}

// Branches whose label this scope has are done; the others may name one of the scope around.
void Parser::closeScope(Kernel &kernel) {
  Scope scope = std::move(scopes.back());
  scopes.pop_back();
  for (auto &[index, label] : scope.branches) {
    if (auto found = scope.labels.find(label); found != scope.labels.end())
      kernel.code[index].target = found->second;
    else if (scopes.empty())
      fail(fmt::format("line {}: unknown label '{}'", kernel.code[index].line, label));
    else
      scopes.back().branches.emplace_back(index, std::move(label));
  }
}

Operand Parser::operand() {
  if (accept("{")) {
    Operand result{.kind = Operand::Kind::Vector};
    while (!failed() && !accept("}")) {
      result.elements.push_back(operand());
      accept(",");
    }
    return result;
  }
  if (accept("["))
    return address();
  if (accept("!")) {
    Operand result = operand();
    result.negated = true;
    return result;
  }
  bool negative = accept("-");
  std::string_view text = next();
  if (text == "_")
    return {};
  if (negative || (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front()))))
    return literal(text, negative);
  Operand result = named(text);
  if (accept("|"))
    result.second = predicateNamed(next());
  if (accept("+"))
    result.offset = static_cast<int64_t>(integer());
  return result;
}

Operand Parser::named(std::string_view text) {
  if (auto found = find(text))
    return {.kind = Operand::Kind::Register, .reg = *found};
  auto kind = text.starts_with('%') ? Operand::Kind::Special : Operand::Kind::Symbol;
  return {.kind = kind, .name = std::string(text)};
}

// [base], [base+4], [base+-4], [symbol], [1234]
Operand Parser::address() {
  Operand result;
  if (!peek().empty() && std::isdigit(static_cast<unsigned char>(peek().front())))
    result.offset = static_cast<int64_t>(integer());
  else
    result = named(next());
  if (result.kind == Operand::Kind::Special)
    fail(fmt::format("unknown register '{}'", result.name));
  result.kind = Operand::Kind::Address;
  if (accept("+"))
    result.offset += static_cast<int64_t>(integer());
  else if (peek() == "-")
    result.offset += static_cast<int64_t>(integer());
  expect("]");
  return result;
}

} // namespace cudasim::ptx
