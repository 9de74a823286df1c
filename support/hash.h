// Content hashes (XXH3): cache keys, change checks, random streams. The same on every machine and in every
// release, because they reach files; not secure against an adversary.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace gradc {

struct Hash128 {
  uint64_t high = 0, low = 0;
  bool operator==(const Hash128 &) const = default;
  auto operator<=>(const Hash128 &) const = default;
};

uint64_t hash64(std::string_view bytes);
Hash128 hash128(std::string_view bytes);

/// Lower-case hexadecimal digits, the most significant first: 16 or 32 of them.
std::string hex(uint64_t value);
std::string hex(const Hash128 &hash);

/// Hashes what is fed to it piece by piece. Pieces of variable length carry their length, so that
/// ("ab", "c") and ("a", "bc") differ.
class Hasher {
public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher &) = delete;
  Hasher &operator=(const Hasher &) = delete;

  Hasher &bytes(const void *data, size_t size); // without the length
  Hasher &add(std::string_view text);           // with its length
  template <class T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  Hasher &add(T value) {
    return bytes(&value, sizeof value);
  }
  Hash128 digest128() const;
  uint64_t digest64() const { return digest128().low; }

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace gradc
