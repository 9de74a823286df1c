// Every op has a lit file with valid and invalid uses of it and of each of its attributes.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "ir/op.h"

namespace gradc {
namespace {

/// The lines of the op's file: those that an expected error stands above, and the others.
struct OpFile {
  std::string valid, invalid;
};

OpFile readOpFile(std::string_view op) {
  std::ifstream file(fmt::format("{}/tests/lit/ops/{}.gir", GRADC_SOURCE_DIR, op));
  OpFile result;
  std::string expected;
  for (std::string line; std::getline(file, line);) {
    if (line.find("expected-error") != std::string::npos)
      expected += line;
    else if (!expected.empty())
      result.invalid += std::exchange(expected, {}) + line + "\n";
    else if (line.find("//") == std::string::npos)
      result.valid += line + "\n";
  }
  return result;
}

TEST(OpFiles, ShowEveryOpAndAttributeValidAndInvalid) {
  for (const OpDef *def : allOps()) {
    OpFile file = readOpFile(def->name);
    EXPECT_NE(file.valid.find(fmt::format("{}(", def->name)), std::string::npos)
        << "tests/lit/ops/" << def->name << ".gir has no valid use";
    EXPECT_NE(file.invalid.find(fmt::format("{}(", def->name)), std::string::npos)
        << "tests/lit/ops/" << def->name << ".gir has no expected-error";
    for (const AttrSpec &attr : def->attrs) {
      EXPECT_NE(file.valid.find(attr.name), std::string::npos)
          << def->name << ": no valid use of " << attr.name;
      EXPECT_NE(file.invalid.find(attr.name), std::string::npos)
          << def->name << ": no invalid use of " << attr.name;
    }
  }
}

} // namespace
} // namespace gradc
