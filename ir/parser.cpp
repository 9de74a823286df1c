// Modules, functions and ops of the text form. One rule reads every op; what an op may have comes from its
// row.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "ir/op.h"
#include "ir/result_types.h"
#include "ir/spelling.h"
#include "ir/syntax.h"
#include "ir/text.h"

namespace gradc {
namespace {

/// The values that can be named in one region. A name whose definition was in error maps to kNoValue, and ops
/// that use it stay silent, so that one mistake gives one message.
struct Scope {
  RegionId region;
  const Scope *outer = nullptr;
  std::unordered_map<std::string, ValueId> values = {};
};

struct OpSyntax {
  std::vector<Token> results, operands;
  Token name;
  std::optional<AttrSyntax> attrs;
  std::vector<RegionId> regions;
  bool brokenRegion = false; // an error inside: what it yields is not known
  std::vector<Type> types;   // empty: to be inferred
  Token typesAt;
  Location loc;
};

bool startsOp(const Token &token) {
  return token.kind == TokenKind::Value || token.isName("return") || token.isName("yield");
}
bool startsDeclaration(const Token &token) {
  for (std::string_view word : {"module", "param", "buffer", "slot", "const", "func"})
    if (token.isName(word))
      return true;
  return false;
}

class Parser {
public:
  Parser(Syntax &syntax, Module &module) : s_(syntax), module_(module) {}

  void run() {
    while (s_.peek().kind != TokenKind::End && !s_.tooManyErrors())
      if (!declaration())
        s_.recover(0, startsDeclaration);
  }

private:
  bool declaration() {
    const Token token = s_.peek();
    if (token.isName("module"))
      return moduleLine();
    if (token.isName("param"))
      return variable(VarKind::Param);
    if (token.isName("buffer"))
      return variable(VarKind::Buffer);
    if (token.isName("slot"))
      return variable(VarKind::Slot);
    if (token.isName("const"))
      return constant();
    if (token.isName("func"))
      return function();
    s_.unexpected("module, param, buffer, slot, const or func");
    s_.take(); // a stray '}' must not stop the recovery here again
    return false;
  }

  bool optionalAttrs(Dict &attrs) {
    if (!s_.peek().is('{'))
      return true;
    std::optional<AttrSyntax> syntax = s_.dict();
    std::optional<Dict> dict = syntax ? s_.attrs(*syntax) : std::nullopt;
    if (dict)
      attrs = std::move(*dict);
    return dict.has_value();
  }

  bool moduleLine() {
    Token keyword = s_.take();
    if (seenModule_ || !module_.variables.empty() || !module_.constants.empty() || !module_.functions.empty())
      return s_.error(keyword, "the module line must stand once, before everything else"), false;
    seenModule_ = true;
    std::optional<Token> name = s_.expectKind(TokenKind::Symbol, "the module's name like @lenet");
    if (!name)
      return false;
    module_.name = nameOf(*name);
    return optionalAttrs(module_.attrs);
  }

  /// The name of a variable or constant: they share one name space.
  std::optional<Token> declaredName() {
    s_.take();
    std::optional<Token> name = s_.expectKind(TokenKind::Symbol, "a name like @x");
    if (!name)
      return std::nullopt;
    if (!declared_.insert(nameOf(*name)).second)
      return s_.error(*name, "{} is declared twice", name->text);
    return s_.expect(':', "after the name") ? name : std::nullopt;
  }

  bool variable(VarKind kind) {
    Variable variable{.kind = kind};
    std::optional<Token> name = declaredName();
    std::optional<Type> type = name ? s_.type() : std::nullopt;
    if (!type || !optionalAttrs(variable.attrs))
      return false;
    std::optional<Location> loc = s_.locOr(*name);
    if (!loc)
      return false;
    variable.name = nameOf(*name);
    variable.type = std::move(*type);
    variable.loc = std::move(*loc);
    module_.variables.push_back(std::move(variable));
    return true;
  }

  bool constant() {
    std::optional<Token> name = declaredName();
    std::optional<Type> type = name ? s_.type() : std::nullopt;
    if (!type || !s_.expect('=', "before the constant's literal"))
      return false;
    std::optional<AttrSyntax> literal = s_.literal();
    std::optional<Tensor> value = literal ? s_.dense(*literal, *type) : std::nullopt;
    std::optional<Location> loc = value ? s_.locOr(*name) : std::nullopt;
    if (!loc)
      return false;
    module_.constants.push_back(
        {nameOf(*name), std::make_shared<const Tensor>(std::move(*value)), std::move(*loc)});
    return true;
  }

  bool function() {
    s_.take();
    std::optional<Token> name = s_.expectKind(TokenKind::Symbol, "the function's name like @loss");
    if (!name)
      return false;
    Function fn(nameOf(*name));
    bool fresh = functionNames_.insert(fn.name).second;
    if (!fresh)
      s_.error(*name, "function {} is defined twice", name->text); // and read it for its own errors
    fn_ = &fn;
    lostBrace_ = false;
    Scope scope{Function::kBody};
    std::vector<Type> resultTypes;
    if (!s_.expect('(', "after the function's name") || !args(scope, ')') || !results(resultTypes))
      return false;
    if (s_.acceptName("attributes") && !optionalAttrs(fn.attrs))
      return false;
    std::optional<Location> loc = s_.locOr(*name);
    if (!loc || !s_.expect('{', "before the function's body"))
      return false;
    fn.loc = std::move(*loc);
    size_t errors = s_.errorCount();
    bool closed = body(scope, "return");
    if (closed && s_.errorCount() == errors)
      checkResults(resultTypes);
    if (s_.errorCount() == 0) {
      fn.compact(); // numbers everything in program order
      module_.functions.push_back(std::make_unique<Function>(std::move(fn)));
    }
    return closed;
  }

  bool args(Scope &scope, char close) {
    if (s_.accept(close))
      return true;
    do {
      std::optional<Token> name = s_.expectKind(TokenKind::Value, "an argument like %x");
      std::optional<Type> type;
      if (!name || !s_.expect(':', "after the argument's name") || !(type = s_.type()))
        return false;
      Dict attrs;
      std::optional<Location> loc;
      if (!optionalAttrs(attrs) || !(loc = s_.locOr(*name)))
        return false;
      if (isNew(scope, *name))
        scope.values[nameOf(*name)] =
            fn_->addArg(scope.region, std::move(*type), nameOf(*name), std::move(attrs), std::move(*loc));
    } while (s_.accept(','));
    return s_.expect(close, "after the arguments");
  }

  bool results(std::vector<Type> &types) {
    if (s_.peek().kind != TokenKind::Arrow)
      return true;
    s_.take();
    bool list = s_.accept('('), annotated = false;
    if (list && s_.accept(')'))
      return true;
    do {
      std::optional<Type> type = s_.type();
      Dict attrs;
      if (!type || (list && !optionalAttrs(attrs)))
        return false;
      types.push_back(std::move(*type));
      annotated = annotated || !attrs.empty();
      fn_->resultAttrs.push_back(std::move(attrs));
    } while (list && s_.accept(','));
    if (!annotated)
      fn_->resultAttrs.clear();
    return !list || s_.expect(')', "after the result types");
  }

  void checkResults(const std::vector<Type> &declared) {
    const RegionData &body = fn_->body();
    if (declared.size() != body.yields.size())
      return void(s_.error(terminator_, "function {} has {} result{}, but {} are returned",
                           symbolText(fn_->name), declared.size(), declared.size() == 1 ? "" : "s",
                           body.yields.size()));
    for (size_t i = 0; i < declared.size(); ++i)
      if (const Type &type = fn_->type(body.yields[i]); !(type == declared[i]))
        s_.error(terminator_, "result {} of function {} is declared {}, but {} is {}", i,
                 symbolText(fn_->name), toString(declared[i]), valueText((*fn_)[body.yields[i]].name),
                 toString(type));
  }

  bool isNew(const Scope &scope, const Token &name) {
    if (!scope.values.contains(nameOf(name)))
      return true;
    s_.error(name, "{} is defined twice", name.text);
    return false;
  }

  /// Ops up to `last` and its closing brace.
  bool body(Scope &scope, std::string_view last) {
    int depth = s_.braces();
    for (;;) {
      if (s_.tooManyErrors() || lostBrace_)
        return false;
      if (s_.peek().isName(last)) {
        if (terminator(scope) && s_.expect('}', fmt::format("after '{}'", last)))
          return true;
        s_.recover(depth, [](const Token &) { return false; });
        return s_.accept('}');
      }
      if (s_.peek().is('}') || s_.peek().kind == TokenKind::End) {
        s_.unexpected(fmt::format("an op or '{}'", last));
        return s_.accept('}');
      }
      if (s_.peek().isName("func") && s_.peek().startsLine) {
        s_.unexpected(fmt::format("an op or '{}'", last));
        s_.forgetBraces();
        lostBrace_ = true;
      } else if (s_.peek().isName("return") || s_.peek().isName("yield")) {
        s_.unexpected(fmt::format("an op or '{}'", last));
        s_.take();
        s_.recover(depth, startsOp);
      } else if (!op(scope)) {
        s_.recover(depth, startsOp);
      }
    }
  }

  bool terminator(Scope &scope) {
    Token keyword = terminator_ = s_.take();
    std::vector<Token> names;
    if (s_.peek().kind == TokenKind::Value && !valueList(names))
      return false;
    std::optional<Location> loc = s_.locOr(keyword);
    if (!loc)
      return false;
    std::vector<ValueId> values;
    (void)lookUp(scope, names, values); // what is undefined was reported, the list still ends the body
    (*fn_)[scope.region].yields = std::move(values);
    (*fn_)[scope.region].yieldLoc = std::move(*loc);
    return true;
  }

  bool valueList(std::vector<Token> &names) {
    do {
      std::optional<Token> name = s_.expectKind(TokenKind::Value, "a value like %x");
      if (!name)
        return false;
      names.push_back(*name);
    } while (s_.accept(','));
    return true;
  }

  /// Finds the values; false where one is missing or in error.
  bool lookUp(const Scope &scope, const std::vector<Token> &names, std::vector<ValueId> &values) {
    bool good = true;
    for (const Token &token : names) {
      auto found = scope.values.find(nameOf(token));
      if (found == scope.values.end())
        reportUndefined(scope, token);
      if (found == scope.values.end() || found->second == kNoValue)
        good = false;
      else
        values.push_back(found->second);
    }
    return good;
  }

  void reportUndefined(const Scope &scope, const Token &token) {
    std::string name = nameOf(token);
    for (const Scope *outer = scope.outer; outer; outer = outer->outer)
      if (outer->values.contains(name))
        return void(s_.error(token, "{} is defined outside of this region, which sees only its own arguments",
                             token.text));
    std::vector<std::string_view> known;
    for (const auto &[candidate, value] : scope.values)
      known.push_back(candidate);
    std::ranges::sort(known); // proposals must not depend on hash order
    s_.error(token, "use of {}, which is not defined above{}", token.text, proposal(name, known));
  }

  /// False after an error of syntax; an op that is only wrong has been read to its end.
  bool op(Scope &scope) {
    OpSyntax op;
    bool read = opSyntax(scope, op);
    std::vector<ValueId> results;
    if (read)
      results = makeOp(scope, op);
    for (size_t i = 0; i < op.results.size(); ++i)
      if (isNew(scope, op.results[i]))
        scope.values[nameOf(op.results[i])] = i < results.size() ? results[i] : kNoValue;
    return read;
  }

  bool opSyntax(Scope &scope, OpSyntax &op) {
    if (s_.peek().kind == TokenKind::Value &&
        (!valueList(op.results) || !s_.expect('=', "after the results' names")))
      return false;
    std::optional<Token> name = s_.expectKind(TokenKind::Name, "an op");
    if (!name || !s_.expect('(', "after the op's name"))
      return false;
    op.name = *name;
    if (!s_.peek().is(')') && !valueList(op.operands))
      return false;
    if (!s_.expect(')', "after the operands"))
      return false;
    if (s_.peek().is('{') && !s_.peek(1).is('^') && !(op.attrs = s_.dict()))
      return false;
    while (s_.peek().is('{'))
      if (!region(scope, op))
        return false;
    op.typesAt = s_.peek(1);
    if (s_.accept(':') && !typeList(op.types))
      return false;
    std::optional<Location> loc = s_.locOr(op.name);
    if (loc)
      op.loc = std::move(*loc);
    return loc.has_value();
  }

  bool typeList(std::vector<Type> &types) {
    do {
      std::optional<Type> type = s_.type();
      if (!type)
        return false;
      types.push_back(std::move(*type));
    } while (s_.accept(','));
    return true;
  }

  bool region(const Scope &outer, OpSyntax &op) {
    constexpr int kMaxDepth = 16;
    if (s_.braces() > kMaxDepth)
      return s_.error(s_.peek(), "regions are nested more than {} deep", kMaxDepth), false;
    s_.take();
    if (!s_.expect('^', "at the start of a region") || !s_.expect('(', "after '^'"))
      return false;
    Scope scope{fn_->addRegion(kNoOp), &outer};
    op.regions.push_back(scope.region);
    size_t errors = s_.errorCount();
    bool closed = args(scope, ')') && s_.expect(':', "after the region's arguments") && body(scope, "yield");
    op.brokenRegion = op.brokenRegion || s_.errorCount() != errors;
    return closed;
  }

  /// The results, or nothing where the op is in error (which was reported).
  std::vector<ValueId> makeOp(const Scope &scope, const OpSyntax &op) {
    const OpDef *def = findOp(op.name.text);
    if (!def) {
      reportUnknownOp(op.name);
      return {};
    }
    std::vector<ValueId> operands;
    bool good = lookUp(scope, op.operands, operands);
    AttrSyntax none{.kind = AttrSyntax::Kind::Dict, .token = op.name};
    std::optional<Dict> attrs =
        s_.opAttrs(*def, op.attrs ? *op.attrs : none, op.name, op.types.empty() ? nullptr : &op.types[0]);
    if (!attrs || !good || op.brokenRegion)
      return {};
    std::optional<std::vector<Type>> types = resultTypes(*def, op, operands, *attrs);
    if (!types)
      return {};
    if (types->size() != op.results.size()) {
      s_.error(op.name, "{} has {} result{}, but {} {} named", def->name, types->size(),
               types->size() == 1 ? "" : "s", op.results.size(), op.results.size() == 1 ? "is" : "are");
      return {};
    }
    return link(scope, op, *def, std::move(operands), std::move(*attrs), *types);
  }

  std::vector<ValueId> link(const Scope &scope, const OpSyntax &op, const OpDef &def,
                            std::vector<ValueId> operands, Dict attrs, const std::vector<Type> &types) {
    std::vector<std::string> names;
    for (const Token &result : op.results)
      names.push_back(nameOf(result));
    OpId id = fn_->makeOp(scope.region, &def, std::move(operands), std::move(attrs), types, names, op.loc);
    for (RegionId region : op.regions)
      (*fn_)[region].parent = id;
    (*fn_)[id].regions = op.regions;
    (*fn_)[scope.region].ops.push_back(id);
    return (*fn_)[id].results;
  }

  void reportUnknownOp(const Token &name) {
    std::vector<std::string_view> known;
    for (const OpDef *def : allOps())
      known.push_back(def->name);
    s_.error(name, "no op is called '{}'{}", name.text, proposal(name.text, known));
  }

  /// The written result types, checked against the op's rule, or the inferred ones.
  std::optional<std::vector<Type>> resultTypes(const OpDef &def, const OpSyntax &op,
                                               const std::vector<ValueId> &operands, const Dict &attrs) {
    if (static_cast<int>(op.regions.size()) != def.numRegions)
      return s_.error(op.name, "{} has {} region{}, but got {}", def.name, def.numRegions,
                      def.numRegions == 1 ? "" : "s", op.regions.size());
    std::vector<Type> operandTypes;
    for (ValueId v : operands)
      operandTypes.push_back(fn_->type(v));
    Rule<std::vector<Type>> inferred = resultTypesOf(module_, *fn_, def, operandTypes, attrs, op.regions);
    if (!inferred)
      return s_.error(op.name, "{}", inferred.error());
    if (op.types.empty())
      return *inferred;
    if (std::optional<std::string> wrong = checkResultTypes(def, op.types, *inferred))
      return s_.error(op.typesAt, "{}", *wrong);
    return op.types;
  }

  Syntax &s_;
  Module &module_;
  Function *fn_ = nullptr;
  Token terminator_;
  std::unordered_set<std::string> declared_, functionNames_;
  bool seenModule_ = false;
  bool lostBrace_ = false; // a new function began inside of a body
};

/// Lets messages show lines of the file: where the text is a chunk, blank lines stand for what is above it,
/// unless the whole file is registered already.
void registerSource(std::string_view text, const std::string &file, Diagnostics &diag, uint32_t firstLine) {
  const std::string *known = diag.source(file);
  if (known && known->find(text) != std::string::npos)
    return;
  diag.addSource(file, std::string(firstLine - 1, '\n') + std::string(text));
}

} // namespace

Result<Module> parseModule(std::string_view text, std::string file, Diagnostics &diag, uint32_t firstLine) {
  registerSource(text, file, diag, firstLine);
  size_t before = diag.errorCount();
  Syntax syntax(lex(text, file, firstLine, diag), file, diag, before);
  Module module;
  Parser(syntax, module).run();
  if (syntax.tooManyErrors())
    return std::unexpected(
        diag.error({file, 0, 0, {}}, "too many errors; the rest of the file was not read"));
  if (diag.errorCount() != before)
    return std::unexpected(diag.failed());
  return module;
}

std::vector<Chunk> splitChunks(std::string_view text) {
  std::vector<Chunk> chunks;
  size_t start = 0;
  uint32_t line = 1, firstLine = 1;
  for (size_t pos = 0; pos < text.size(); ++line) {
    size_t end = std::min(text.find('\n', pos), text.size());
    std::string_view here = text.substr(pos, end - pos);
    if (here.substr(0, here.find_last_not_of(" \t\r") + 1) == "// -----") {
      chunks.push_back({text.substr(start, pos - start), firstLine});
      start = std::min(end + 1, text.size());
      firstLine = line + 1;
    }
    pos = end + 1;
  }
  chunks.push_back({text.substr(start), firstLine});
  return chunks;
}

} // namespace gradc
