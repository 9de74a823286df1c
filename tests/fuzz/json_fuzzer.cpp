// Any text as a model file: it is read or refused, and what is read gives a module that the verifier accepts.
#include <cstdint>
#include <string>

#include "frontend/model.h"
#include "ir/verifier.h"
#include "support/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace gradc;
  Diagnostics diag;
  Result<LoadedModel> model = loadModel({reinterpret_cast<const char *>(data), size}, "fuzz.json", {}, diag);
  CHECK(model.has_value() != diag.hasErrors(),
        "a model that was refused without a word, or read in spite of errors");
  (void)diag.render();
  if (!model)
    return 0;
  Result<Module> module = model->instantiate(model->train.batchSize, diag);
  CHECK(module && verify(*module, diag), "{}", diag.render());
  return 0;
}
