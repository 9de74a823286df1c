#include "machine/float.h"
#include "rows.h"
#include <fmt/format.h>

namespace cudasim::test {
namespace {

// A has small integers that tell rows and columns apart, B is a shifted unit matrix: row r of A comes out shifted.
constexpr int kShift = 1;
double elementA(int row, int column) { return row * 16 + column; }
double elementB(int row, int column) { return row == column + kShift ? 1 : 0; }
double elementC(int row, int column) { return 1000 * (row + 1) + column; }

// Registers hold row g or g + 8 and neighbouring columns; see machine/ops/matrix.cpp and the PTX manual's figures.
struct Builder {
  std::string code;
  int depth, perRegister;
  uint16_t (*narrow)(double, bool);

  // Sets r<k> of each lane to these bits, through predicates: 32 lanes, one value each.
  void set(const std::string &reg, const std::vector<uint64_t> &lanes) {
    for (size_t l = 0; l < lanes.size(); ++l)
      code += fmt::format("setp.eq.u32 p0, lane, {}; @p0 mov.b32 {}, {:#x};\n  ", l, reg, lanes[l]);
  }
  uint64_t bits(double low, double high) const {
    if (!narrow)
      return f(static_cast<float>(low));
    return static_cast<uint64_t>(narrow(high, false)) << 16 | narrow(low, false);
  }
};

template <class F> std::vector<uint64_t> perLane(F value) {
  std::vector<uint64_t> result;
  for (int l = 0; l < 32; ++l)
    result.push_back(value(l / 4, l % 4));
  return result;
}

Row multiplication(const char *opcode, int depth, uint16_t (*narrow)(double, bool), int result, int target) {
  Builder b{"", depth, narrow ? 2 : 1, narrow};
  int width = b.perRegister, aCount = depth / 2 / width, bCount = depth / 4 / width, group = 4 * width;
  std::string aList, bList;
  for (int r = 0; r < aCount; ++r) {
    b.set(fmt::format("a{}", r), perLane([&](int g, int t) {
            int row = g + r % 2 * 8, column = t * width + r / 2 * group;
            return b.bits(elementA(row, column), elementA(row, column + 1));
          }));
    aList += fmt::format("{}a{}", r ? ", " : "", r);
  }
  for (int r = 0; r < bCount; ++r) {
    b.set(fmt::format("b{}", r), perLane([&](int g, int t) {
            int row = t * width + r * group;
            return b.bits(elementB(row, g), elementB(row + 1, g));
          }));
    bList += fmt::format("{}b{}", r ? ", " : "", r);
  }
  for (int r = 0; r < 4; ++r)
    b.set(fmt::format("f{}", r), perLane([&](int g, int t) {
            return f(static_cast<float>(elementC(g + r / 2 * 8, t * 2 + r % 2)));
          }));
  std::string call = fmt::format("{} {{f4, f5, f6, f7}}, {{{}}}, {{{}}}, {{f0, f1, f2, f3}}; mov.f32 d, f{};",
                                 opcode, aList, bList, 4 + result);
  auto expected = perLane([&](int g, int t) {
    int row = g + result / 2 * 8, column = t * 2 + result % 2;
    double product = column + kShift < depth ? elementA(row, column + kShift) : 0;
    return f(static_cast<float>(elementC(row, column) + product));
  });
  return {"{ .reg .b32 a<4>, b<2>;\n  " + b.code + call + " }", "f32", {}, expected, target};
}

// 8x8 matrices of 16-bit numbers whose value is 100 * matrix + 8 * row + column, at 128 bytes each in shared memory.
Row loading(const char *opcode, int count, int matrix, bool transposed) {
  std::string code = "{ .reg .b32 m<4>, address, value, at; .reg .pred q;\n";
  code +=
      "  shl.b32 at, lane, 4; mov.u32 address, sm; add.u32 address, address, at;\n"; // lane l writes row l
  for (int k = 0; k < 4; ++k)
    code += fmt::format(
        "  shr.u32 value, lane, 3; mul.lo.u32 value, value, 100; and.b32 at, lane, 7; mad.lo.u32 value, at, "
        "8, value; "
        "add.u32 value, value, {}; add.u32 at, value, 1; shl.b32 at, at, 16; or.b32 value, value, at; "
        "st.shared.u32 [address+{}], value;\n",
        2 * k, 4 * k);
  std::string list;
  for (int k = 0; k < count; ++k)
    list += fmt::format("{}m{}", k ? ", " : "", k);
  code += fmt::format("  bar.sync 0;\n  {} {{{}}}, [address]; mov.b32 d, m{}; }}", opcode, list, matrix);
  return {code, "b32", {}, perLane([&](int g, int t) {
            auto at = [&](int row, int column) {
              return static_cast<uint64_t>(100 * matrix + 8 * row + column);
            };
            return transposed ? at(2 * t, g) | at(2 * t + 1, g) << 16 : at(g, 2 * t) | at(g, 2 * t + 1) << 16;
          })};
}

} // namespace

std::vector<Row> matrixRows() {
  std::vector<Row> rows;
  for (int result = 0; result < 4; ++result) {
    rows.push_back(
        multiplication("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", 8, nullptr, result, 80));
    rows.push_back(
        multiplication("mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32", 4, nullptr, result, 80));
    rows.push_back(
        multiplication("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 16, toHalf, result, 80));
    rows.push_back(multiplication("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32", 8, toHalf, result, 80));
    rows.push_back(
        multiplication("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 16, toBfloat, result, 80));
    rows.push_back(
        multiplication("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32", 8, toBfloat, result, 80));
  }
  for (int matrix = 0; matrix < 4; ++matrix) {
    rows.push_back(loading("ldmatrix.sync.aligned.m8n8.x4.shared.b16", 4, matrix, false));
    rows.push_back(loading("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", 4, matrix, true));
  }
  rows.push_back(loading("ldmatrix.sync.aligned.m8n8.x2.shared.b16", 2, 1, false));
  rows.push_back(loading("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", 2, 1, true));
  rows.push_back(loading("ldmatrix.sync.aligned.m8n8.x1.shared.b16", 1, 0, false));
  rows.push_back(loading("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16", 1, 0, true));
  return rows;
}

} // namespace cudasim::test
