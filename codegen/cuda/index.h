// Indices of elements as CUDA text, simplified while they are made: an index is a sum of digits of the kernel's
// counters. What a movement op does to an index is arithmetic on such sums, and digits that are put back together
// become the counter again, so that an elementwise kernel reads x[i] and not x[i / 28 * 28 + i % 28].
//
//   i in 0 .. 63·784-1:  n = i/784, h = i/28 % 28, w = i % 28;  784·n + 28·h + w is i
#pragma once

#include <map>
#include <tuple>
#include <vector>

#include "codegen/cuda/text.h"

namespace gradc {

/// factor · (counter / divide % modulus), which is in 0 .. factor · (modulus - 1).
struct CudaDigit {
  int counter = 0;
  int64_t divide = 1, modulus = 1, factor = 1;
  auto operator<=>(const CudaDigit &) const = default;
};

/// A sum of digits and a constant. Its smallest and largest value are known.
struct CudaIndex {
  std::vector<CudaDigit> digits; // ordered by counter and divide
  int64_t constant = 0;

  CudaIndex() = default;
  CudaIndex(int64_t constant) : constant(constant) {}
  bool isConstant() const { return digits.empty(); }
  int64_t least() const;
  int64_t most() const;
  auto operator<=>(const CudaIndex &) const = default;
};
using CudaIndices = std::vector<CudaIndex>; // one for each dimension

/// Index arithmetic. Divisions are of what is not negative where it is evaluated.
class CudaIndexMath {
public:
  CudaIndexMath(CudaText &text, bool wide) : text_(text), wide_(wide) {}

  /// A variable of the text, in 0 .. bound-1.
  CudaIndex counter(std::string name, int64_t bound);
  /// The place in a group of `width` neighbours that a thread computes one by one: 0 .. width-1. In text it is the
  /// number that `lane` has.
  CudaIndex lanes(int width);
  void endLanes() { laneCounter_ = -1, lane = 0; }
  int lane = 0;
  /// The factor of the lane; 0 where the index does not depend on it.
  int64_t laneFactor(const CudaIndex &index) const;
  CudaIndex withoutLane(CudaIndex index) const; // as at lane 0
  CudaIndex atLane(CudaIndex index) const;      // with the lane's number in its place

  CudaIndex add(const CudaIndex &a, const CudaIndex &b);
  CudaIndex mul(const CudaIndex &a, int64_t factor);
  CudaIndex div(const CudaIndex &a, int64_t divisor);
  CudaIndex mod(const CudaIndex &a, int64_t divisor);

  /// The row-major number of an index, and the index of a row-major number.
  CudaIndex linear(const Shape &shape, const CudaIndices &at);
  CudaIndices dims(const Shape &shape, const CudaIndex &number);
  /// The index in `to` that has the row-major number of `at` in `from`; both have as many elements.
  CudaIndices reshaped(const Shape &from, const CudaIndices &at, const Shape &to);

  /// An expression of type indexType().
  std::string text(const CudaIndex &index);
  /// Conditions as text; empty where they always hold.
  std::string below(const CudaIndex &given, int64_t bound); // 0 <= index < bound
  std::string equals(const CudaIndex &a, const CudaIndex &b);
  std::string_view indexType() const { return wide_ ? "long long" : "int"; }
  std::string_view unsignedType() const { return wide_ ? "Unsigned64" : "unsigned"; }

  /// What is defined in the block that the text is in; a scope of the text restores it at its end.
  struct Known {
    std::map<std::tuple<int, int64_t, int64_t>, std::string> digits;
    std::map<CudaIndex, int> counters; // for sums that could not be divided
  };
  Known known;

private:
  struct Counter {
    std::string name;
    int64_t bound;
  };
  struct Parts {
    CudaIndex quotient, rest;
  };
  CudaIndex canonical(CudaIndex index) const;
  CudaDigit canonical(CudaDigit digit) const;
  Parts split(const CudaIndex &a, int64_t divisor);
  Parts divided(const CudaIndex &a, int64_t divisor);
  CudaIndex asCounter(const CudaIndex &a);
  std::string digitText(const CudaDigit &digit);

  CudaText &text_;
  bool wide_;
  std::vector<Counter> counters_;
  int laneCounter_ = -1;
};

} // namespace gradc
