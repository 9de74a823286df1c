// Tests of single opcodes as rows: a snippet of PTX, what its operands hold lane by lane, what must come out.
#pragma once
#include "machine/machine.h"
#include <bit>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace cudasim::test {

// The snippet sees these names: d (the result), a, b, c (the operands) with the row's types; lane (b32);
// pin, pout (b64, addresses of this lane's 8-byte slot of a and of the result); r0 … r7 (b32), l0 … l3 (b64), h0 … h7 (b16),
// f0 … f7 (f32), p0 … p3 (pred); sm (1024 bytes of shared memory), lm (64 bytes of local memory).
struct Row {
  std::string code;
  std::string types; // of d, a, b, c: "f32 f32 f32"; "pred" is 0 or 1
  std::vector<std::vector<uint64_t>> operands;
  std::vector<uint64_t> expected; // of lanes 0, 1, …; the last operand values repeat for the lanes after them
  int target = 80;                // the oldest architecture that has it
};

constexpr uint64_t f(float x) { return std::bit_cast<uint32_t>(x); }
constexpr uint64_t d(double x) { return std::bit_cast<uint64_t>(x); }
constexpr uint64_t i(int32_t x) { return static_cast<uint32_t>(x); }

std::vector<Row> integerRows(), bitRows(), floatRows(), halfRows(), compareRows(), convertRows(), moveRows(),
    memoryRows(), warpRows(), matrixRows(), asyncRows(), controlRows();
std::vector<Row> allRows();

std::string kernelOf(const Row &, const std::string &name); // one .entry
std::string moduleOf(const std::string &kernels, int target);
std::string opcodeOf(const Row &); // "fma.rn.f32": of the last instruction that the row is about
std::vector<uint64_t> runRow(const Row &, std::string &error);

inline void PrintTo(const Row &row, std::ostream *out) { *out << row.code; }

} // namespace cudasim::test
