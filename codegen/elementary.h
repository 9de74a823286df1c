// The numbers of exp, log, tanh and erf in f32 and of pow: one algorithm for all targets and widths, so that bits are
// the same. Polynomials have the highest power first and are evaluated by Horner's scheme in fused multiply-adds.
// codegen/cpu/math.cpp and codegen/cuda/prelude.cpp write the same operations around them.
#pragma once

#include <array>
#include <cstddef>
#include <span>

namespace gradc::elementary {

// ln 2 in two parts: n times the first is exact.
inline constexpr double kLn2 = 0.6931471805599453, kLn2High = 0.693359375, kLn2Low = -2.12194440e-4;
inline constexpr double kLog2E = 1.4426950408889634;

// rint x = (x + kRounder) - kRounder for |x| < 2^22: beyond 2^23 a number has no fraction. The sum's bits are those of
// kRounder plus rint x.
inline constexpr double kRounder = 12582912;
inline constexpr int kRounderBits = 0x4b400000;

// e^x, x clamped: 2^n · p(x - n·ln 2), n = rint(x / ln 2).
inline constexpr double kExpLowest = -104, kExpHighest = 89;
inline constexpr double kExp[] = {
    1.3814827762e-3, 8.3687097948e-3, 4.16683832228e-2, 1.66665207079e-1, 4.99999934723e-1, 1, 1};

// log x: x = 2^k · (1 + f), 1 + f in [√½, √2): f - f²/2 + f³·p(f), and k · ln 2. Denormals are scaled by 2^23 first.
inline constexpr double kSmallestNormal = 1.17549435e-38, kDenormalScale = 8388608, kDenormalShift = 23;
inline constexpr int kSqrtHalfBits = 0x3f3504f3;
inline constexpr double kLog[] = {7.0376836292E-2,  -1.1514610310E-1, 1.1676998740E-1,
                                  -1.2420140846E-1, 1.4249322787E-1,  -1.6668057665E-1,
                                  2.0000714765E-1,  -2.4999993993E-1, 3.3333331174E-1};

// tanh x and erf x: the sign of x and, with t = |x| but not above what gives 1, p(t - c). Centre c and coefficients of p, the
// highest power first, are a column of a table: number (columns - 1) - (slope · t - offset)², rounded, so that segments are
// wider where the function is flatter. erf adds t, as its slope at 0 is no f32. The coefficients are minimax fits for the
// error in ULP, rounded one after the other and the others fitted again, with centres where the lowest one is almost
// exact. Largest errors over all f32: tanh 1.77 ULP, erf 1.66.
template <size_t kSegments> struct Piecewise {
  using Row = std::array<float, kSegments>;
  double highest, slope, offset;
  bool addsT;
  std::span<const Row> rows;

  static constexpr double kLowBits = kRounder + kSegments - 1; // of a sum with it: the column
};

inline constexpr Piecewise<8>::Row kTanhRows[] = {
    {0, 0.5505371f, 1.1795502f, 1.7121735f, 2.46904f, 3.3843384f, 4.30394f, 6.4186554f},
    {-0.050709676f, -0.021100147f, 0.01586251f, 0.00102427f, -0.000672627f, -0.00018088875f, -1.981465e-5f,
     -1.931338e-7f},
    {0.15229328f, -0.0421365f, -0.02651128f, 0.0034154293f, 0.0029949136f, 0.0006085868f, 9.321076e-5f,
     1.4151075e-6f},
    {-0.0032961406f, 0.15508942f, -0.0045084422f, -0.02409639f, -0.008508446f, -0.0015071752f, -0.0002455988f,
     -4.222084e-6f},
    {-0.33308303f, -0.061645407f, 0.11081039f, 0.066513166f, 0.018045684f, 0.0030346096f, 0.00048762927f,
     7.4879995e-6f},
    {-5.9889285e-6f, -0.3752161f, -0.26106793f, -0.11448507f, -0.027864043f, -0.004575581f, -0.0007299455f,
     -1.0234033e-5f},
    {1.0f, 0.74907583f, 0.3155585f, 0.122192994f, 0.028266693f, 0.0045863613f, 0.00073031103f, 1.0450738e-5f},
    {0, 0.5009226f, 0.8273097f, 0.93691367f, 0.98576534f, 0.9977042f, 0.99963474f, 0.99999464f},
};
inline constexpr Piecewise<8> kTanh{
    .highest = 8.8, .slope = 0.376585, .offset = 2.69258, .addsT = false, .rows = kTanhRows};

inline constexpr Piecewise<16>::Row kErfRows[] = {
    {0, 0.12988281f, 0.2935791f, 0.46183777f, 0.5762787f, 0.7797394f, 0.9423218f, 1.1539612f, 1.3167877f,
     1.5144348f, 1.7894592f, 2.0542145f, 2.2716675f, 2.621231f, 3.0869293f, 3.6528778f},
    {0.01871089f, 0.08432158f, 0.14697935f, 0.17938842f, 0.17706002f, 0.14126085f, 0.08401805f, 0.023084428f,
     -0.024112487f, -0.0472289f, -0.046787634f, -0.032177545f, -0.015461014f, -0.0046182275f, -0.00056852866f,
     -2.5268602e-5f},
    {-0.37705514f, -0.35738087f, -0.2852129f, -0.17412196f, -0.09038366f, 0.04371527f, 0.1195537f,
     0.16461127f, 0.16359752f, 0.13608806f, 0.08282295f, 0.04138068f, 0.020153364f, 0.005065903f,
     0.00054242974f, 1.8126264e-5f},
    {1.2901665e-5f, -0.14413732f, -0.30392772f, -0.4210244f, -0.46650186f, -0.47901723f, -0.4375068f,
     -0.34384158f, -0.26235673f, -0.17243235f, -0.08212602f, -0.034060933f, -0.014742022f, -0.0030892862f,
     -0.00026009677f, -6.7328046e-6f},
    {0.12837917f, 0.10950372f, 0.035198417f, -0.08836178f, -0.19048123f, -0.38566184f, -0.5356822f,
     -0.7020531f, -0.80073994f, -0.8861337f, -0.9541047f, -0.98341197f, -0.993524f, -0.9988297f, -0.99991876f,
     -0.9999982f},
    {0, 0.015854297f, 0.028413363f, 0.02449442f, 0.008638202f, -0.049889028f, -0.12497038f, -0.2566517f,
     -0.37935996f, -0.5466497f, -0.8008435f, -1.0578859f, -1.2729827f, -1.6214408f, -2.086942f, -2.652878f},
};
inline constexpr Piecewise<16> kErf{
    .highest = 3.925, .slope = 0.930557, .offset = 3.88973, .addsT = true, .rows = kErfRows};

// x^y in f64: 2^(y · log2 x). log2: 2·s·p(s²) / ln 2 with s = (m - 1) / (m + 1); 2^t: 2^n · p((t - n) · ln 2).
inline constexpr long long kSqrtHalfBitsF64 = 0x3fe6a09e667f3bcd, kMantissaF64 = 0xfffffffffffff;
inline constexpr double kLog2F64[] = {1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1};
inline constexpr double kTwoLog2E = 2 * kLog2E;
inline constexpr double kExp2F64[] = {
    1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1};
inline constexpr double kPowBound = 200; // of y · log2 x: beyond it the result is 0 or infinite in f32

} // namespace gradc::elementary
