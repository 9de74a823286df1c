// Canonical text: same module, same bytes. Nothing here knows an op by name.
#include <algorithm>

#include "ir/op.h"
#include "ir/spelling.h"
#include "ir/text.h"

namespace gradc {
namespace {

/// The header of a function that would be wider is broken before its results, then between its arguments.
constexpr size_t kMaxWidth = 110;

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
    std::vector<std::string> args = argTexts(fn, fn.body()), results = resultTexts(fn);
    bool list =
        results.size() > 1 || std::ranges::any_of(fn.resultAttrs, [](const Dict &d) { return !d.empty(); });
    std::string head = fmt::format("func {}(", symbolText(fn.name)), arrow = list ? " -> (" : " -> ";
    std::string attributes = fn.attrs.empty() ? "" : " attributes" + dictText(fn.attrs);
    size_t argsWidth = head.size() + joined(args, true, 0).size();
    size_t resultsWidth = arrow.size() + joined(results, true, 0).size() + attributes.size() + 4;
    bool fits = oneLine_ || argsWidth + resultsWidth <= kMaxWidth;
    if (!fits && !results.empty())
      arrow = "\n   " + arrow;
    put("{}{})", head, joined(args, fits || argsWidth <= kMaxWidth, head.size()));
    if (!results.empty())
      put("{}{}{}", arrow, joined(results, fits || resultsWidth <= kMaxWidth, arrow.size() - 1),
          list ? ")" : "");
    put("{}{} {{", attributes, locText(fn.loc));
    ops(fn, Function::kBody, 1);
    newLine(1);
    terminator(fn, fn.body(), "return");
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

  /// Separated by commas: on one line, or each on its own at column `indent`.
  static std::string joined(const std::vector<std::string> &texts, bool oneLine, size_t indent) {
    return fmt::format("{}", fmt::join(texts, oneLine ? ", " : ",\n" + std::string(indent, ' ')));
  }

  std::vector<std::string> argTexts(const Function &fn, const RegionData &region) const {
    std::vector<std::string> texts;
    for (ValueId id : region.args) {
      const ValueData &arg = fn[id];
      texts.push_back(fmt::format("{}: {}{}{}", valueText(arg.name), toString(arg.type), dictText(arg.attrs),
                                  locText(arg.loc)));
    }
    return texts;
  }

  std::vector<std::string> resultTexts(const Function &fn) const {
    std::vector<std::string> texts;
    for (size_t i = 0; i < fn.body().yields.size(); ++i)
      texts.push_back(toString(fn.type(fn.body().yields[i])) +
                      (i < fn.resultAttrs.size() ? dictText(fn.resultAttrs[i]) : ""));
    return texts;
  }

  void region(const Function &fn, RegionId id, int depth) {
    put(" {{");
    newLine(depth + 1);
    put("^({}):", joined(argTexts(fn, fn[id]), true, 0));
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

  void dict(const Dict &dict) { out_ += dictText(dict); }
  void loc(const Location &loc) { out_ += locText(loc); }

  /// With a space before; nothing where there are no attributes.
  std::string dictText(const Dict &dict) const {
    if (dict.empty())
      return "";
    std::string text;
    for (const auto &[name, value] : dict) {
      text += fmt::format("{}{}", text.empty() ? " {" : ", ", isBareName(name) ? name : quoted(name));
      if (!value.as<Unit>())
        text += fmt::format(" = {}", attr(value));
    }
    return text + "}";
  }

  std::string attr(const Attr &value) const {
    const Dense *dense = value.as<Dense>();
    if (dense && options_.elideAbove >= 0 && (*dense)->elements() > options_.elideAbove)
      return "elided";
    return toString(value);
  }

  /// With a space before; nothing unless locations are wanted.
  std::string locText(const Location &loc) const { return options_.locations ? " " + placeText(loc) : ""; }

  static std::string placeText(const Location &loc) {
    if (!loc.fused.empty()) {
      std::vector<std::string> parts;
      for (const Location &part : loc.fused)
        parts.push_back(placeText(part));
      return fmt::format("loc(fused[{}])", fmt::join(parts, ", "));
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
