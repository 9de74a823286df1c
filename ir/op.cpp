#include "ir/op.h"

#include <algorithm>

#include "ir/layout.h"
#include "support/check.h"
#include "support/diagnostics.h"

namespace gradc {

#define GRADC_OP_FILE(file)                                                                                  \
  namespace ops {                                                                                            \
  std::span<const OpDef> rows_##file();                                                                      \
  }
#include "op_files.inc"
#undef GRADC_OP_FILE

namespace {

std::vector<const OpDef *> collect() {
  std::vector<const OpDef *> rows;
  auto take = [&](std::span<const OpDef> file) {
    for (const OpDef &row : file)
      rows.push_back(&row);
  };
#define GRADC_OP_FILE(file) take(ops::rows_##file());
#include "op_files.inc"
#undef GRADC_OP_FILE
  std::ranges::sort(rows, {}, &OpDef::name);
  auto twin = std::ranges::adjacent_find(rows, {}, &OpDef::name);
  CHECK(twin == rows.end(), "two rows are called {}", (*twin)->name);
  return rows;
}

const std::vector<const OpDef *> &table() {
  static const std::vector<const OpDef *> rows = collect();
  return rows;
}

std::string_view kindName(AttrKind kind) {
  constexpr std::string_view names[] = {
      "bool",   "an integer", "a number",           "a string",     "a keyword",       "a dtype",
      "a type", "a symbol",   "a list of integers", "a dictionary", "a dense literal", "any"};
  return names[static_cast<size_t>(kind)];
}

bool isIntList(const Attr &value) {
  const AttrList *list = value.as<AttrList>();
  return list && std::ranges::all_of(*list, [](const Attr &element) { return element.as<int64_t>(); });
}

bool hasKind(const Attr &value, AttrKind kind) {
  switch (kind) {
  case AttrKind::Bool: return value.as<bool>();
  case AttrKind::I64: return value.as<int64_t>();
  case AttrKind::F64: return value.as<double>();
  case AttrKind::String: return value.as<std::string>();
  case AttrKind::Keyword: return value.as<Keyword>();
  case AttrKind::DType: return value.as<DType>();
  case AttrKind::TypeAttr: return value.as<Type>();
  case AttrKind::Symbol: return value.as<SymbolRef>();
  case AttrKind::Ints: return isIntList(value);
  case AttrKind::Dict: return value.as<Dict>();
  case AttrKind::Dense: return value.as<Dense>() || value.as<SymbolRef>();
  case AttrKind::Any: return true;
  }
  return false;
}

/// Literal forms that mean the wanted kind: a flag without "=", an integer for a float.
Attr coerced(const Attr &value, AttrKind kind) {
  if (kind == AttrKind::Bool && value.as<Unit>())
    return true;
  if (kind == AttrKind::F64 && value.as<int64_t>())
    return static_cast<double>(*value.as<int64_t>());
  return value;
}

std::string rangeText(const AttrSpec &spec) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  if (spec.max == kInf)
    return fmt::format("at least {}", spec.min);
  if (spec.min == -kInf)
    return fmt::format("at most {}", spec.max);
  return fmt::format("in {} .. {}", spec.min, spec.max);
}

std::optional<std::string> checkRange(const OpDef &def, const AttrSpec &spec, const Attr &value) {
  auto inside = [&](double number) { return number >= spec.min && number <= spec.max; };
  bool good = true;
  if (const int64_t *number = value.as<int64_t>())
    good = inside(static_cast<double>(*number));
  else if (const double *number = value.as<double>())
    good = inside(*number);
  else if (const AttrList *list = value.as<AttrList>(); list && spec.kind == AttrKind::Ints)
    good = std::ranges::all_of(*list,
                               [&](const Attr &v) { return inside(static_cast<double>(*v.as<int64_t>())); });
  if (good)
    return std::nullopt;
  return fmt::format("{}'s attribute '{}' must be {}, but got {}", def.name, spec.name, rangeText(spec),
                     toString(value));
}

std::optional<std::string> checkKeyword(const OpDef &def, const AttrSpec &spec, const Attr &value) {
  if (spec.kind != AttrKind::Keyword || spec.keywords.empty())
    return std::nullopt;
  std::string_view word = value.as<Keyword>()->word;
  if (std::ranges::find(spec.keywords, word) != spec.keywords.end())
    return std::nullopt;
  return fmt::format("{}'s attribute '{}' must be one of {}, but got {}{}", def.name, spec.name,
                     fmt::join(spec.keywords, ", "), word, proposal(word, spec.keywords));
}

Rule<std::vector<Type>> inferElementwise(const OpDef &def, std::span<const Type> operands) {
  const Type *shaped = &operands[0];
  for (size_t i = 0; i < operands.size(); ++i) {
    const Type &type = operands[i];
    std::string_view name = def.operands[i].name;
    bool wantsBool = def.boolOperands || (def.name == "select" && i == 0);
    if (wantsBool != (type.dtype == DType::Bool))
      return std::unexpected(fmt::format("{}'s {} must {} bool, but got {}", def.name, name,
                                         wantsBool ? "be" : "not be", toString(type)));
    if (!wantsBool && !isArithmetic(type.dtype))
      return std::unexpected(
          fmt::format("{}'s {} is {}, but arithmetic is done in f32, f64, i32 and i64 only; "
                      "cast it first",
                      def.name, name, toString(type)));
    if (def.floatOnly && !isFloat(type.dtype))
      return std::unexpected(
          fmt::format("{}'s {} must be f32 or f64, but got {}", def.name, name, toString(type)));
    if (type.shape != shaped->shape)
      return std::unexpected(fmt::format("{} is {} but {} is {}", def.operands[0].name, toString(*shaped),
                                         name, toString(type)));
  }
  for (size_t i = def.name == "select" ? 2 : 1; i < operands.size(); ++i)
    if (operands[i].dtype != operands[i - 1].dtype)
      return std::unexpected(fmt::format("{} is {} but {} is {}", def.operands[i - 1].name,
                                         toString(operands[i - 1]), def.operands[i].name,
                                         toString(operands[i])));
  Type result = operands.back();
  if (def.boolResult)
    result.dtype = DType::Bool;
  for (const Type &type : operands)
    if (!type.layout.empty())
      result.layout = type.layout;
  return std::vector<Type>{result};
}

} // namespace

std::span<const OpDef *const> allOps() { return table(); }

const OpDef *findOp(std::string_view name) {
  const auto &rows = table();
  auto it = std::ranges::lower_bound(rows, name, {}, &OpDef::name);
  return it != rows.end() && (*it)->name == name ? *it : nullptr;
}

const OpDef &opDef(std::string_view name) {
  const OpDef *def = findOp(name);
  CHECK(def, "no op is called '{}'", name);
  return *def;
}

const AttrSpec *OpDef::attr(std::string_view attrName) const {
  for (const AttrSpec &spec : attrs)
    if (spec.name == attrName)
      return &spec;
  return nullptr;
}

Rule<Attr> normalizeAttr(const OpDef &def, const AttrSpec &spec, const Attr &given) {
  Attr value = coerced(given, spec.kind);
  if (!hasKind(value, spec.kind))
    return std::unexpected(fmt::format("{}'s attribute '{}' must be {}, but got {}", def.name, spec.name,
                                       kindName(spec.kind), toString(given)));
  if (auto wrong = checkKeyword(def, spec, value))
    return std::unexpected(*wrong);
  if (auto wrong = checkRange(def, spec, value))
    return std::unexpected(*wrong);
  return value;
}

Rule<Dict> normalizeAttrs(const OpDef &def, const Dict &given) {
  std::vector<std::string_view> known;
  for (const AttrSpec &spec : def.attrs)
    known.push_back(spec.name);
  for (const auto &[name, value] : given)
    if (!def.attr(name))
      return std::unexpected(
          fmt::format("{} has no attribute '{}'{}", def.name, name, proposal(name, known)));
  Dict normal;
  for (const AttrSpec &spec : def.attrs) {
    const Attr *found = given.find(spec.name);
    if (!found) {
      if (spec.required)
        return std::unexpected(fmt::format("{} needs the attribute '{}'", def.name, spec.name));
      continue;
    }
    Rule<Attr> value = normalizeAttr(def, spec, *found);
    if (!value)
      return std::unexpected(value.error());
    if (!(*value == spec.defaultValue))
      normal.set(spec.name, std::move(*value));
  }
  return normal;
}

Dict withDefaults(const OpDef &def, const Dict &attrs) {
  Dict full;
  for (const AttrSpec &spec : def.attrs) {
    if (const Attr *value = attrs.find(spec.name))
      full.set(spec.name, *value);
    else if (!spec.defaultValue.as<Unit>())
      full.set(spec.name, spec.defaultValue);
  }
  return full;
}

Rule<std::vector<Type>> inferTypes(const OpDef &def, std::span<const Type> operands, const Dict &attrs) {
  size_t least = 0, most = def.operands.size();
  for (const OperandSpec &spec : def.operands) {
    least += !spec.optional && !spec.variadic;
    if (spec.variadic)
      most = SIZE_MAX;
  }
  if (operands.size() < least || operands.size() > most) {
    std::string takes = most == SIZE_MAX ? fmt::format("at least {}", least)
                        : least == most  ? fmt::format("{}", least)
                                         : fmt::format("{} to {}", least, most);
    return std::unexpected(fmt::format("{} takes {} operand{}, but got {}", def.name, takes,
                                       most == 1 ? "" : "s", operands.size()));
  }
  if (!def.infer)
    return inferElementwise(def, operands);
  Dict full = withDefaults(def, attrs);
  auto types = def.infer({operands, full});
  if (!types)
    return types;
  for (const Type &type : *types)
    if (auto wrong = checkShape({type.shape.begin(), type.shape.end()}))
      return std::unexpected(*wrong);
  return types;
}

ScalarProgram scalarProgram(const OpDef &def, const Dict &attrs) {
  CHECK(def.scalar, "{} is not elementwise", def.name);
  ScalarBuilder builder;
  Scalar result = def.scalar(builder, withDefaults(def, attrs));
  return std::move(builder).take(result);
}

void GradArgs::to(int operand, ValueId gradient) {
  if (!wanted_[operand])
    return;
  const Type &want = b.type(x(operand)), &got = b.type(gradient);
  CHECK(want.shape == got.shape && want.dtype == got.dtype, "gradient of {}'s operand {} is {}, not {}",
        fn_[op_].def->name, operand, toString(got), toString(want));
  ValueId &sum = operandGrads_[operand];
  sum = sum == kNoValue ? gradient : b.add(sum, gradient);
}

} // namespace gradc
