#include "codegen/cuda/index.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "support/check.h"
#include "support/tiling.h"

namespace gradc {

int64_t CudaIndex::least() const {
  int64_t sum = constant;
  for (const CudaDigit &digit : digits)
    sum += std::min<int64_t>(0, digit.factor * (digit.modulus - 1));
  return sum;
}

int64_t CudaIndex::most() const {
  int64_t sum = constant;
  for (const CudaDigit &digit : digits)
    sum += std::max<int64_t>(0, digit.factor * (digit.modulus - 1));
  return sum;
}

CudaIndex CudaIndexMath::counter(std::string name, int64_t bound) {
  if (bound == 1)
    return 0;
  counters_.push_back({std::move(name), bound});
  CudaIndex index;
  index.digits.push_back({static_cast<int>(counters_.size()) - 1, 1, bound, 1});
  return index;
}

CudaIndex CudaIndexMath::lanes(int width) {
  CudaIndex index = counter("lane", width);
  laneCounter_ = width > 1 ? index.digits[0].counter : -1;
  return index;
}

int64_t CudaIndexMath::laneFactor(const CudaIndex &index) const {
  for (const CudaDigit &digit : index.digits)
    if (digit.counter == laneCounter_)
      return digit.factor;
  return 0;
}

CudaIndex CudaIndexMath::withoutLane(CudaIndex index) const {
  std::erase_if(index.digits, [&](const CudaDigit &digit) { return digit.counter == laneCounter_; });
  return index;
}

CudaIndex CudaIndexMath::atLane(CudaIndex index) const {
  for (const CudaDigit &digit : index.digits)
    if (digit.counter == laneCounter_)
      index.constant += digit.factor * (lane / digit.divide % digit.modulus);
  return withoutLane(std::move(index));
}

CudaDigit CudaIndexMath::canonical(CudaDigit digit) const {
  digit.modulus = std::min(digit.modulus, ceilDiv(counters_[digit.counter].bound, digit.divide));
  return digit;
}

/// Orders the digits, and joins those that are neighbours in their counter and in the sum.
CudaIndex CudaIndexMath::canonical(CudaIndex index) const {
  std::ranges::sort(index.digits);
  std::vector<CudaDigit> joined;
  for (const CudaDigit &given : index.digits) {
    const CudaDigit digit = canonical(given);
    if (digit.modulus <= 1 || digit.factor == 0)
      continue;
    if (!joined.empty()) {
      CudaDigit &last = joined.back();
      if (last.counter == digit.counter && last.divide == digit.divide && last.modulus == digit.modulus) {
        last.factor += digit.factor;
        if (last.factor == 0)
          joined.pop_back();
        continue;
      }
      if (last.counter == digit.counter && last.divide * last.modulus == digit.divide &&
          last.factor * last.modulus == digit.factor) {
        last.modulus *= digit.modulus;
        last = canonical(last);
        continue;
      }
    }
    joined.push_back(digit);
  }
  index.digits = std::move(joined);
  return index;
}

CudaIndex CudaIndexMath::add(const CudaIndex &a, const CudaIndex &b) {
  CudaIndex sum = a;
  sum.constant += b.constant;
  sum.digits.insert(sum.digits.end(), b.digits.begin(), b.digits.end());
  return canonical(std::move(sum));
}

CudaIndex CudaIndexMath::mul(const CudaIndex &a, int64_t factor) {
  CudaIndex product = a;
  product.constant *= factor;
  for (CudaDigit &digit : product.digits)
    digit.factor *= factor;
  return canonical(std::move(product));
}

/// a = quotient · divisor + rest, as far as the digits can be told apart: the rest may be larger than the divisor.
CudaIndexMath::Parts CudaIndexMath::split(const CudaIndex &a, int64_t divisor) {
  Parts parts;
  int64_t low = a.constant % divisor;
  low += low < 0 ? divisor : 0;
  parts.rest.constant = low;
  parts.quotient.constant = (a.constant - low) / divisor;
  for (const CudaDigit &digit : a.digits) {
    if (digit.factor % divisor == 0) {
      parts.quotient.digits.push_back(digit);
      parts.quotient.digits.back().factor /= divisor;
      continue;
    }
    const int64_t base = digit.factor > 0 && divisor % digit.factor == 0 ? divisor / digit.factor : 0;
    const bool top = digit.divide * digit.modulus >= counters_[digit.counter].bound;
    if (base == 0 || digit.modulus <= base || (!top && digit.modulus % base != 0)) {
      parts.rest.digits.push_back(digit);
      continue;
    }
    parts.quotient.digits.push_back({digit.counter, digit.divide * base, ceilDiv(digit.modulus, base), 1});
    parts.rest.digits.push_back({digit.counter, digit.divide, base, digit.factor});
  }
  parts.quotient = canonical(std::move(parts.quotient));
  parts.rest = canonical(std::move(parts.rest));
  return parts;
}

CudaIndex CudaIndexMath::asCounter(const CudaIndex &a) {
  auto known = this->known.counters.find(a);
  if (known == this->known.counters.end()) {
    std::string name = text_.define(indexType(), "at", text(a));
    counters_.push_back({name, a.most() + 1});
    known = this->known.counters.emplace(a, static_cast<int>(counters_.size()) - 1).first;
  }
  CudaIndex index;
  index.digits.push_back({known->second, 1, a.most() + 1, 1});
  return canonical(std::move(index));
}

/// As split, where the rest is the remainder: what cannot be told apart is computed and given a name.
CudaIndexMath::Parts CudaIndexMath::divided(const CudaIndex &a, int64_t divisor) {
  Parts parts = split(a, divisor);
  if (parts.rest.least() >= 0 && parts.rest.most() < divisor)
    return parts;
  if (laneFactor(parts.rest) != 0)
    return divided(atLane(a), divisor);
  CudaIndex multiple,
      rest = a; // whole multiples stay outside of the division, where the rest is not negative
  if (parts.rest.least() >= 0) {
    auto isMultiple = [&](const CudaDigit &digit) { return digit.factor % divisor == 0; };
    std::ranges::copy_if(a.digits, std::back_inserter(multiple.digits), isMultiple);
    std::erase_if(rest.digits, isMultiple);
    rest.constant = parts.rest.constant;
    multiple.constant = a.constant - rest.constant;
  }
  if (rest.least() < 0 || rest.most() >= divisor)
    rest = asCounter(rest);
  const Parts inner = split(rest, divisor);
  return {add(split(multiple, divisor).quotient, inner.quotient), inner.rest};
}

CudaIndex CudaIndexMath::div(const CudaIndex &a, int64_t divisor) {
  return divisor == 1 ? a : divided(a, divisor).quotient;
}

CudaIndex CudaIndexMath::mod(const CudaIndex &a, int64_t divisor) {
  return divisor == 1 ? CudaIndex(0) : divided(a, divisor).rest;
}

CudaIndex CudaIndexMath::linear(const Shape &shape, const CudaIndices &at) {
  CHECK(static_cast<int>(at.size()) == shape.rank(), "an index of {} dimensions for {}", at.size(),
        toString(shape));
  CudaIndex number;
  int64_t stride = 1;
  for (int axis = shape.rank(); axis-- > 0;) {
    number = add(number, mul(at[static_cast<size_t>(axis)], stride));
    stride *= shape[axis];
  }
  return number;
}

CudaIndices CudaIndexMath::dims(const Shape &shape, const CudaIndex &number) {
  CudaIndices at(static_cast<size_t>(shape.rank()));
  CudaIndex rest = number;
  for (int axis = shape.rank(); axis-- > 0;) {
    at[static_cast<size_t>(axis)] = axis == 0 ? rest : mod(rest, shape[axis]);
    if (axis > 0)
      rest = div(rest, shape[axis]);
  }
  return at;
}

CudaIndices CudaIndexMath::reshaped(const Shape &from, const CudaIndices &at, const Shape &to) {
  return from == to ? at : dims(to, linear(from, at));
}

std::string CudaIndexMath::digitText(const CudaDigit &digit) {
  const Counter &counter = counters_[static_cast<size_t>(digit.counter)];
  const bool cut = digit.divide * digit.modulus < counter.bound;
  if (digit.divide == 1 && !cut)
    return counter.name;
  std::string &name = known.digits[{digit.counter, digit.divide, digit.modulus}];
  if (name.empty()) {
    std::string value = fmt::format("{}({})", unsignedType(), counter.name);
    value += digit.divide == 1 ? "" : fmt::format(" / {}", digit.divide);
    value += cut ? fmt::format(" % {}", digit.modulus) : "";
    name = text_.define(indexType(), counter.name, value);
  }
  return name;
}

std::string CudaIndexMath::text(const CudaIndex &given) {
  CudaIndex index = atLane(given);
  std::ranges::stable_sort(index.digits, std::greater(),
                           [](const CudaDigit &digit) { return std::abs(digit.factor); });
  std::string sum;
  auto append = [&](bool negative, const std::string &term) {
    sum += sum.empty() ? (negative ? "-" : "") : (negative ? " - " : " + ");
    sum += term;
  };
  for (const CudaDigit &digit : index.digits) {
    const int64_t factor = std::abs(digit.factor);
    std::string term = digitText(digit);
    append(digit.factor < 0, factor == 1 ? term : fmt::format("{} * {}", term, factor));
  }
  if (index.constant != 0 || sum.empty())
    append(index.constant < 0, cudaLiteral(std::abs(index.constant)));
  return sum;
}

std::string CudaIndexMath::below(const CudaIndex &given, int64_t bound) {
  const CudaIndex index = atLane(given);
  const bool notLess = index.least() >= 0, notMore = index.most() < bound;
  if (notLess && notMore)
    return "";
  if (index.isConstant())
    return "false";
  if (notLess)
    return fmt::format("{} < {}", text(index), bound);
  if (notMore)
    return fmt::format("{} >= 0", text(index));
  return fmt::format("{}({}) < {}", unsignedType(), text(index), bound);
}

std::string CudaIndexMath::equals(const CudaIndex &a, const CudaIndex &b) {
  const CudaIndex difference = atLane(add(a, mul(b, -1)));
  if (difference.isConstant())
    return difference.constant == 0 ? "" : "false";
  if (difference.least() > 0 || difference.most() < 0)
    return "false";
  return fmt::format("{} == {}", text(atLane(a)), text(atLane(b)));
}

} // namespace gradc
