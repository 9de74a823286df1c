#include "codegen/cuda/prelude.h"

#include <cctype>
#include <span>
#include <vector>

#include "codegen/cuda/text.h"
#include "codegen/elementary.h"
#include "support/philox.h"

namespace gradc {
namespace {

namespace el = elementary;

std::string f32(double value) { return cudaLiteral(DType::F32, value); }
std::string f64(double value) { return cudaLiteral(DType::F64, value); }

/// Horner's scheme, highest power first.
std::string polynomial(DType dtype, std::string_view x, std::span<const double> coefficients) {
  std::string p;
  for (double k : coefficients)
    p = p.empty() ? cudaLiteral(dtype, k)
                  : fmt::format("{}({}, {}, {})", dtype == DType::F32 ? "fmaf" : "fma", p, x,
                                cudaLiteral(dtype, k));
  return p;
}

/// n = rint(factor * x) by adding kRounder.
std::string nearestText(std::string_view x, double factor) {
  return fmt::format("  const float rounder = fmaf({}, {}, {}), n = rounder - {};\n", x, f32(factor),
                     f32(el::kRounder), f32(el::kRounder));
}

std::string expText() {
  return fmt::format(
      R"(// e^x = 2^n * e^r with |r| <= ln 2 / 2; 2^n in two factors, so that denormal results round once.
DEVICE float exp_f32(float x) {{
  x = {highest} < x ? {highest} : x;
  x = {lowest} > x ? {lowest} : x;
{nearest}  float r = fmaf(n, {high}, x);
  r = fmaf(n, {low}, r);
  const float p = {p};
  const int sum = __float_as_int(rounder) - {bits}, half = sum >> 1;
  return p * __int_as_float(half << 23) * __int_as_float((sum - half) << 23);
}}
)",
      fmt::arg("highest", f32(el::kExpHighest)), fmt::arg("lowest", f32(el::kExpLowest)),
      fmt::arg("nearest", nearestText("x", el::kLog2E)), fmt::arg("high", f32(-el::kLn2High)),
      fmt::arg("low", f32(-el::kLn2Low)), fmt::arg("p", polynomial(DType::F32, "r", el::kExp)),
      fmt::arg("bits", el::kRounderBits - 254));
}

std::string logText() {
  return fmt::format(
      R"(// log x = log m + k * log 2 with m in [sqrt(1/2), sqrt(2)).
DEVICE float log_f32(float x) {{
  const bool denormal = x < {smallest};
  const float scaled = denormal ? x * {scale} : x;
  const int i = int(unsigned(__float_as_int(scaled)) - {half}u);
  const float m = __int_as_float((i & 0x7fffff) + {half});
  float k = float(i >> 23);
  k = denormal ? k - {shift} : k;
  const float f = m - 1.0f, z = f * f;
  float y = {p};
  y = f * z * y;
  y = fmaf(k, {low}, y);
  y = fmaf(z, -0.5f, y);
  float r = fmaf(k, {high}, f + y);
  r = x == INFINITY ? x : r;
  r = x == 0.0f ? -INFINITY : r;
  return x >= 0.0f ? r : NAN;
}}
)",
      fmt::arg("smallest", f32(el::kSmallestNormal)), fmt::arg("scale", f32(el::kDenormalScale)),
      fmt::arg("half", el::kSqrtHalfBits), fmt::arg("shift", f32(el::kDenormalShift)),
      fmt::arg("p", polynomial(DType::F32, "f", el::kLog)), fmt::arg("low", f32(el::kLn2Low)),
      fmt::arg("high", f32(el::kLn2High)));
}

template <size_t kSegments>
std::string piecewiseText(std::string_view name, const el::Piecewise<kSegments> &f) {
  std::string rows;
  for (const auto &row : f.rows) {
    std::string numbers;
    for (float number : row)
      numbers += (numbers.empty() ? "" : ", ") + f32(number);
    rows += fmt::format("  {{{}}},\n", numbers);
  }
  return fmt::format(
      R"(// A polynomial for each segment: its centre, and the coefficients from the highest power on.
static __device__ const float {name}_rows[{count}][{segments}] = {{
{rows}}};
DEVICE float {name}_f32(float x) {{
  float t = fabsf(x);
  t = {highest} < t ? {highest} : t;
  const float root = fmaf(t, {slope}, {offset});
  const int segment = __float_as_int(fmaf(-root, root, {rounder})) & {segments} - 1;
  const float r = t - {name}_rows[0][segment];
  float p = {name}_rows[1][segment];
#pragma unroll
  for (int i = 2; i < {last}; ++i)
    p = fmaf(p, r, {name}_rows[i][segment]);
  return copysignf(fmaf(p, r, {t}{name}_rows[{last}][segment]), x);
}}
)",
      fmt::arg("name", name), fmt::arg("count", f.rows.size()), fmt::arg("segments", kSegments),
      fmt::arg("rows", rows), fmt::arg("highest", f32(f.highest)), fmt::arg("slope", f32(f.slope)),
      fmt::arg("offset", f32(-f.offset)), fmt::arg("rounder", f32(f.kLowBits)),
      fmt::arg("last", f.rows.size() - 1), fmt::arg("t", f.addsT ? "t + " : ""));
}

std::string powText() {
  return fmt::format(
      R"(// |x|^y in f64 precision.
DEVICE double log2_f64(double x) {{
  const long long i = (long long)(Unsigned64(__double_as_longlong(x)) - {half}ull);
  const double m = __longlong_as_double((i & {mantissa}ll) + {half}ll);
  const double k = double(i >> 52), f = m - 1.0;
  const double s = f / (f + 2.0), z = s * s;
  return fma(s * {log}, {twoLog2e}, k);
}}
DEVICE double exp2_f64(double t) {{
  const double n = rint(t), r = (t - n) * {ln2};
  const double p = {exp};
  return __longlong_as_double(__double_as_longlong(p) + ((long long)(n) << 52));
}}
DEVICE float pow_f32(float x, float y) {{
  const float magnitude = fabsf(x);
  double log = log2_f64(double(magnitude));
  log = magnitude == 0.0f ? -double(INFINITY) : magnitude == INFINITY ? double(INFINITY) : log;
  double t = double(y) * log;
  t = t == t ? t : 0.0;
  t = {bound} < t ? {bound} : t;
  t = -{bound} > t ? -{bound} : t;
  return pow_cases(x, y, float(exp2_f64(t)));
}}
)",
      fmt::arg("half", el::kSqrtHalfBitsF64), fmt::arg("mantissa", el::kMantissaF64),
      fmt::arg("log", polynomial(DType::F64, "z", el::kLog2F64)), fmt::arg("twoLog2e", f64(el::kTwoLog2E)),
      fmt::arg("ln2", f64(el::kLn2)), fmt::arg("exp", polynomial(DType::F64, "r", el::kExp2F64)),
      fmt::arg("bound", f64(el::kPowBound)));
}

/// The same for every type that arithmetic is done in.
std::string forTypes(std::string_view form) {
  std::string text;
  for (const char *type : {"float", "double", "int", "long long"})
    text += fmt::format(fmt::runtime(form), fmt::arg("T", type));
  return text;
}

std::string philoxText() {
  return fmt::format(
      R"(// Philox 4x32-10: four words for one (key, step, group).
DEVICE uint4 philox(Unsigned64 key, Unsigned64 step, Unsigned64 group) {{
  uint4 c = {{unsigned(group), unsigned(group >> 32), unsigned(step), unsigned(step >> 32)}};
  unsigned k0 = unsigned(key), k1 = unsigned(key >> 32);
#pragma unroll
  for (int round = 0; round < {rounds}; ++round) {{
    const Unsigned64 p0 = Unsigned64({m0}u) * c.x, p1 = Unsigned64({m1}u) * c.z;
    c = {{unsigned(p1 >> 32) ^ c.y ^ k0, unsigned(p1), unsigned(p0 >> 32) ^ c.w ^ k1, unsigned(p0)}};
    k0 += {w0}u;
    k1 += {w1}u;
  }}
  return c;
}}
)",
      fmt::arg("rounds", kPhiloxRounds), fmt::arg("m0", kPhiloxMultiplier0),
      fmt::arg("m1", kPhiloxMultiplier1), fmt::arg("w0", kPhiloxWeyl0), fmt::arg("w1", kPhiloxWeyl1));
}

/// sums += a · b, fragments of a warp.
std::string mmaText(std::string_view name, std::string_view shape, std::string_view type, int a, int b) {
  std::string registers, inputs;
  int number = 4;
  auto list = [&](std::string_view factor, int count) {
    registers += ", {";
    for (int i = 0; i < count; ++i) {
      registers += fmt::format("{}%{}", i == 0 ? "" : ", ", number++);
      inputs += fmt::format("{}\"r\"({}[{}])", inputs.empty() ? "" : ", ", factor, i);
    }
    registers += "}";
  };
  list("a", a);
  list("b", b);
  return fmt::format(
      "DEVICE void {}(float (&d)[4], const unsigned (&a)[{}], const unsigned (&b)[{}]) {{\n"
      "  asm(\"mma.sync.aligned.{}.row.col.f32.{}.{}.f32 {{%0, %1, %2, %3}}{}, {{%0, %1, %2, %3}};\"\n"
      "      : \"+f\"(d[0]), \"+f\"(d[1]), \"+f\"(d[2]), \"+f\"(d[3]) : {});\n}}\n",
      name, a, b, shape, type, type, registers, inputs);
}

/// A value is stored at once, unless what is there is copied. (As asm of one predicate each would branch.)
std::string storeUnlessText(std::string_view name, std::string_view stored) {
  return fmt::format(
      "DEVICE void {}(unsigned to, int there, float x) {{\n"
      "  if (!there)\n    asm volatile(\"st.shared.{};\" ::\"r\"(to), \"f\"(x) : \"memory\");\n}}\n",
      name, stored);
}
std::string copyIfText(std::string_view name, std::string_view copy) {
  return fmt::format(
      "DEVICE void {}(unsigned to, const float *from, int there) {{\n  if (there)\n    {}(to, from);\n}}\n",
      name, copy);
}

/// A copy of so many bytes, or zeros: one instruction without a branch.
std::string copyOrZeroText(std::string_view name, std::string_view copy, int bytes) {
  return fmt::format("DEVICE void {}(unsigned to, const float *from, int there) {{\n"
                     "  asm volatile(\"{}.shared.global [%0], [%1], {}, %2;\" ::\"r\"(to), \"l\"(from), "
                     "\"r\"(there * {}) : \"memory\");\n}}\n",
                     name, copy, bytes, bytes);
}

/// For several rows, sum + a * x, or sum where x is a hole; or where a number given is 0.
std::string fmaPresentText(int rows, bool given) {
  std::string factors, sums, outputs, inputs, code;
  for (int i = 0; i < rows; ++i) {
    factors += fmt::format("float a{}, ", i);
    sums += fmt::format(", float &s{}", i);
    outputs += fmt::format("{}\"+f\"(s{})", i == 0 ? "" : ", ", i);
    inputs += fmt::format("\"f\"(a{}), ", i);
    code += fmt::format("@p fma.rn.f32 %{0}, %{1}, %{2}, %{0}; ", i, rows + i, 2 * rows);
  }
  if (given)
    return fmt::format("// s + a * x, or s where `present` is 0.\n"
                       "DEVICE void fma_where{}(unsigned present, {}float x{}) {{\n"
                       "  asm(\"{{.reg .pred p; setp.ne.u32 p, %{}, 0; {}}}\"\n"
                       "      : {} : {}\"f\"(x), \"r\"(present));\n}}\n",
                       rows, factors, sums, 2 * rows + 1, code, outputs, inputs);
  return fmt::format("// s + a * x, or s where x is a hole.\n"
                     "DEVICE void fma_present{}({}float x{}) {{\n"
                     "  asm(\"{{.reg .pred p; setp.ne.b32 p, %{}, 0x7fa5c3e1; {}}}\"\n"
                     "      : {} : {}\"f\"(x));\n}}\n",
                     rows, factors, sums, 2 * rows, code, outputs, inputs);
}

struct Definition {
  std::string_view name; // by which code calls it
  std::string text;
};

/// A definition comes after those that it uses.
std::vector<Definition> definitions() {
  return {
      {"maximum", "// NaN where either is NaN; the second of equals.\n" +
                      forTypes("DEVICE {T} maximum({T} a, {T} b) {{ return a > b || a != a ? a : b; }}\n")},
      {"minimum", forTypes("DEVICE {T} minimum({T} a, {T} b) {{ return a < b || a != a ? a : b; }}\n")},
      {"sign", "DEVICE float sign(float x) { return x != x ? x : x == 0.0f ? 0.0f : copysignf(1.0f, x); }\n"
               "DEVICE double sign(double x) { return x != x ? x : x == 0.0 ? 0.0 : copysign(1.0, x); }\n"
               "DEVICE int sign(int x) { return (x > 0) - (x < 0); }\n"
               "DEVICE long long sign(long long x) { return (x > 0) - (x < 0); }\n"},
      {"wrap_add", "DEVICE int wrap_add(int a, int b) { return int(unsigned(a) + unsigned(b)); }\n"
                   "DEVICE long long wrap_add(long long a, long long b) {\n"
                   "  return (long long)(Unsigned64(a) + Unsigned64(b));\n}\n"},
      {"wrap_sub", "DEVICE int wrap_sub(int a, int b) { return int(unsigned(a) - unsigned(b)); }\n"
                   "DEVICE long long wrap_sub(long long a, long long b) {\n"
                   "  return (long long)(Unsigned64(a) - Unsigned64(b));\n}\n"},
      {"wrap_mul", "DEVICE int wrap_mul(int a, int b) { return int(unsigned(a) * unsigned(b)); }\n"
                   "DEVICE long long wrap_mul(long long a, long long b) {\n"
                   "  return (long long)(Unsigned64(a) * Unsigned64(b));\n}\n"},
      {"clamp_index",
       "DEVICE int clamp_index(int i, int most) { return i < 0 ? 0 : i > most ? most : i; }\n"},
      {"exp_f32", expText()},
      {"log_f32", logText()},
      {"tanh_f32", piecewiseText("tanh", el::kTanh)},
      {"erf_f32", piecewiseText("erf", el::kErf)},
      {"pow_cases", "// The sign of |x|^y, which r is, and the cases that C's pow names.\n"
                    "template <class T> DEVICE T pow_cases(T x, T y, T r) {\n"
                    "  const T half = y * T(0.5), infinite = T(INFINITY);\n"
                    "  const bool is_inf = x == infinite || x == -infinite;\n"
                    "  const bool is_whole = floor(y) == y, is_odd = is_whole && floor(half) != half;\n"
                    "  r = is_odd ? copysign(r, x) : r;\n"
                    "  r = (x < T(0) && !(is_whole || is_inf)) || x != x || y != y ? T(NAN) : r;\n"
                    "  const bool even = x == T(-1) && (y == infinite || y == -infinite);\n"
                    "  return x == T(1) || y == T(0) || even ? T(1) : r;\n}\n"},
      {"pow_f32", powText()},
      {"pow_f64",
       "// The library's pow is no inline code. The error grows with |y log x|, to 1e-13 of the result.\n"
       "DEVICE double pow_f64(double x, double y) {\n"
       "  const double t = y * log(fabs(x));\n"
       "  return pow_cases(x, y, exp(t == t ? t : 0.0));\n}\n"},
      {"philox", philoxText()},
      {"philox_word", "DEVICE unsigned philox_word(uint4 words, int i) {\n"
                      "  return i == 0 ? words.x : i == 1 ? words.y : i == 2 ? words.z : words.w;\n}\n"},
      {"bf16_from_f32",
       "// To nearest even; a NaN stays one.\n"
       "DEVICE unsigned short bf16_from_f32(float x) {\n"
       "  const unsigned bits = __float_as_uint(x);\n"
       "  const unsigned kept = x != x ? bits | 0x400000u : bits + (bits >> 16 & 1u) + 0x7fffu;\n"
       "  return (unsigned short)(kept >> 16);\n}\n"},
      {"f32_from_bf16",
       "DEVICE float f32_from_bf16(unsigned short x) { return __uint_as_float(unsigned(x) << 16); }\n"},
      {"f16_from_f32", "DEVICE unsigned short f16_from_f32(float x) {\n  unsigned short y;\n"
                       "  asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(y) : \"f\"(x));\n  return y;\n}\n"},
      {"f16_from_f64", "DEVICE unsigned short f16_from_f64(double x) {\n  unsigned short y;\n"
                       "  asm(\"cvt.rn.f16.f64 %0, %1;\" : \"=h\"(y) : \"d\"(x));\n  return y;\n}\n"},
      {"f32_from_f16", "DEVICE float f32_from_f16(unsigned short x) {\n  float y;\n"
                       "  asm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(y) : \"h\"(x));\n  return y;\n}\n"},
      {"to_i32", "// Towards zero, into the range; NaN gives 0.\n"
                 "DEVICE int to_i32(float x) { return x != x ? 0 : __float2int_rz(x); }\n"
                 "DEVICE int to_i32(double x) { return x != x ? 0 : __double2int_rz(x); }\n"},
      {"to_i64", "DEVICE long long to_i64(float x) { return x != x ? 0 : __float2ll_rz(x); }\n"
                 "DEVICE long long to_i64(double x) { return x != x ? 0 : __double2ll_rz(x); }\n"},
      {"to_i8",
       "DEVICE signed char to_i8(double x) {\n"
       "  return x != x ? 0 : (signed char)(int(x < -128.0 ? -128.0 : x > 127.0 ? 127.0 : x));\n}\n"},
      {"to_u8", "DEVICE unsigned char to_u8(double x) {\n"
                "  return x != x ? 0 : (unsigned char)(int(x < 0.0 ? 0.0 : x > 255.0 ? 255.0 : x));\n}\n"},
      {"argmax_take",
       "// Takes x, number i, where it is larger than the best: the first of equals, a NaN over all.\n"
       "template <class T> DEVICE void argmax_take(T x, int i, T &best, int &number) {\n"
       "  const bool nan = x != x, best_nan = best != best;\n"
       "  const bool equal = x == best || (nan && best_nan);\n"
       "  if (x > best || (nan && !best_nan) || (equal && i < number)) {\n"
       "    best = x;\n    number = i;\n  }\n}\n"},
      {"argmax16", "// Of 16 neighbouring lanes; all get the number.\n"
                   "template <class T> DEVICE int argmax16(T best, int number) {\n"
                   "#pragma unroll\n"
                   "  for (int h = 8; h > 0; h /= 2) {\n"
                   "    const T other = __shfl_xor_sync(0xffffffffu, best, h);\n"
                   "    argmax_take(other, __shfl_xor_sync(0xffffffffu, number, h), best, number);\n"
                   "  }\n"
                   "  return number;\n}\n"},
      {"shared_address",
       "DEVICE unsigned shared_address(const void *p) { return unsigned(__cvta_generic_to_shared(p)); }\n"},
      {"put4",
       "// Of 16 aligned bytes in shared memory; an assignment may be taken apart, which meets banks twice.\n"
       "DEVICE void put4(float *to, float4 x) {\n"
       "  asm volatile(\"st.shared.v4.f32 [%0], {%1, %2, %3, %4};\" ::\"r\"(shared_address(to)), "
       "\"f\"(x.x), \"f\"(x.y), \"f\"(x.z), \"f\"(x.w) : \"memory\");\n}\n"},
      {"copy_async", "// From global to shared memory; landed after async_wait and a barrier.\n"
                     "DEVICE void copy_async(unsigned to, const float *from) {\n"
                     "  asm volatile(\"cp.async.ca.shared.global [%0], [%1], 4;\" ::\"r\"(to), "
                     "\"l\"(from) : \"memory\");\n}\n"},
      {"copy_async4", "// 16 aligned bytes.\n"
                      "DEVICE void copy_async4(unsigned to, const float *from) {\n"
                      "  asm volatile(\"cp.async.cg.shared.global [%0], [%1], 16;\" ::\"r\"(to), "
                      "\"l\"(from) : \"memory\");\n}\n"},
      {"copy_async_if", copyIfText("copy_async_if", "copy_async")},
      {"copy_async4_if", copyIfText("copy_async4_if", "copy_async4")},
      {"store_unless", storeUnlessText("store_unless", "f32 [%0], %1")},
      {"store4_unless", storeUnlessText("store4_unless", "v4.f32 [%0], {%1, %1, %1, %1}")},
      {"copy_async_or_zero", copyOrZeroText("copy_async_or_zero", "cp.async.ca", 4)},
      {"copy_async4_or_zero", copyOrZeroText("copy_async4_or_zero", "cp.async.cg", 16)},
      {"kept",
       "// What is computed here, once, and not again in a loop to come.\n"
       "DEVICE const float *kept(const float *x) {\n  asm volatile(\"\" : \"+l\"(x));\n  return x;\n}\n"},
      {"float4_of", "DEVICE float4 float4_of(float x) { return make_float4(x, x, x, x); }\n"},
      {"async_commit",
       "DEVICE void async_commit() { asm volatile(\"cp.async.commit_group;\" ::: \"memory\"); }\n"},
      {"async_wait", "// Until at most `Groups` of the thread's latest are under way.\n"
                     "template <int Groups> DEVICE void async_wait() {\n"
                     "  asm volatile(\"cp.async.wait_group %0;\" ::\"n\"(Groups) : \"memory\");\n}\n"},
      {"hole", "// What stands for an absent tap: a NaN that no arithmetic makes.\n"
               "DEVICE float hole() { return __int_as_float(0x7fa5c3e1); }\n"},
      {"fma_present2", fmaPresentText(2, false)},
      {"fma_present4", fmaPresentText(4, false)},
      {"fma_where2", fmaPresentText(2, true)},
      {"fma_where4", fmaPresentText(4, true)},
      {"tf32", "DEVICE unsigned tf32(float x) {\n  unsigned y;\n"
               "  asm(\"cvt.rna.tf32.f32 %0, %1;\" : \"=r\"(y) : \"f\"(x));\n  return y;\n}\n"},
      {"bf16_pair",
       "DEVICE unsigned bf16_pair(float low, float high) {\n  unsigned y;\n"
       "  asm(\"cvt.rn.bf16x2.f32 %0, %1, %2;\" : \"=r\"(y) : \"f\"(high), \"f\"(low));\n  return y;\n}\n"},
      {"f16_pair", "DEVICE unsigned f16_pair(float low, float high) {\n"
                   "  return unsigned(f16_from_f32(low)) | unsigned(f16_from_f32(high)) << 16;\n}\n"},
      {"mma_tf32", mmaText("mma_tf32", "m16n8k8", "tf32", 4, 2)},
      {"mma_bf16", mmaText("mma_bf16", "m16n8k16", "bf16", 4, 2)},
      {"mma_f16", mmaText("mma_f16", "m16n8k16", "f16", 4, 2)},
      {"mma_f16_short", mmaText("mma_f16_short", "m16n8k8", "f16", 2, 1)},
      {"tree16", "// p[j] += p[j + h] for h = 8, 4, 2, 1 on the partial sums of 16 neighbouring lanes; all "
                 "get the sum.\n"
                 "template <class T, class Combine> DEVICE T tree16(T x, Combine combine) {\n"
                 "#pragma unroll\n"
                 "  for (int h = 8; h > 0; h /= 2) {\n"
                 "    const T other = __shfl_xor_sync(0xffffffffu, x, h);\n"
                 "    const bool upper = threadIdx.x & h;\n"
                 "    x = combine(upper ? other : x, upper ? x : other);\n"
                 "  }\n"
                 "  return x;\n}\n"},
  };
}

bool isWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

bool calls(std::string_view code, std::string_view name) {
  for (size_t at = code.find(name); at != std::string_view::npos; at = code.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !isWord(code[at - 1])) && end < code.size() && (code[end] == '(' || code[end] == '<'))
      return true;
  }
  return false;
}

} // namespace

std::string cudaPrelude(std::string_view code) {
  const std::vector<Definition> all = definitions();
  std::vector<bool> used(all.size());
  for (size_t i = all.size(); i-- > 0;) {
    used[i] = calls(code, all[i].name);
    for (size_t user = i + 1; user < all.size(); ++user)
      used[i] = used[i] || (used[user] && calls(all[user].text, all[i].name));
  }
  std::string text = "#define INFINITY __int_as_float(0x7f800000)\n"
                     "#define NAN __int_as_float(0x7fc00000)\n"
                     "#define DEVICE __device__ __forceinline__\n"
                     "using Unsigned64 = unsigned long long;\n\n";
  for (size_t i = 0; i < all.size(); ++i)
    if (used[i])
      text += all[i].text + "\n";
  return text;
}

} // namespace gradc
