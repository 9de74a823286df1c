// .npz: each array is a field. .npy: one file per field, {"image": "x.npy", "label": "y.npy"}.
#include <cstring>

#include <fmt/format.h>

#include "runtime/data/dataset.h"
#include "support/npy.h"

namespace gradc {
namespace {

Status addField(RawData &raw, const std::string &name, const std::string &source, const NpyArray &array) {
  if (array.shape.empty())
    return ioError(
        fmt::format("{}: '{}' is a scalar; the first dimension must count examples", source, name));
  const int64_t count = array.shape.front();
  if (!raw.fields.empty() && count != raw.examples)
    return ioError(fmt::format("{}: '{}' has {} examples, but '{}' has {}", source, name, count,
                               raw.fields.front().name, raw.examples));
  StatusOr<Buffer> data = Buffer::allocate(static_cast<int64_t>(array.bytes.size()));
  if (!data)
    return data.error();
  if (!array.bytes.empty())
    std::memcpy(data->data(), array.bytes.data(), array.bytes.size());
  raw.examples = count;
  raw.fields.push_back(
      {name, source, array.dtype, {array.shape.begin() + 1, array.shape.end()}, std::move(*data)});
  return okStatus();
}

} // namespace

StatusOr<RawData> loadArrays(const DataSource &source, const std::string &folder) {
  RawData raw;
  for (const auto &[key, file] : source.files) {
    const std::string path = resolvePath(folder, file);
    Status status;
    if (source.kind == DataSource::Kind::Npz) {
      StatusOr<NpzArrays> arrays = readNpz(path);
      if (!arrays)
        return std::unexpected(arrays.error());
      for (size_t i = 0; status.ok() && i < arrays->size(); ++i)
        status = addField(raw, (*arrays)[i].first, path, (*arrays)[i].second);
    } else {
      StatusOr<NpyArray> array = readNpy(path);
      if (!array)
        return std::unexpected(array.error());
      // The keys of the model file are those of idx, or the names of the fields themselves.
      const std::string name = key == "images" ? "image" : key == "labels" ? "label" : key;
      status = addField(raw, name, path, *array);
    }
    if (!status.ok())
      return std::unexpected(status);
  }
  return raw;
}

} // namespace gradc
