// libFuzzer target: any bytes as .gir. What parses and verifies must print to canonical text that parses back
// to the same module.
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/text.h"
#include "ir/verifier.h"
#include "support/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace gradc;
  Diagnostics diag;
  Result<Module> module = parseModule({reinterpret_cast<const char *>(data), size}, "fuzz.gir", diag);
  CHECK(module.has_value() != diag.hasErrors());
  if (!module || !verify(*module, diag)) {
    (void)diag.render(true);
    return 0;
  }
  std::string text = print(*module);
  Result<Module> back = parseModule(text, "back.gir", diag);
  CHECK(back, "{}", diag.render());
  CHECK(print(*back) == text, "printing is not stable:\n{}", text);
  CHECK(contentHash(*back) == contentHash(*module), "the text lost something:\n{}", text);
  return 0;
}
