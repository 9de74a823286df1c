// The text form of the IR: printing and parsing. docs/ir.md has the grammar. parse(print(m)) == m, and
// print(parse(t)) is canonical: same module, same bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ir/ir.h"

namespace gradc {

struct PrintOptions {
  bool locations = false; // --locs
  int64_t elideAbove =
      -1; // constants with more elements print as "elided", which the parser refuses; -1: never
};

std::string print(const Module &module, const PrintOptions &options = {});
std::string print(const Function &fn, const PrintOptions &options = {});
/// One op on one line (its regions too), for messages.
std::string printOp(const Function &fn, OpId op, const PrintOptions &options = {});

/// Parses one module. Types that are left out are inferred, written ones are checked against the op's rule.
/// Recovers at the next op, so several errors can be reported. `file` names the source in messages; its text is
/// registered with `diag`. `firstLine` counts on where the text is a chunk of a larger file.
Result<Module> parseModule(std::string_view text, std::string file, Diagnostics &diag,
                           uint32_t firstLine = 1);

/// The chunks between "// -----" lines, with the line each starts at.
struct Chunk {
  std::string_view text;
  uint32_t firstLine;
};
std::vector<Chunk> splitChunks(std::string_view text);

} // namespace gradc
