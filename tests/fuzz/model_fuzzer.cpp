// libFuzzer target: any bytes as a model file. What is accepted builds functions that verify, at two batch sizes.
#include <cstdint>
#include <string>

#include "frontend/model.h"
#include "ir/verifier.h"
#include "support/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace gradc;
  Diagnostics diag;
  Result<LoadedModel> model = loadModel({reinterpret_cast<const char *>(data), size}, "fuzz.json", {}, diag);
  CHECK(model.has_value() != diag.hasErrors());
  if (!model) {
    (void)diag.render();
    return 0;
  }
  for (int64_t batch : {int64_t{1}, int64_t{16}}) {
    Diagnostics perBatch;
    Result<Module> module = model->instantiate(batch, perBatch);
    CHECK(!module || verify(*module, perBatch), "{}", perBatch.render());
  }
  return 0;
}
