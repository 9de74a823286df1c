#include "machine/decoder.h"
#include "machine/float.h"
#include "machine/rounding.h"

namespace cudasim {
namespace {

double add(double a, double b) { return a + b; }
double sub(double a, double b) { return a - b; }
double mul(double a, double b) { return a * b; }
double divide(double a, double b) { return a / b; }
double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
double reciprocal(double a) { return 1.0 / a; }
double root(double a) { return std::sqrt(a); }
double negate(double a) { return -a; }
double absolute(double a) { return std::fabs(a); }
double minimum(double a, double b) { return a < b || b != b || (a == b && std::signbit(a)) ? a : b; }
double maximum(double a, double b) { return a > b || b != b || (a == b && std::signbit(b)) ? a : b; }
double copySign(double a, double b) { return std::copysign(b, a); } // the sign of a, the magnitude of b

using D = double;

Handler handlerOf(std::string_view opcode) {
  struct Row {
    std::string_view opcode;
    Handler run;
  };
  static constexpr Row kRows[] = {
      {"add", binary<D, D, D, add>},
      {"sub", binary<D, D, D, sub>},
      {"mul", binary<D, D, D, mul>},
      {"div", binary<D, D, D, divide>},
      {"fma", ternary<D, D, D, D, fused>},
      {"mad", ternary<D, D, D, D, fused>},
      {"rcp", unary<D, D, reciprocal>},
      {"sqrt", unary<D, D, root>},
      {"neg", unary<D, D, negate>},
      {"abs", unary<D, D, absolute>},
      {"min", binary<D, D, D, minimum>},
      {"max", binary<D, D, D, maximum>},
      {"copysign", binary<D, D, D, copySign>},
  };
  for (const Row &row : kRows)
    if (row.opcode == opcode)
      return row.run;
  return nullptr;
}

void decode(Form &f, size_t count, bool rounded) {
  int rounding = rounded ? f.takeOneOf({"rn", "rz", "rm", "rp"}) : 0;
  f.takeType({Type::F64});
  f.expectOperands(count);
  f.inst.slots[0] = f.destination(0, Type::F64);
  for (size_t k = 1; k < count; ++k)
    f.inst.slots[k] = f.source(k, Type::F64);
  f.inst.run = rounding > 0 ? directed64(f.opcode(), rounding, f.inst) : handlerOf(f.opcode());
}

void decodeTwo(Form &f) { decode(f, 3, true); }
void decodeThree(Form &f) { decode(f, 4, true); }
void decodeOne(Form &f) { decode(f, 2, true); }
void decodeReciprocal(Form &f) { f.has("approx") ? decodeApproximate64(f) : decodeOne(f); }
void decodeSign(Form &f) { decode(f, 2, false); }
void decodeExtremum(Form &f) { decode(f, 3, false); }

} // namespace

std::span<const Family> float64Families() {
  static constexpr OpClass kDouble = OpClass::Double;
  static constexpr Family kFamilies[] = {
      {"add", Data::F64, kDouble, decodeTwo},           {"sub", Data::F64, kDouble, decodeTwo},
      {"mul", Data::F64, kDouble, decodeTwo},           {"div", Data::F64, kDouble, decodeTwo},
      {"fma", Data::F64, kDouble, decodeThree},         {"mad", Data::F64, kDouble, decodeThree},
      {"rcp", Data::F64, kDouble, decodeReciprocal},    {"sqrt", Data::F64, kDouble, decodeOne},
      {"neg", Data::F64, kDouble, decodeSign},          {"abs", Data::F64, kDouble, decodeSign},
      {"min", Data::F64, kDouble, decodeExtremum},      {"max", Data::F64, kDouble, decodeExtremum},
      {"copysign", Data::F64, kDouble, decodeExtremum},
  };
  return kFamilies;
}

} // namespace cudasim
