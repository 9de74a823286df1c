// A data set in memory: one array per model input, examples along the first dimension.
//
// Pixels stay the bytes that the files hold; they become f32 / 255 when a batch is gathered. Everything else is
// converted to the input's type and checked once, when it is loaded. All errors are exit code 5 and begin with the
// file: "train-labels.gz: example 492: label 77 is not in 0..9".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/buffer.h"
#include "support/config.h"
#include "support/dtype.h"
#include "support/result.h"

namespace gradc {

struct Field {
  std::string name;
  std::string source; // the file, for messages
  DType dtype = DType::U8;
  std::vector<int64_t> shape; // of one example
  Buffer data;                // row-major

  int64_t exampleElements() const;
  int64_t exampleBytes() const { return exampleElements() * static_cast<int64_t>(dtypeSize(dtype)); }
  const std::byte *example(int64_t index) const { return data.data() + index * exampleBytes(); }
};

struct Dataset {
  int64_t examples = 0;
  std::vector<Field> fields; // parallel to the inputs that they feed

  /// Hash of all content: a checkpoint goes on only with the same data.
  uint64_t fingerprint() const;
};

/// A range of a data set; the validation split is the end of the training data.
struct DatasetView {
  const Dataset *dataset = nullptr;
  int64_t first = 0;
  int64_t count = 0;
};

/// Loads what feeds `inputs`, in their order. Relative file names are looked up in `folder`. `seed` is for
/// synthetic data.
StatusOr<Dataset> loadDataset(const DataSource &source, std::span<const InputSpec> inputs,
                              const std::string &folder, uint64_t seed);

/// Turns raw fields into the inputs' fields: by name, reshaped, converted, labels checked.
StatusOr<Dataset> feedInputs(std::vector<Field> fields, int64_t examples, std::span<const InputSpec> inputs);

/// One reader a source. Fields are as the file has them.
struct RawData {
  int64_t examples = 0;
  std::vector<Field> fields;
};
StatusOr<RawData> loadIdx(const DataSource &source, const std::string &folder);
StatusOr<RawData> loadArrays(const DataSource &source, const std::string &folder);
StatusOr<RawData> makeSynthetic(const DataSource &source, std::span<const InputSpec> inputs, uint64_t seed);

/// `file` in `folder`, or as it is when absolute.
std::string resolvePath(const std::string &folder, const std::string &file);

/// Order of the examples 0 .. count-1 in an epoch: shuffled by Philox keyed by (seed, epoch), or ascending.
std::vector<int64_t> epochOrder(int64_t count, uint64_t seed, int64_t epoch, bool shuffle);

} // namespace gradc
