// The numbers of exp, log, tanh and erf in f32 and of pow: one algorithm for all targets and widths, so that bits are
// the same. Polynomials have the highest power first and are evaluated by Horner's scheme in fused multiply-adds.
// codegen/cpu/math.cpp and codegen/cuda/prelude.cpp write the same operations around them.
#pragma once

namespace gradc::elementary {

// ln 2 in two parts: n times the first is exact.
inline constexpr double kLn2High = 0.693359375, kLn2Low = -2.12194440e-4;

// e^x, x clamped: 2^n · (1 + r + r²·p(r)), n = rint(x / ln 2).
inline constexpr double kExpLowest = -104, kExpHighest = 89, kLog2E = 1.44269504088896341;
inline constexpr double kExp[] = {1.9875691500E-4, 1.3981999507E-3, 8.3334519073E-3,
                                  4.1665795894E-2, 1.6666665459E-1, 5.0000001201E-1};

// Adding it to x, |x| < 2^22, rounds to a whole number, which is then the difference of the sum's bits and of these.
inline constexpr double kRound = 12582912;
inline constexpr int kRoundBits = 0x4b400000;

// log x: x = 2^k · (1 + f), 1 + f in [√½, √2): f - f²/2 + f³·p(f), and k · ln 2. Denormals are scaled by 2^23 first.
inline constexpr double kSmallestNormal = 1.17549435e-38, kDenormalScale = 8388608, kDenormalShift = 23;
inline constexpr int kSqrtHalfBits = 0x3f3504f3;
inline constexpr double kLog[] = {7.0376836292E-2,  -1.1514610310E-1, 1.1676998740E-1,
                                  -1.2420140846E-1, 1.4249322787E-1,  -1.6668057665E-1,
                                  2.0000714765E-1,  -2.4999993993E-1, 3.3333331174E-1};

// tanh x: x + x³·p(x²) for |x| below the bound, else 1 - 2 / (e^2|x| + 1).
// From 2|x| = kTanhFlat on it is 1.
inline constexpr double kTanhNear = 0.625, kTanhFlat = 40;
inline constexpr double kTanh[] = {-5.70498872745E-3, 2.06390887954E-2, -5.37397155531E-2, 1.33314422036E-1,
                                   -3.33332819422E-1};

// erf x: x + x·p(x²) up to the bound; beyond it 1 - e^q, q = ((a·t + b)·t² + (c·t + d))…, t = |x|, then t·q - t.
// From q = kErfFlat down it is 1.
inline constexpr double kErfNear = 0.927734375, kErfFlat = -20;
inline constexpr double kErf[] = {-5.96761703e-4, 4.99119423e-3,  -2.67681349e-2,
                                  1.12819925e-1,  -3.76125336e-1, 1.28379166e-1};
inline constexpr double kErfFarA = -1.72853470e-5, kErfFarB = 3.83197126e-4, kErfFarC = -3.88396438e-3,
                        kErfFarD = 2.42546219e-2;
inline constexpr double kErfFar[] = {-1.06777877e-1, -6.34846687e-1, -1.28717512e-1};

// x^y in f64: 2^(y · log2 x). log2: 2·s·p(s²) / ln 2 with s = (m - 1) / (m + 1); 2^t: 2^n · p((t - n) · ln 2).
inline constexpr long long kSqrtHalfBitsF64 = 0x3fe6a09e667f3bcd, kMantissaF64 = 0xfffffffffffff;
inline constexpr double kLog2F64[] = {1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1};
inline constexpr double kTwoLog2E = 2 * 1.4426950408889634, kLn2 = 0.6931471805599453;
inline constexpr double kExp2F64[] = {
    1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1};
inline constexpr double kPowBound = 200; // of y · log2 x: beyond it the result is 0 or infinite in f32

} // namespace gradc::elementary
