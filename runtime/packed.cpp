#include "runtime/packed.h"

#include <zlib.h>

#include "support/check.h"

namespace gradc {

std::string pack(std::string_view bytes) {
  uLongf size = compressBound(bytes.size());
  std::string packed(size, '\0');
  const int code = compress2(reinterpret_cast<Bytef *>(packed.data()), &size,
                             reinterpret_cast<const Bytef *>(bytes.data()), bytes.size(), Z_BEST_COMPRESSION);
  CHECK(code == Z_OK, "zlib's code {}", code);
  packed.resize(size);
  return packed;
}

std::string unpack(std::string_view packed, size_t size) {
  std::string bytes(size, '\0');
  uLongf written = size;
  const int code = uncompress(reinterpret_cast<Bytef *>(bytes.data()), &written,
                              reinterpret_cast<const Bytef *>(packed.data()), packed.size());
  return code == Z_OK && written == size ? bytes : "";
}

} // namespace gradc
