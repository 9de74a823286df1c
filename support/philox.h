// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): random
// bits as a pure function of a counter and a key. The same function serves the op random_uniform in the
// interpreter and in generated code, initialisers, shuffling and augmentation.
//
// The op random_uniform(seed, step, row0) {stream, shape}, to the bit:
//   key      = seed xor streamHash(stream)             64 bits; low word is key[0]
//   group    = (row0 + row) · ceil(rowSize / 4) + column div 4   row: index of dimension 0, rowSize: elements of
//                                                      one (1 for a scalar), column: row-major number in it; wraps
//   counter  = {low(group), high(group), low(step), high(step)}
//   x        = philox4x32(counter, key)[column mod 4]
//   value    = (x >> 8) · 2^-24                        exact in f32 and f64, in [0, 1)
// So one evaluation serves four neighbours of a row, and each row begins with one, whatever its length.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gradc {

using PhiloxCounter = std::array<uint32_t, 4>;
using PhiloxKey = std::array<uint32_t, 2>;

inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53, kPhiloxMultiplier1 = 0xCD9E8D57;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9, kPhiloxWeyl1 = 0xBB67AE85; // added to the key each round
inline constexpr int kPhiloxRounds = 10;

constexpr PhiloxCounter philox4x32(PhiloxCounter c, PhiloxKey k) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    uint64_t p0 = uint64_t{kPhiloxMultiplier0} * c[0], p1 = uint64_t{kPhiloxMultiplier1} * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ k[0], uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ k[1], uint32_t(p0)};
    k = {k[0] + kPhiloxWeyl0, k[1] + kPhiloxWeyl1};
  }
  return c;
}

/// FNV-1a, 64 bits.
constexpr uint64_t streamHash(std::string_view stream) {
  uint64_t hash = 0xCBF29CE484222325;
  for (char c : stream)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

/// The four words for one (seed, stream, step, number).
constexpr PhiloxCounter randomBits(uint64_t seed, uint64_t streamHash, uint64_t step, uint64_t number) {
  uint64_t key = seed ^ streamHash;
  return philox4x32({uint32_t(number), uint32_t(number >> 32), uint32_t(step), uint32_t(step >> 32)},
                    {uint32_t(key), uint32_t(key >> 32)});
}

inline constexpr uint64_t kPhiloxWords = 4; // elements of a row that share one evaluation

/// Groups of a row of random_uniform.
constexpr uint64_t randomGroups(uint64_t rowSize) { return (rowSize + kPhiloxWords - 1) / kPhiloxWords; }

/// Uniform in [0, 1), a multiple of 2^-24.
constexpr float uniformFromBits(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

} // namespace gradc
