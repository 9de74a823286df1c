// The parser's state, shared by parser.cpp (directives, variables) and body.cpp (kernels).
#pragma once
#include "ptx/lexer.h"
#include "ptx/module.h"
#include <map>
#include <optional>

namespace cudasim::ptx {

class Parser {
public:
  explicit Parser(std::string_view text) : tokens(tokenize(text)) {}
  std::expected<Module, ParseError> run();

private:
  // One { … } of a kernel: names of registers and labels end with it.
  struct Scope {
    std::map<std::string, int32_t, std::less<>> registers;
    std::map<std::string, int64_t, std::less<>> labels;
    std::vector<std::pair<size_t, std::string>> branches; // instruction, label; resolved when a scope closes
  };

  std::string_view peek(size_t ahead = 0) const;
  std::string_view next();
  bool accept(std::string_view text);
  void expect(std::string_view text);
  void fail(std::string text); // the first error is kept; next() then only gives the end
  bool failed() const { return error.has_value(); }
  int line() const { return tokens[at].line; }

  uint64_t integer();
  Operand literal(std::string_view text, bool negative);

  void directive(Module &);
  void version(Module &);
  void target(Module &);
  void variable(std::vector<Variable> &, Space, bool isExtern);
  void extent(Variable &, int64_t element);
  void initialiser(Variable &, Type);
  void kernel(Module &);
  void parameters(Kernel &);
  void launchBounds(Kernel &);
  void body(Kernel &);
  void statement(Kernel &);
  void declareRegisters(Kernel &);
  void instruction(Kernel &);
  void closeScope(Kernel &);
  Operand operand();
  Operand address();
  Operand named(std::string_view text);
  std::optional<int32_t> find(std::string_view name) const;
  int32_t predicateNamed(std::string_view name);

  std::vector<Token> tokens;
  size_t at = 0;
  std::optional<ParseError> error;
  std::vector<Scope> scopes;
};

} // namespace cudasim::ptx
