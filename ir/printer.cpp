// Canonical text: same module, same bytes. Nothing here knows an op by name.
#include <algorithm>

#include "ir/op.h"
#include "ir/spelling.h"
#include "ir/text.h"

namespace gradc {
namespace {

class Printer {
public:
  explicit Printer(const PrintOptions &options, bool oneLine = false)
      : options_(options), oneLine_(oneLine) {}

  std::string take() && { return std::move(out_); }

  void module(const Module &module) {
    if (!module.name.empty() || !module.attrs.empty()) {
      put("module {}", symbolText(module.name));
      dict(module.attrs);
      put("\n");
    }
    for (const Variable &variable : module.variables)
      this->variable(variable);
    for (const Constant &constant : module.constants)
      this->constant(constant);
    for (const auto &fn : module.functions) {
      if (!out_.empty())
        put("\n");
      function(*fn);
    }
  }

  void function(const Function &fn) {
    const RegionData &body = fn.body();
    put("func {}(", symbolText(fn.name));
    args(fn, body);
    put(")");
    results(fn);
    if (!fn.attrs.empty())
      put(" attributes");
    dict(fn.attrs);
    loc(fn.loc);
    put(" {{");
    ops(fn, Function::kBody, 1);
    newLine(1);
    terminator(fn, body, "return");
    newLine(0);
    put("}}\n");
  }

  void op(const Function &fn, OpId id, int depth) {
    const OpData &op = fn[id];
    if (!op.results.empty())
      put("{} = ", values(fn, op.results));
    put("{}({})", op.def->name, values(fn, op.operands));
    dict(op.attrs);
    for (RegionId region : op.regions)
      this->region(fn, region, depth);
    if (!op.results.empty())
      put(" : ");
    for (size_t i = 0; i < op.results.size(); ++i)
      put("{}{}", i ? ", " : "", toString(fn.type(op.results[i])));
    loc(op.loc);
  }

private:
  template <class... Args> void put(fmt::format_string<Args...> format, Args &&...args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void newLine(int depth) {
    out_ += oneLine_ ? " " : "\n";
    if (!oneLine_)
      out_.append(static_cast<size_t>(depth) * 2, ' ');
  }

  void variable(const Variable &variable) {
    constexpr std::string_view words[] = {"param", "buffer", "slot"};
    put("{} {} : {}", words[static_cast<size_t>(variable.kind)], symbolText(variable.name),
        toString(variable.type));
    dict(variable.attrs);
    loc(variable.loc);
    put("\n");
  }

  void constant(const Constant &constant) {
    put("const {} : {} = {}", symbolText(constant.name), toString(constant.value->type()),
        attr(constant.value));
    loc(constant.loc);
    put("\n");
  }

  void args(const Function &fn, const RegionData &region) {
    for (size_t i = 0; i < region.args.size(); ++i) {
      const ValueData &arg = fn[region.args[i]];
      put("{}{}: {}", i ? ", " : "", valueText(arg.name), toString(arg.type));
      dict(arg.attrs);
      loc(arg.loc);
    }
  }

  void results(const Function &fn) {
    const std::vector<ValueId> &yields = fn.body().yields;
    auto annotated = [](const Dict &attrs) { return !attrs.empty(); };
    if (yields.empty())
      return;
    bool list = yields.size() > 1 || std::ranges::any_of(fn.resultAttrs, annotated);
    put(" -> {}", list ? "(" : "");
    for (size_t i = 0; i < yields.size(); ++i) {
      put("{}{}", i ? ", " : "", toString(fn.type(yields[i])));
      if (i < fn.resultAttrs.size())
        dict(fn.resultAttrs[i]);
    }
    put("{}", list ? ")" : "");
  }

  void region(const Function &fn, RegionId id, int depth) {
    put(" {{");
    newLine(depth + 1);
    put("^(");
    args(fn, fn[id]);
    put("):");
    ops(fn, id, depth + 2);
    newLine(depth + 2);
    terminator(fn, fn[id], "yield");
    newLine(depth);
    put("}}");
  }

  void ops(const Function &fn, RegionId region, int depth) {
    for (OpId id : fn[region].ops) {
      newLine(depth);
      op(fn, id, depth);
    }
  }

  void terminator(const Function &fn, const RegionData &region, std::string_view word) {
    put("{}{}{}", word, region.yields.empty() ? "" : " ", values(fn, region.yields));
    loc(region.yieldLoc);
  }

  std::string values(const Function &fn, const std::vector<ValueId> &ids) {
    std::string text;
    for (ValueId id : ids) {
      text += text.empty() ? "" : ", ";
      text += valueText(fn[id].name);
    }
    return text;
  }

  /// With a space before; nothing where there are no attributes.
  void dict(const Dict &dict) {
    if (dict.empty())
      return;
    bool first = true;
    for (const auto &[name, value] : dict) {
      put("{}{}", first ? " {" : ", ", isBareName(name) ? name : quoted(name));
      if (!value.as<Unit>())
        put(" = {}", attr(value));
      first = false;
    }
    put("}}");
  }

  std::string attr(const Attr &value) const {
    const Dense *dense = value.as<Dense>();
    if (dense && options_.elideAbove >= 0 && (*dense)->elements() > options_.elideAbove)
      return "elided";
    return toString(value);
  }

  void loc(const Location &loc) {
    if (options_.locations)
      put(" {}", locText(loc));
  }

  static std::string locText(const Location &loc) {
    if (!loc.fused.empty()) {
      std::string parts;
      for (const Location &part : loc.fused)
        parts += (parts.empty() ? "" : ", ") + locText(part);
      return fmt::format("loc(fused[{}])", parts);
    }
    if (loc.line != 0)
      return fmt::format("loc({}:{}:{})", quoted(loc.file), loc.line, loc.column);
    return loc.file.empty() ? "loc(unknown)" : fmt::format("loc({})", quoted(loc.file));
  }

  const PrintOptions &options_;
  bool oneLine_;
  std::string out_;
};

} // namespace

std::string print(const Module &module, const PrintOptions &options) {
  Printer printer(options);
  printer.module(module);
  return std::move(printer).take();
}

std::string print(const Function &fn, const PrintOptions &options) {
  Printer printer(options);
  printer.function(fn);
  return std::move(printer).take();
}

std::string printOp(const Function &fn, OpId op, const PrintOptions &options) {
  Printer printer(options, true);
  printer.op(fn, op, 0);
  return std::move(printer).take();
}

} // namespace gradc
