// Every op's code against the interpreter: one kernel around a function's ops, on a given processor.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "tests/support/kernel_runner.h"

namespace gradc {
namespace {

using testing::asKernel;
using testing::runKernel;

Tensor randomTensor(const Type &type, uint64_t seed) {
  Type plain{type.dtype, type.shape, {}};
  Tensor tensor(plain);
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  for (int64_t i = 0; i < tensor.elements(); ++i)
    if (type.dtype == DType::Bool)
      tensor.setInt(i, static_cast<int64_t>(random() & 1));
    else if (isInteger(type.dtype))
      tensor.setInt(i, static_cast<int64_t>(random() % 11) - (type.dtype == DType::U8 ? 0 : 3));
    else
      tensor.set(i, std::round(normal(random) * 64) / 64); // ties happen
  return tensor;
}

void expectClose(const Tensor &got, const Tensor &want, double tolerance) {
  ASSERT_EQ(toString(got.type()), toString(Type{want.type().dtype, want.type().shape, {}}));
  int wrong = 0;
  for (int64_t i = 0; i < want.elements() && wrong < 5; ++i) {
    double a = got.get(i), b = want.get(i);
    bool same =
        (std::isnan(a) && std::isnan(b)) || a == b || std::fabs(a - b) <= tolerance * (1 + std::fabs(b));
    EXPECT_TRUE(same) << "element " << i << ": got " << a << ", want " << b << (++wrong, "");
  }
}

/// Parses a function, runs it as a kernel of `kind` on several processors and compares with the interpreter; all
/// processors with fused multiply-add must agree to the bit.
void check(std::string_view text, std::string_view kind = "map", double tolerance = 2e-6) {
  SCOPED_TRACE(std::string(text));
  Diagnostics diag;
  Result<Module> module = parseModule(text, "test.gir", diag);
  ASSERT_TRUE(module) << diag.render();
  Module wrapped = asKernel(*module, kind);
  std::vector<Tensor> arguments;
  for (ValueId arg : module->functions[0]->body().args)
    arguments.push_back(randomTensor(module->functions[0]->type(arg), arguments.size() + 1));
  std::vector<Tensor> want = interpret(*module, *module->functions[0], arguments), first;
  for (const char *name : {"native", "haswell"}) {
    SCOPED_TRACE(name);
    for (int64_t pieces : {int64_t{0}, int64_t{1}}) {
      std::vector<Tensor> got = runKernel(wrapped, *parseCpuTarget(name), arguments, pieces);
      for (size_t i = 0; i < want.size(); ++i) {
        expectClose(got[i], want[i], tolerance);
        if (!first.empty()) {
          EXPECT_EQ(got[i], first[i]) << "other bits than before";
        }
      }
      if (first.empty())
        first = std::move(got);
    }
  }
}

std::string unary(std::string_view op, std::string_view type, std::string_view pre = "") {
  return fmt::format("func @f(%x: {1}) -> {1} {{\n {2}%y = {0}({3}) : {1}\n return %y\n}}", op, type, pre,
                     pre.empty() ? "%x" : "%p");
}

TEST(CpuKernel, UnaryOps) {
  for (const char *op : {"neg", "abs", "sign", "exp", "square", "tanh", "sigmoid", "erf", "floor", "relu",
                         "leaky_relu", "elu", "gelu", "softplus"})
    check(unary(op, "f32[5,37]"));
  for (const char *op : {"log", "sqrt", "rsqrt"})
    check(unary(op, "f32[5,37]", "%p = square(%x) : f32[5,37]\n "));
  for (const char *op : {"exp", "tanh", "erf", "abs", "floor"})
    check(unary(op, "f64[3,17]"));
}

TEST(CpuKernel, BinaryOps) {
  for (const char *type :
       {"f32[3,50]", "f32[32,3,5]<n16>", "i32[33]", "i64[40]", "f64[21]", "f32[]", "f32[1]"})
    for (const char *op : {"add", "sub", "mul", "maximum", "minimum"})
      check(fmt::format("func @f(%x: {1}, %y: {1}) -> {1} {{\n %z = {0}(%x, %y) : {1}\n return %z\n}}", op,
                        type));
  check("func @f(%x: f32[90], %y: f32[90]) -> f32[90] {\n %z = div(%x, %y) : f32[90]\n return %z\n}");
  check("func @f(%x: f32[90], %y: f32[90]) -> f32[90] {\n %a = abs(%x) : f32[90]\n %z = pow(%a, %y) : "
        "f32[90]\n "
        "return %z\n}");
}

TEST(CpuKernel, ComparisonsAndSelect) {
  for (const char *op : {"eq", "ne", "lt", "le", "gt", "ge"})
    for (const char *type : {"f32[67]", "i32[67]"}) {
      std::string shape = std::string(type).substr(3);
      check(
          fmt::format("func @f(%x: {1}, %y: {1}) -> (bool{2}, {1}) {{\n %c = {0}(%x, %y) : bool{2}\n"
                      " %n = not(%c) : bool{2}\n %o = or(%n, %c) : bool{2}\n %s = select(%c, %x, %y) : {1}\n"
                      " return %n, %s\n}}",
                      op, type, shape));
    }
}

TEST(CpuKernel, Casts) {
  for (const char *from : {"f32", "f64", "i32", "i64", "u8", "i8", "bool", "bf16", "f16"})
    for (const char *to : {"f32", "f64", "i32", "i64", "u8", "i8", "bool", "bf16", "f16"})
      check(fmt::format("func @f(%x: {0}[35]) -> {1}[35] {{\n %y = cast(%x) {{dtype = {1}}} : {1}[35]\n"
                        " return %y\n}}",
                        from, to));
}

TEST(CpuKernel, Movement) {
  check("func @f(%b: f32[6]) -> f32[18,6,3,5]<n16> {\n"
        " %y = broadcast(%b) {axes = [1], shape = [18,6,3,5]} : f32[18,6,3,5]<n16>\n return %y\n}");
  check("func @f(%b: f32[6], %x: f32[5,6,3,5]) -> f32[5,6,3,5] {\n"
        " %e = broadcast(%b) {axes = [1], shape = [5,6,3,5]} : f32[5,6,3,5]\n"
        " %y = add(%x, %e) : f32[5,6,3,5]\n return %y\n}");
  check("func @f(%b: f32[3,5]) -> f32[7,3,2,5] {\n"
        " %y = broadcast(%b) {axes = [1,3], shape = [7,3,2,5]} : f32[7,3,2,5]\n return %y\n}");
  check("func @f(%x: f32[20,6,4,4]<n16>) -> f32[20,96]<n16> {\n"
        " %y = reshape(%x) {shape = [20,96]} : f32[20,96]<n16>\n return %y\n}");
  check("func @f(%x: f32[20,96]<n16>) -> f32[20,6,4,4]<n16> {\n"
        " %y = reshape(%x) {shape = [20,6,4,4]} : f32[20,6,4,4]<n16>\n return %y\n}");
  check("func @f(%x: f32[4,6,10]) -> f32[3,8,10] {\n"
        " %y = reshape(%x) {shape = [3,8,10]} : f32[3,8,10]\n return %y\n}");
  check("func @f(%x: f32[4,6,10]) -> f32[10,4,6] {\n"
        " %y = transpose(%x) {permutation = [2,0,1]} : f32[10,4,6]\n return %y\n}");
  check("func @f(%x: f32[40,20]) -> f32[20,40] {\n"
        " %y = transpose(%x) {permutation = [1,0]} : f32[20,40]\n return %y\n}");
  check("func @f(%x: f32[5,40]) -> f32[2,18] {\n"
        " %y = slice(%x) {start = [1,3], limit = [4,38], stride = [2,2]} : f32[2,18]\n return %y\n}");
  check("func @f(%x: f32[5,40]) -> f32[8,42] {\n"
        " %y = pad(%x) {low = [2,1], high = [1,1], value = 1.5} : f32[8,42]\n return %y\n}");
  check("func @f(%x: f32[5,10]) -> f32[9,30] {\n"
        " %y = pad(%x) {low = [0,1], high = [0,1], interior = [1,2]} : f32[9,30]\n return %y\n}");
  check("func @f(%x: f32[5,20], %y: f32[5,7]) -> f32[5,27] {\n"
        " %z = concat(%x, %y) {axis = 1} : f32[5,27]\n return %z\n}");
  check("func @f(%x: f32[5,20], %y: f32[2,20]) -> f32[7,20] {\n"
        " %z = concat(%x, %y) {axis = 0} : f32[7,20]\n return %z\n}");
  check("func @f(%x: f32[3,37]) -> f32[3,37] {\n %y = reverse(%x) {axes = [0,1]} : f32[3,37]\n return %y\n}");
  check("func @f(%x: f32[9,20], %i: i32[7]) -> f32[7,20] {\n"
        " %y = gather(%x, %i) {axis = 0} : f32[7,20]\n return %y\n}");
  check("func @f(%x: f32[4,9], %i: i32[2,11]) -> f32[4,2,11] {\n"
        " %y = gather(%x, %i) {axis = 1} : f32[4,2,11]\n return %y\n}");
  check("func @f(%i: i32[30], %u: f32[30,20]) -> f32[9,20] {\n"
        " %y = scatter_add(%i, %u) {axis = 0, size = 9} : f32[9,20]\n return %y\n}");
}

TEST(CpuKernel, Relayout) {
  for (const char *shape : {"[32,784]", "[16,3]", "[64,5,7]", "[48,40]"})
    for (const char *dtype : {"f32", "i32", "f64", "bool"}) {
      check(fmt::format("func @f(%x: {0}{1}) -> {0}{1}<n16> {{\n"
                        " %y = relayout(%x) {{layout = n16}} : {0}{1}<n16>\n return %y\n}}",
                        dtype, shape));
      check(fmt::format("func @f(%x: {0}{1}<n16>) -> {0}{1} {{\n"
                        " %y = relayout(%x) {{layout = row_major}} : {0}{1}\n return %y\n}}",
                        dtype, shape));
    }
}

TEST(CpuKernel, Generators) {
  check("func @f(%s: i64[], %t: i64[], %r: i64[]) -> f32[6,35] {\n"
        " %y = random_uniform(%s, %t, %r) {stream = \"drop\", shape = [6,35]} : f32[6,35]\n return %y\n}",
        "map", 0);
  check("func @f(%s: i64[], %t: i64[], %r: i64[]) -> f32[27,35]<n16> {\n"
        " %y = random_uniform(%s, %t, %r) {stream = \"drop\", shape = [27,35]} : f32[27,35]<n16>\n return "
        "%y\n}",
        "map", 0);
  for (int axis : {0, 1})
    check(fmt::format("func @f() -> i32[5,20] {{\n %y = iota() {{shape = [5,20], axis = {}}} : i32[5,20]\n"
                      " return %y\n}}",
                      axis));
  check("func @f(%x: f32[6]) -> f32[6] {\n %c = constant() {value = [1.0,2.0,3.0,4.0,5.0,6.5]} : f32[6]\n"
        " %y = mul(%x, %c) : f32[6]\n return %y\n}");
}

TEST(CpuKernel, Windows) {
  for (const char *layout : {"", "<n16>"})
    for (const char *attrs : {"window = [2,2], stride = [2,2]", "window = [3,3], stride = [2,2]",
                              "window = [3,2], stride = [1,1], padding = [1,1,1,0]"}) {
      std::string_view first = std::string_view(attrs).substr(10, 3);
      int oh = first == "2,2" ? 4 : first == "3,3" ? 3 : 8, ow = first == "2,2" ? 5 : first == "3,3" ? 4 : 10;
      std::string x = fmt::format("f32[16,3,8,10]{}", layout),
                  r = fmt::format("f32[16,3,{},{}]{}", oh, ow, layout);
      for (const char *op : {"window_max", "window_sum"})
        check(fmt::format("func @f(%x: {0}) -> {1} {{\n %y = {2}(%x) {{{3}}} : {1}\n return %y\n}}", x, r, op,
                          attrs));
      check(fmt::format("func @f(%x: {0}, %d: {1}) -> {0} {{\n %y = window_max_grad(%x, %d) {{{2}}} : {0}\n"
                        " return %y\n}}",
                        x, r, attrs));
      check(
          fmt::format("func @f(%d: {1}) -> {0} {{\n %y = window_sum_grad(%d) {{input = [8,10], {2}}} : {0}\n"
                      " return %y\n}}",
                      x, r, attrs));
    }
}

/// Windows that overlap or leave a rest, walked plane by plane: with the elementwise ops after them, and apart from
/// the layout the same bits.
TEST(CpuKernel, OverlappingWindowsBackward) {
  for (const auto &[plane, windows, attrs] :
       {std::tuple{"7,9", "3,4", "window = [3,3], stride = [2,2]"},
        {"8,10", "3,4", "window = [3,3], stride = [2,2]"},
        {"6,5", "4,4", "window = [3,2], stride = [1,1]"},
        {"7,7", "3,3", "window = [2,2], stride = [2,2]"},
        {"5,8", "5,4", "window = [1,3], stride = [1,2], padding = [0,0,0,1]"},
        // As many elements as taps, but shifted.
        {"6,6", "2,2", "window = [3,3], stride = [3,3], padding = [1,1,1,1]"}})
    check(fmt::format("func @f(%x: {0}, %d: {1}) -> {0} {{\n %g = window_max_grad(%x, %d) {{{2}}} : {0}\n"
                      " %z = tanh(%x) : {0}\n %y = mul(%g, %z) : {0}\n return %y\n}}",
                      fmt::format("f32[19,3,{}]<n16>", plane), fmt::format("f32[19,3,{}]<n16>", windows),
                      attrs));
}

TEST(CpuKernel, Reductions) {
  struct Case {
    const char *type, *axes, *result;
  };
  const Case cases[] = {{"f32[64]", "[0]", "f32[]"},
                        {"f32[5,7]", "[0,1]", "f32[]"},
                        {"f32[33,40]", "[1]", "f32[33]"},
                        {"f32[33,40]", "[0]", "f32[40]"},
                        {"f32[32,40]", "[0]", "f32[40]"},
                        {"f32[32,40]<n16>", "[0]", "f32[40]"},
                        {"f32[21,40]<n16>", "[0]", "f32[40]"},
                        {"f32[32,10]<n16>", "[1]", "f32[32]"},
                        {"f32[21,10]<n16>", "[1]", "f32[21]"},
                        {"f32[32,40]<n16>", "[1]", "f32[32]"},
                        {"f32[32,6,4,5]<n16>", "[0,2,3]", "f32[6]"},
                        {"f32[21,6,4,5]<n16>", "[0,2,3]", "f32[6]"},
                        {"f32[32,6,4,5]", "[0,2,3]", "f32[6]"},
                        {"f32[3,6,4,35]", "[1,3]", "f32[3,4]"},
                        {"f64[3,50]", "[1]", "f64[3]"},
                        {"f32[20]", "[0]", "f32[]"}};
  for (const Case &c : cases)
    for (const char *op : {"reduce_sum", "reduce_max", "reduce_min"})
      for (const char *kind : {"rows", "map"})
        check(fmt::format("func @f(%x: {0}) -> {1} {{\n %y = {2}(%x) {{axes = {3}}} : {1}\n return %y\n}}",
                          c.type, c.result, op, c.axes),
              kind, 1e-5);
  check("func @f(%x: f32[5,40]) -> i32[5] {\n %y = argmax(%x) {axis = 1} : i32[5]\n return %y\n}", "rows");
  check("func @f(%x: f32[32,10]<n16>) -> i32[32] {\n %y = argmax(%x) {axis = 1} : i32[32]\n return %y\n}",
        "rows");
}

/// As batch norm does it, for lanes that hold examples, channels or pixels: whole blocks of n16 are defined.
TEST(CpuKernel, RowsAcrossTheBatchFillBlocks) {
  for (const char *shape : {"2,6,4,5", "2,40,3,20", "8,33,2,2", "9,5,4,4", "20,18,2,3", "3,7"})
    for (const char *dtype : {"f32", "bf16"}) {
      const bool flat = std::string_view(shape).size() == 3;
      const std::string channels(std::string_view(shape).substr(std::string_view(shape).find(',') + 1));
      const std::string sums = channels.substr(0, channels.find(','));
      check(fmt::format("func @f(%x: f32[{0}]<n16>) -> (f32[{1}], f32[{0}]<n16>, {3}[{0}]<n16>) {{\n"
                        " %s = reduce_sum(%x) {{axes = {2}}} : f32[{1}]\n"
                        " %b = broadcast(%s) {{axes = [1], shape = [{0}]}} : f32[{0}]<n16>\n"
                        " %y = sub(%x, %b) : f32[{0}]<n16>\n"
                        " %z = cast(%y) {{dtype = {3}}} : {3}[{0}]<n16>\n return %s, %y, %z\n}}",
                        shape, sums, flat ? "[0]" : "[0,2,3]", dtype),
            "rows", 1e-2);
    }
}

/// Sums over axis 0 of [rows, length], and where `all` is set over both, as ir/order.h says for 16 lanes: along axis 0,
/// but of all elements along the last axis if that fills them.
std::vector<float> canonicalSums(std::span<const float> x, int64_t rows, int64_t length, bool all) {
  std::vector<std::vector<float>> partial(kLanes, std::vector<float>(static_cast<size_t>(all ? 1 : length)));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t i = 0; i < length; ++i)
      partial[(all && length >= kLanes ? i : row) % kLanes][all ? 0 : i] += x[row * length + i];
  for (int64_t half = kLanes / 2; half > 0; half /= 2)
    for (int64_t p = 0; p < half; ++p)
      for (size_t i = 0; i < partial[p].size(); ++i)
        partial[p][i] += partial[p + half][i];
  return partial[0];
}

TEST(CpuKernel, SumsInTheCanonicalOrder) {
  struct Case {
    int64_t rows, length; // the last one is larger than the second cache of some
    bool all;
  };
  for (const Case &c : {Case{64, 40, true}, Case{37, 35, true}, Case{12, 16, true}, Case{37, 15, true},
                        Case{37, 35, false}, Case{300, 1000, false}}) {
    Diagnostics diag;
    Result<Module> module = parseModule(
        fmt::format(
            "func @f(%x: f32[{0},{1}]) -> f32[{2}] {{\n %y = reduce_sum(%x) {{axes = [{3}]}} : f32[{2}]\n"
            " return %y\n}}",
            c.rows, c.length, c.all ? "" : std::to_string(c.length), c.all ? "0,1" : "0"),
        "test.gir", diag);
    ASSERT_TRUE(module) << diag.render();
    Tensor x(Type{DType::F32, Shape{c.rows, c.length}, {}});
    for (int64_t i = 0; i < x.elements(); ++i)
      x.set(i, 1 / (1 + static_cast<double>(i * 7919 % 1009)));
    const std::vector<float> want = canonicalSums(x.as<float>(), c.rows, c.length, c.all);
    for (const char *name : {"native", "haswell"}) {
      const Tensor got = runKernel(asKernel(*module, "rows"), *parseCpuTarget(name), {x}, 1)[0];
      for (int64_t i = 0; i < got.elements(); ++i)
        ASSERT_EQ(got.as<float>()[i], want[i])
            << c.rows << " x " << c.length << ", element " << i << ", " << name;
    }
  }
}

TEST(CpuKernel, SoftmaxRow) {
  for (const char *type : {"f32[32,10]<n16>", "f32[5,10]<n16>", "f32[5,10]", "f32[7,100]", "f32[32,40]"}) {
    std::string shape(type), rows = shape.substr(4, shape.find(',') - 4);
    std::string plain = shape.substr(3, shape.find(']') - 2);
    check(fmt::format("func @f(%x: {0}) -> ({0}, f32[{1}], f32[{1},1]) {{\n"
                      " %m = reduce_max(%x) {{axes = [1]}} : f32[{1}]\n"
                      " %b = broadcast(%m) {{axes = [0], shape = {2}}} : {0}\n"
                      " %d = sub(%x, %b) : {0}\n %e = exp(%d) : {0}\n"
                      " %s = reduce_sum(%e) {{axes = [1]}} : f32[{1}]\n"
                      " %t = broadcast(%s) {{axes = [0], shape = {2}}} : {0}\n"
                      " %y = div(%e, %t) : {0}\n %l = log(%s) : f32[{1}]\n"
                      " %k = reduce_min(%x) {{axes = [1], keep_dims = true}} : f32[{1},1]\n"
                      " return %y, %l, %k\n}}",
                      type, rows, plain),
          "rows", 5e-6);
  }
}

TEST(CpuKernel, ContractionsOnTheSpot) {
  for (const char *type : {"f32", "f64"}) {
    check(fmt::format("func @f(%a: {0}[5,7], %b: {0}[7,20]) -> {0}[5,20] {{\n"
                      " %y = matmul(%a, %b) : {0}[5,20]\n return %y\n}}",
                      type),
          "map", 1e-5);
    check(fmt::format(
              "func @f(%a: {0}[3,7,5], %b: {0}[3,20,7]) -> {0}[3,5,20] {{\n"
              " %y = matmul(%a, %b) {{transpose_a = true, transpose_b = true}} : {0}[3,5,20]\n return %y\n}}",
              type),
          "map", 1e-5);
  }
  struct Case {
    int n, c, f, groups, oh, ow;
    const char *attrs;
  };
  for (Case k : {Case{3, 4, 6, 1, 6, 5, ""}, Case{3, 4, 6, 2, 4, 4, "stride = [2,2], padding = [1,1,1,1], "},
                 Case{16, 2, 3, 1, 6, 5, "padding = [1,1,0,0], dilation = [2,1], "}}) {
    std::string x = fmt::format("f32[{},{},8,7]", k.n, k.c),
                w = fmt::format("f32[{},{},3,3]", k.f, k.c / k.groups);
    std::string y = fmt::format("f32[{},{},{},{}]", k.n, k.f, k.oh, k.ow);
    std::string attrs = fmt::format("{}groups = {}", k.attrs, k.groups);
    check(fmt::format("func @f(%x: {}, %w: {}) -> {} {{\n %y = conv2d(%x, %w) {{{}}} : {}\n return %y\n}}", x,
                      w, y, attrs, y),
          "map", 1e-5);
    check(fmt::format(
              "func @f(%d: {}, %w: {}) -> {} {{\n %y = conv2d_grad_input(%d, %w) {{input = [8,7], {}}} : {}\n"
              " return %y\n}}",
              y, w, x, attrs, x),
          "map", 1e-5);
    check(
        fmt::format(
            "func @f(%x: {}, %d: {}) -> {} {{\n %y = conv2d_grad_weight(%x, %d) {{kernel = [3,3], {}}} : {}\n"
            " return %y\n}}",
            x, y, w, attrs, w),
        "map", 1e-4);
  }
}

TEST(CpuKernel, Multi) {
  check("func @f(%w: f32[500], %g: f32[500], %b: f32[10], %c: f32[10], %lr: f32[]) -> (f32[500], f32[10]) {\n"
        " %r = broadcast(%lr) {axes = [], shape = [500]} : f32[500]\n %d = mul(%r, %g) : f32[500]\n"
        " %v = sub(%w, %d) : f32[500]\n %q = broadcast(%lr) {axes = [], shape = [10]} : f32[10]\n"
        " %e = mul(%q, %c) : f32[10]\n %u = sub(%b, %e) : f32[10]\n return %v, %u\n}",
        "multi");
}

} // namespace
} // namespace gradc
