#include "driver/dot.h"

#include <fmt/format.h>

#include "codegen/program_table.h"
#include "ir/op.h"

namespace gradc {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text)
    result += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return result + "\"";
}

std::string nodeName(const Function &fn, ValueId value) {
  const OpId def = fn[value].def;
  return quoted(fn.name + "." + fn[def == kNoOp ? value : fn[def].results[0]].name);
}

std::string nodeText(const Function &fn, OpId op) {
  const bool kernel = fn[op].def->name == "kernel";
  const std::string label = kernel ? stepName(fn, op) : std::string(fn[op].def->name);
  return fmt::format("  {} [shape=box label={}]\n", nodeName(fn, fn[op].results[0]),
                     quoted(fmt::format("{}: {}", fn[fn[op].results[0]].name, label)));
}

void addFunction(std::string &text, const Function &fn) {
  for (ValueId arg : fn.body().args)
    text += fmt::format("  {} [shape=ellipse label={}]\n", nodeName(fn, arg), quoted(fn[arg].name));
  for (OpId op : fn.body().ops) {
    if (fn[op].results.empty())
      continue;
    text += nodeText(fn, op);
    for (ValueId operand : fn[op].operands)
      text += fmt::format("  {} -> {} [label={}]\n", nodeName(fn, operand), nodeName(fn, fn[op].results[0]),
                          quoted(toString(fn.type(operand))));
  }
}

} // namespace

std::string toDot(const Module &module) {
  std::string text = fmt::format("digraph {} {{\n", quoted(module.name));
  for (const auto &fn : module.functions)
    addFunction(text, *fn);
  return text + "}\n";
}

} // namespace gradc
