// NumPy's files: .npy (one array) and .npz (a zip of them). Little endian; Fortran order is turned into row-major
// when read. Errors read "x.npy: <what>".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/dtype.h"
#include "support/result.h"

namespace gradc {

struct NpyArray {
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  std::string bytes; // row-major
};

/// In the order of the file.
using NpzArrays = std::vector<std::pair<std::string, NpyArray>>;

/// `name` is for messages.
StatusOr<NpyArray> parseNpy(std::string_view bytes, std::string_view name);
/// bf16, which NumPy has not, is refused.
StatusOr<std::string> formatNpy(const NpyArray &array);
StatusOr<NpzArrays> parseNpz(std::string_view bytes, std::string_view name);
/// Uncompressed members with a fixed date: the same arrays give the same bytes.
StatusOr<std::string> formatNpz(const NpzArrays &arrays);

StatusOr<NpyArray> readNpy(const std::string &path);
StatusOr<NpzArrays> readNpz(const std::string &path);
Status writeNpy(const std::string &path, const NpyArray &array);
Status writeNpz(const std::string &path, const NpzArrays &arrays);

/// Elements of a shape, or -1 when the product does not fit 48 bits or a dimension is negative.
int64_t checkedElements(const std::vector<int64_t> &shape);

} // namespace gradc
