// Weights in the safetensors format: 8 bytes of little-endian header length, a JSON header
// {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {…}}, then the data. Reading is strict: no duplicate
// names, no holes or overlaps, sizes that fit, a file that ends where its data ends.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
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
  /// Of a file that is mapped into memory, and of bytes that stay where they are: what uses the tensors need not copy them.
  static StatusOr<SafeTensors> map(const std::string &path);
  static StatusOr<SafeTensors> view(std::string_view bytes, std::string_view name);

  /// Whether the tensors' bytes are there for as long as keeper() lives, and never written.
  bool isMapped() const { return isMapped_; }
  const std::shared_ptr<const void> &keeper() const { return keeper_; }

  const std::vector<TensorView> &tensors() const { return tensors_; } // sorted by name
  const TensorView *find(std::string_view name) const;
  const std::map<std::string, std::string> &metadata() const { return metadata_; }

private:
  Status index(std::string_view all, std::string_view name);

  // What the views see; moving this object does not move it.
  std::shared_ptr<const void> keeper_;
  bool isMapped_ = false;
  std::vector<TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// What a file's data is sorted by: tensors of whole cache lines first, so that they are aligned when the file is mapped,
/// and all by name.
std::tuple<bool, std::string_view> fileOrder(const TensorView &tensor);

/// Writes the tensors in that order: the same tensors and metadata give the same bytes. Atomic.
Status writeSafeTensors(const std::string &path, std::vector<TensorView> tensors,
                        const std::map<std::string, std::string> &metadata);

} // namespace gradc
