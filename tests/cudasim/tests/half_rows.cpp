#include "rows.h"

namespace cudasim::test {

// f16: 1 = 3C00, 2 = 4000, 3 = 4200, .5 = 3800. bf16: 1 = 3F80, 2 = 4000, 3 = 4040, .5 = 3F00.
std::vector<Row> halfRows() {
  return {
      {"add.f16 d, a, b;",
       "f16 f16 f16",
       {{0x3C00, 0x6800}, {0x4000, 0x3C00}},
       {0x4200, 0x6800}}, // 2048 + 1 = 2048
      {"add.rn.f16 d, a, b;", "f16 f16 f16", {{0x3C00}, {0x3C00}}, {0x4000}},
      {"add.sat.f16 d, a, b;", "f16 f16 f16", {{0x3C00}, {0x3C00}}, {0x3C00}},
      {"add.ftz.f16 d, a, b;", "f16 f16 f16", {{0x0001}, {0x0001}}, {0}},
      {"add.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x3C004000}, {0x40003C00}}, {0x42004200}},
      {"add.ftz.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x3C000001}, {0x40000001}}, {0x42000000}},
      {"add.bf16 d, a, b;", "bf16 bf16 bf16", {{0x3F80}, {0x4000}}, {0x4040}, 90},
      {"add.bf16x2 d, a, b;", "bf16x2 bf16x2 bf16x2", {{0x3F804000}, {0x40003F80}}, {0x40404040}, 90},
      {"sub.f16 d, a, b;", "f16 f16 f16", {{0x4200}, {0x3C00}}, {0x4000}},
      {"sub.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x42004000}, {0x3C003C00}}, {0x40003C00}},
      {"sub.bf16 d, a, b;", "bf16 bf16 bf16", {{0x4040}, {0x3F80}}, {0x4000}, 90},
      {"sub.bf16x2 d, a, b;", "bf16x2 bf16x2 bf16x2", {{0x40404000}, {0x3F803F80}}, {0x40003F80}, 90},
      {"mul.f16 d, a, b;", "f16 f16 f16", {{0x4200, 0x7BFF}, {0x3800, 0x4000}}, {0x3E00, 0x7C00}},
      {"mul.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x42003C00}, {0x38004000}}, {0x3E004000}},
      {"mul.bf16 d, a, b;", "bf16 bf16 bf16", {{0x4040}, {0x3F00}}, {0x3FC0}, 90},
      {"mul.bf16x2 d, a, b;", "bf16x2 bf16x2 bf16x2", {{0x40403F80}, {0x3F004000}}, {0x3FC04000}, 90},
      // 1 + 3 * 2^-10 times itself, minus 1: with the product rounded it would be 1E00.
      {"fma.rn.f16 d, a, b, c;", "f16 f16 f16 f16", {{0x3C03}, {0x3C03}, {0xBC00}}, {0x1E02}},
      {"fma.rn.sat.f16 d, a, b, c;", "f16 f16 f16 f16", {{0x4000}, {0x4000}, {0}}, {0x3C00}},
      {"fma.rn.relu.f16 d, a, b, c;", "f16 f16 f16 f16", {{0x4000}, {0x3C00}, {0xC200}}, {0}},
      {"fma.rn.f16x2 d, a, b, c;",
       "f16x2 f16x2 f16x2 f16x2",
       {{0x3C034000}, {0x3C034000}, {0xBC003C00}},
       {0x1E024500}},
      {"fma.rn.bf16 d, a, b, c;", "bf16 bf16 bf16 bf16", {{0x4000}, {0x4000}, {0x3F80}}, {0x40A0}},
      {"fma.rn.bf16x2 d, a, b, c;",
       "bf16x2 bf16x2 bf16x2 bf16x2",
       {{0x40003F80}, {0x40003F80}, {0x3F803F80}},
       {0x40A04000}},
      {"min.f16 d, a, b;", "f16 f16 f16", {{0x3C00, 0x7E00}, {0x4000, 0x4000}}, {0x3C00, 0x4000}},
      {"min.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x3C004200}, {0x40004000}}, {0x3C004000}},
      {"min.bf16 d, a, b;", "bf16 bf16 bf16", {{0x3F80}, {0x4000}}, {0x3F80}},
      {"min.bf16x2 d, a, b;", "bf16x2 bf16x2 bf16x2", {{0x3F804040}, {0x40004000}}, {0x3F804000}},
      {"max.f16 d, a, b;", "f16 f16 f16", {{0x3C00}, {0x4000}}, {0x4000}},
      {"max.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x3C004200}, {0x40004000}}, {0x40004200}},
      {"max.NaN.f16x2 d, a, b;", "f16x2 f16x2 f16x2", {{0x7E004200}, {0x40004000}}, {0x7FFF4200}},
      {"max.bf16 d, a, b;", "bf16 bf16 bf16", {{0x3F80}, {0x4000}}, {0x4000}},
      {"max.bf16x2 d, a, b;", "bf16x2 bf16x2 bf16x2", {{0x3F804040}, {0x40004000}}, {0x40004040}},
      {"neg.f16 d, a;", "f16 f16", {{0x3C00}}, {0xBC00}},
      {"neg.f16x2 d, a;", "f16x2 f16x2", {{0x3C00C000}}, {0xBC004000}},
      {"neg.bf16 d, a;", "bf16 bf16", {{0x3F80}}, {0xBF80}},
      {"neg.bf16x2 d, a;", "bf16x2 bf16x2", {{0x3F80C000}}, {0xBF804000}},
      {"abs.f16 d, a;", "f16 f16", {{0xBC00}}, {0x3C00}},
      {"abs.f16x2 d, a;", "f16x2 f16x2", {{0xBC00C000}}, {0x3C004000}},
      {"abs.bf16x2 d, a;", "bf16x2 bf16x2", {{0xBF80C000}}, {0x3F804000}},
      {"ex2.approx.f16 d, a;", "f16 f16", {{0x3C00, 0}}, {0x4000, 0x3C00}},
      {"ex2.approx.f16x2 d, a;", "f16x2 f16x2", {{0x3C000000}}, {0x40003C00}},
      {"ex2.approx.ftz.bf16 d, a;", "bf16 bf16", {{0x3F80}}, {0x4000}, 90},
      {"ex2.approx.ftz.bf16x2 d, a;", "bf16x2 bf16x2", {{0x3F800000}}, {0x40003F80}, 90},
      {"tanh.approx.f16 d, a;", "f16 f16", {{0x7C00, 0}}, {0x3C00, 0}},
      {"tanh.approx.f16x2 d, a;", "f16x2 f16x2", {{0x7C00FC00}}, {0x3C00BC00}},
      {"tanh.approx.bf16 d, a;", "bf16 bf16", {{0x7F80}}, {0x3F80}, 90},
      {"tanh.approx.bf16x2 d, a;", "bf16x2 bf16x2", {{0x7F80FF80}}, {0x3F80BF80}, 90},
  };
}

} // namespace cudasim::test
