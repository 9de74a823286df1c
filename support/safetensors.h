// Weights in the safetensors format: 8 bytes of little-endian header length, a JSON header
// {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {…}}, then the data. Reading is strict: no duplicate
// names, no holes or overlaps, sizes that fit, a file that ends where its data ends.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/dtype.h"
#include "support/result.h"

namespace gradc {

struct TensorView {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::string_view bytes; // row-major
};

class SafeTensors {
public:
  /// `name` is for messages.
  static StatusOr<SafeTensors> parse(std::string bytes, std::string_view name);
  static StatusOr<SafeTensors> read(const std::string &path);

  const std::vector<TensorView> &tensors() const { return tensors_; } // sorted by name
  const TensorView *find(std::string_view name) const;
  const std::map<std::string, std::string> &metadata() const { return metadata_; }

private:
  // On the heap, so that moving this object does not move what the views see.
  std::shared_ptr<const std::string> bytes_;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes the tensors sorted by name: the same tensors and metadata give the same bytes. Atomic.
Status writeSafeTensors(const std::string &path, std::vector<TensorView> tensors,
                        const std::map<std::string, std::string> &metadata);

} // namespace gradc
