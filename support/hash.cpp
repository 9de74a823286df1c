#include "support/hash.h"

#include <xxhash.h>

#include "support/check.h"

namespace gradc {

uint64_t hash64(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

Hash128 hash128(std::string_view bytes) {
  XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return {hash.high64, hash.low64};
}

std::string hex(uint64_t value) { return fmt::format("{:016x}", value); }
std::string hex(const Hash128 &hash) { return hex(hash.high) + hex(hash.low); }

struct Hasher::State {
  State() : xxh(XXH3_createState()) { CHECK(xxh && XXH3_128bits_reset(xxh) == XXH_OK); }
  ~State() { XXH3_freeState(xxh); }
  XXH3_state_t *xxh;
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

Hasher &Hasher::bytes(const void *data, size_t size) {
  if (size != 0)
    CHECK(XXH3_128bits_update(state_->xxh, data, size) == XXH_OK);
  return *this;
}

Hasher &Hasher::add(std::string_view text) {
  add(uint64_t{text.size()});
  return bytes(text.data(), text.size());
}

Hash128 Hasher::digest128() const {
  XXH128_hash_t hash = XXH3_128bits_digest(state_->xxh);
  return {hash.high64, hash.low64};
}

} // namespace gradc
