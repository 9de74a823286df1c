#include "machine/decoder.h"
#include "ptx/module.h"
#include "rows.h"
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <set>

namespace cudasim::test {
namespace {

class Opcode : public testing::TestWithParam<Row> {};

TEST_P(Opcode, ComputesTheExpectedLanes) {
  const Row &row = GetParam();
  std::string error;
  std::vector<uint64_t> lanes = runRow(row, error);
  ASSERT_EQ(error, "") << row.code;
  for (size_t lane = 0; lane < row.expected.size(); ++lane)
    EXPECT_EQ(lanes[lane], row.expected[lane]) << fmt::format("lane {}: got {:#x}, expected {:#x}: {}", lane,
                                                              lanes[lane], row.expected[lane], row.code);
}

std::string nameOf(const testing::TestParamInfo<Row> &info) {
  std::string name = opcodeOf(info.param);
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return fmt::format("{}_{}", name, info.index);
}

INSTANTIATE_TEST_SUITE_P(Rows, Opcode, testing::ValuesIn(allRows()), nameOf);

TEST(OpcodeTable, HasARowForEveryFamily) {
  std::set<std::pair<std::string, Data>> tested;
  for (const Row &row : allRows()) {
    auto module = ptx::parse(moduleOf(kernelOf(row, "row"), row.target));
    ASSERT_TRUE(module) << row.code << ": " << module.error().text;
    for (const ptx::Instruction &i : module->kernels[0].code) {
      std::string base = i.opcode.substr(0, i.opcode.find('.'));
      Type last = Type::None;
      for (size_t dot = i.opcode.find('.'); dot != std::string::npos; dot = i.opcode.find('.', dot + 1))
        if (Type type = ptx::typeNamed(
                std::string_view(i.opcode).substr(dot + 1, i.opcode.find('.', dot + 1) - dot - 1));
            type != Type::None)
          last = type;
      tested.emplace(base, dataOf(last));
    }
  }
  for (const Family &family : allFamilies()) {
    bool found = std::any_of(tested.begin(), tested.end(), [&](const auto &t) {
      return t.first == family.opcode && (family.data == Data::Any || t.second == family.data);
    });
    EXPECT_TRUE(found) << "no row tests " << family.opcode << " of data " << static_cast<int>(family.data);
  }
}

// The assembler is the judge of whether a snippet is PTX at all.
TEST(OpcodeTable, IsAcceptedByPtxas) {
  const char *root = std::getenv("CUDA_PATH");
  std::string ptxas;
  for (const std::string &path :
       {root ? std::string(root) + "/bin/ptxas" : std::string(), std::string("/usr/local/cuda/bin/ptxas")})
    if (!path.empty() && std::ifstream(path))
      ptxas = path;
  if (ptxas.empty())
    GTEST_SKIP()
        << "no ptxas in $CUDA_PATH/bin or /usr/local/cuda/bin: whether the snippets are PTX is not checked";
  std::map<int, std::string> kernels;
  std::vector<Row> rows = allRows();
  for (size_t k = 0; k < rows.size(); ++k)
    kernels[rows[k].target] += kernelOf(rows[k], fmt::format("row_{}", k));
  for (const auto &[target, text] : kernels) {
    std::string file = fmt::format("{}/rows_{}.ptx", testing::TempDir(), target);
    std::ofstream(file) << moduleOf(text, target);
    std::string command = fmt::format("{} -O0 -arch=sm_{} {} -o /dev/null 2>&1", ptxas, target, file);
    FILE *pipe = popen(command.c_str(), "r");
    std::string output;
    for (char buffer[512]; std::fgets(buffer, sizeof(buffer), pipe);)
      output += buffer;
    EXPECT_EQ(pclose(pipe), 0) << output.substr(0, 3000);
  }
}

} // namespace
} // namespace cudasim::test
