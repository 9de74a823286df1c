// libFuzzer target: any bytes as .npy, .npz and .safetensors. What is accepted can be written and read again.
#include <cstdint>
#include <string>

#include "support/check.h"
#include "support/npy.h"
#include "support/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace gradc;
  std::string bytes(reinterpret_cast<const char *>(data), size);
  if (StatusOr<NpyArray> array = parseNpy(bytes, "fuzz.npy")) {
    StatusOr<std::string> again = formatNpy(*array);
    CHECK(again && parseNpy(*again, "again.npy")->bytes == array->bytes);
  }
  (void)parseNpz(bytes, "fuzz.npz");
  (void)SafeTensors::parse(std::move(bytes), "fuzz.safetensors");
  return 0;
}
