#pragma once
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>

namespace cudasim {

// 0 … count - 1, by index for seed 0, else permuted: an affine map with a stride coprime to count.
class Order {
public:
  Order(uint64_t count, uint64_t seed) : count(count) {
    if (seed == 0 || count < 2)
      return;
    uint64_t mixed = seed * 0x9E3779B97F4A7C15ULL;
    start = (mixed >> 32) % count;
    for (stride = (mixed ^ mixed >> 29) % count; std::gcd(stride, count) != 1; stride = (stride + 1) % count)
      ;
  }
  uint64_t at(uint64_t k) const {
    return static_cast<uint64_t>((static_cast<Wide>(k) * stride + start) % count);
  }

private:
  __extension__ using Wide = unsigned __int128;
  uint64_t count, start = 0, stride = 1;
};

} // namespace cudasim
