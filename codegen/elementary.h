// The numbers of exp, log, tanh and erf in f32 and of pow: one algorithm for all targets and widths, so that bits are
// the same. Polynomials have the highest power first and are evaluated by Horner's scheme in fused multiply-adds.
// codegen/cpu/math.cpp and codegen/cuda/prelude.cpp write the same operations around them.
#pragma once

namespace gradc::elementary {

// ln 2 in two parts: n times the first is exact.
inline constexpr double kLn2 = 0.6931471805599453, kLn2High = 0.693359375, kLn2Low = -2.12194440e-4;
inline constexpr double kLog2E = 1.4426950408889634;

// rint x = (x + kRounder) - kRounder for |x| < 2^22: beyond 2^23 a number has no fraction. The low bits of the sum are
// rint x + 127: shifted by 23 they are 2^rint(x) where that is a normal number.
inline constexpr double kRounder = 12582912 + 127;
inline constexpr int kRounderBits = 0x4b400000; // of kRounder - 127

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

// tanh x = sign · tanh |x|, |x| clamped: with r = |x| - n·½ln 2 and h = tanh r = r + r³·p(r²) by the law of addition
// 1 - 2·(1 - h) / ((1 + h)·2^n + 1 - h); n = 0 and h itself for |x| below the bound, else n = rint(|x| / ½ln 2).
inline constexpr double kTanhNear = 0.55, kTanhHighest = 10;
inline constexpr double kTanh[] = {-5.70498872745E-3, 2.06390887954E-2, -5.37397155531E-2, 1.33314422036E-1,
                                   -3.33332819422E-1};

// erf x: x + x·p(x²) up to the bound; beyond it 1 - e^(t·q), q = ((a·t + b)·t² + (c·t + d))…, t = |x|, clamped.
inline constexpr double kErfNear = 0.927734375, kErfHighest = 4;
inline constexpr double kErf[] = {-5.96761703e-4, 4.99119423e-3,  -2.67681349e-2,
                                  1.12819925e-1,  -3.76125336e-1, 1.28379166e-1};
inline constexpr double kErfFarA = -1.72853470e-5, kErfFarB = 3.83197126e-4, kErfFarC = -3.88396438e-3,
                        kErfFarD = 2.42546219e-2;
inline constexpr double kErfFar[] = {-1.06777877e-1, -6.34846687e-1, -1.128717512};

// x^y in f64: 2^(y · log2 x). log2: 2·s·p(s²) / ln 2 with s = (m - 1) / (m + 1); 2^t: 2^n · p((t - n) · ln 2).
inline constexpr long long kSqrtHalfBitsF64 = 0x3fe6a09e667f3bcd, kMantissaF64 = 0xfffffffffffff;
inline constexpr double kLog2F64[] = {1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3, 1};
inline constexpr double kTwoLog2E = 2 * kLog2E;
inline constexpr double kExp2F64[] = {
    1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1};
inline constexpr double kPowBound = 200; // of y · log2 x: beyond it the result is 0 or infinite in f32

} // namespace gradc::elementary
