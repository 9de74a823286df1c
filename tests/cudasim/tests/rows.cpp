#include "rows.h"
#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <sstream>

namespace cudasim::test {
namespace {

std::vector<std::string> words(const std::string &text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;)
    result.push_back(word);
  return result;
}

int bitsOf(const std::string &type) {
  if (type == "f16x2" || type == "bf16x2")
    return 32;
  return std::stoi(type.substr(type.find_first_of("0123456789")));
}

std::string declare(const std::string &name, const std::string &type) {
  if (type == "pred")
    return fmt::format("  .reg .pred {};\n", name);
  return fmt::format("  .reg .b{} {};\n", std::max(16, bitsOf(type)), name);
}

std::string read(const std::string &name, const std::string &type, int index) {
  std::string from = fmt::format("[pin+{}]", index * 256);
  if (type == "pred")
    return fmt::format("  ld.global.u32 r0, {};\n  setp.ne.u32 {}, r0, 0;\n", from, name);
  return fmt::format("  ld.global.b{} {}, {};\n", std::max(16, bitsOf(type)), name, from);
}

std::string write(const std::string &type) {
  if (type == "pred")
    return "  selp.u64 l0, 1, 0, d;\n  st.global.u64 [pout], l0;\n";
  int bits = std::max(16, bitsOf(type));
  std::string wide = bits == 64 ? "d" : "l0";
  return (bits == 64 ? "" : fmt::format("  cvt.u64.u{} l0, d;\n", bits)) +
         fmt::format("  st.global.u64 [pout], {};\n", wide);
}

} // namespace

std::string moduleOf(const std::string &kernels, int target) {
  return fmt::format(".version {}\n.target sm_{}\n.address_size 64\n{}", target >= 100 ? "8.8" : "8.3",
                     target, kernels);
}

std::string kernelOf(const Row &row, const std::string &name) {
  static const char *const kNames[] = {"d", "a", "b", "c"};
  std::vector<std::string> types = words(row.types);
  std::string text =
      fmt::format(".visible .entry {}(.param .u64 {}_in, .param .u64 {}_out)\n{{\n", name, name, name);
  text += "  .reg .b32 r<8>, lane, offset;\n  .reg .b64 l<4>, pin, pout;\n  .reg .b16 h<8>;\n  .reg .f32 "
          "f<8>;\n  .reg .pred p<4>;\n";
  text += "  .shared .align 16 .b8 sm[1024];\n  .local .align 8 .b8 lm[64];\n";
  for (size_t k = 0; k < types.size(); ++k)
    text += declare(kNames[k], types[k]);
  text += fmt::format("  ld.param.u64 pin, [{}_in];\n  ld.param.u64 pout, [{}_out];\n", name, name);
  text += "  mov.u32 lane, %laneid;\n  mul.lo.u32 offset, lane, 8;\n  cvt.u64.u32 l0, offset;\n";
  text += "  add.s64 pin, pin, l0;\n  add.s64 pout, pout, l0;\n";
  for (size_t k = 1; k < types.size(); ++k)
    text += read(kNames[k], types[k], static_cast<int>(k) - 1);
  text += "  // the row\n  " + row.code + "\n";
  if (!types.empty())
    text += write(types[0]);
  return text + "  ret;\n}\n";
}

std::string opcodeOf(const Row &row) {
  std::istringstream stream(row.code);
  std::string word;
  stream >> word;
  while (word.starts_with('@') || word.starts_with('{'))
    stream >> word;
  return word.substr(0, word.find(';'));
}

std::vector<uint64_t> runRow(const Row &row, std::string &error) {
  Memory memory;
  Options options;
  options.approximate = false;
  auto module = Module::load(moduleOf(kernelOf(row, "row"), row.target), memory);
  if (!module) {
    error = module.error().text;
    return {};
  }
  std::array<uint64_t, 4 * 32> in{};
  for (size_t k = 0; k < row.operands.size(); ++k)
    for (size_t lane = 0; lane < 32 && !row.operands[k].empty(); ++lane)
      in[k * 32 + lane] = row.operands[k][std::min(lane, row.operands[k].size() - 1)];
  void *input = memory.allocate(sizeof(in)), *output = memory.allocate(256);
  std::memcpy(input, in.data(), sizeof(in));
  memory.markWritten(input, sizeof(in));
  Launch launch{.kernel = (*module)->kernel("row"), .block = {32, 1, 1}};
  void *parameters[] = {input, output};
  launch.parameters.resize(sizeof(parameters));
  std::memcpy(launch.parameters.data(), parameters, sizeof(parameters));
  auto counters = run(launch, memory, *findProfile("sm_100"), options);
  if (!counters) {
    error = counters.error().text;
    return {};
  }
  const auto *out = static_cast<const uint64_t *>(output);
  return {out, out + 32};
}

std::vector<Row> allRows() {
  std::vector<Row> all;
  for (auto rows : {integerRows, bitRows, floatRows, halfRows, compareRows, convertRows, moveRows, memoryRows,
                    warpRows, matrixRows, asyncRows, controlRows}) {
    std::vector<Row> some = rows();
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

} // namespace cudasim::test
