// The registry: collects the rows of the files of passes/ once.
#include <algorithm>

#include "passes/pass.h"
#include "support/check.h"

#define GRADC_PASS_FILE(file)                                                                                \
  namespace gradc::passes {                                                                                  \
  gradc::PassDef def_##file();                                                                               \
  }
#include "pass_files.inc"
#undef GRADC_PASS_FILE

namespace gradc {
namespace {

struct Table {
  std::vector<PassDef> rows;
  std::vector<const PassDef *> sorted;

  Table() {
#define GRADC_PASS_FILE(file) rows.push_back(passes::def_##file());
#include "pass_files.inc"
#undef GRADC_PASS_FILE
    for (const PassDef &row : rows)
      sorted.push_back(&row);
    std::ranges::sort(sorted, {}, &PassDef::name);
    for (size_t i = 1; i < sorted.size(); ++i)
      CHECK(sorted[i - 1]->name != sorted[i]->name, "two passes are named '{}'", sorted[i]->name);
  }
};

const Table &table() {
  static const Table table;
  return table;
}

} // namespace

std::span<const PassDef *const> allPasses() { return table().sorted; }

const PassDef *findPass(std::string_view name) {
  std::span<const PassDef *const> all = allPasses();
  auto it = std::ranges::lower_bound(all, name, {}, &PassDef::name);
  return it != all.end() && (*it)->name == name ? *it : nullptr;
}

} // namespace gradc
