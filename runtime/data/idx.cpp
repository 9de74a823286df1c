// IDX files (LeCun's MNIST format): two zero bytes, an element type, a rank, big-endian sizes, the elements.
// zlib's gz functions read plain files too.
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <zlib.h>

#include "runtime/data/dataset.h"
#include "support/files.h"
#include "support/npy.h"

namespace gradc {
namespace {

constexpr int kUnsignedByte = 8;
constexpr int64_t kReadUnit = 1 << 26;

struct CloseGz {
  void operator()(gzFile file) const { gzclose(file); }
};
using GzFile = std::unique_ptr<gzFile_s, CloseGz>;

/// Reads up to `bytes`; the number read, or -1 when the compressed data is corrupt.
int64_t readUpTo(gzFile file, std::byte *to, int64_t bytes) {
  int64_t done = 0;
  while (done < bytes) {
    const int got = gzread(file, to + done, static_cast<unsigned>(std::min(bytes - done, kReadUnit)));
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    done += got;
  }
  return done;
}

StatusOr<std::vector<int64_t>> readHeader(gzFile file, const std::string &path, int rank) {
  unsigned char magic[4] = {};
  const int64_t got = readUpTo(file, reinterpret_cast<std::byte *>(magic), 4);
  if (got < 0)
    return ioFailure(fmt::format("{}: corrupt gzip data", path));
  if (got < 4 || magic[0] != 0 || magic[1] != 0)
    return ioFailure(fmt::format("{}: not an IDX file (its first bytes are {:02x} {:02x} {:02x} {:02x})",
                                 path, magic[0], magic[1], magic[2], magic[3]));
  if (magic[2] != kUnsignedByte)
    return ioFailure(fmt::format(
        "{}: IDX element type 0x{:02x} is not supported, only unsigned bytes (0x08) are", path, magic[2]));
  if (magic[3] < rank || magic[3] > 4)
    return ioFailure(fmt::format("{}: an IDX file of rank {}, but expected rank {}", path, magic[3],
                                 rank == 1 ? "1" : "2 or more"));
  std::vector<int64_t> shape(magic[3]);
  for (int64_t &dim : shape) {
    unsigned char b[4];
    if (readUpTo(file, reinterpret_cast<std::byte *>(b), 4) != 4)
      return ioFailure(fmt::format("{}: truncated IDX header", path));
    dim = int64_t{b[0]} << 24 | b[1] << 16 | b[2] << 8 | b[3];
  }
  return shape;
}

StatusOr<Field> readField(const std::string &path, std::string name, int rank) {
  errno = 0;
  const GzFile file(gzopen(path.c_str(), "rbe"));
  if (!file)
    return ioFailure(fmt::format("cannot open '{}': {}", path, std::strerror(errno ? errno : ENOMEM)));
  gzbuffer(file.get(), 1 << 18);
  StatusOr<std::vector<int64_t>> shape = readHeader(file.get(), path, rank);
  if (!shape)
    return std::unexpected(shape.error());
  const int64_t bytes = checkedElements(*shape);
  if (bytes < 0 || bytes > kMaxFileBytes)
    return ioFailure(fmt::format("{}: its IDX header asks for too much data", path));

  Field field{std::move(name), path, DType::U8, {}, {}};
  StatusOr<Buffer> data = Buffer::allocate(bytes);
  if (!data)
    return std::unexpected(data.error());
  const int64_t got = readUpTo(file.get(), data->data(), bytes);
  if (got < 0)
    return ioFailure(fmt::format("{}: corrupt gzip data", path));
  if (got < bytes)
    return ioFailure(
        fmt::format("{}: truncated: {} bytes of data, but its header says {}", path, got, bytes));
  std::byte extra;
  const int64_t more = readUpTo(file.get(), &extra, 1); // also checks gzip's trailer
  if (more < 0)
    return ioFailure(fmt::format("{}: corrupt gzip data", path));
  int code = Z_OK;
  gzerror(file.get(), &code);
  if (code == Z_BUF_ERROR)
    return ioFailure(fmt::format("{}: truncated gzip data", path));
  if (more > 0)
    return ioFailure(fmt::format("{}: more data than the {} bytes that its header says", path, bytes));
  field.data = std::move(*data);
  field.shape = *shape; // the first dimension is dropped by the caller
  return field;
}

} // namespace

StatusOr<RawData> loadIdx(const DataSource &source, const std::string &folder) {
  RawData raw;
  for (const auto &[key, name, rank] : {std::tuple{"images", "image", 2}, std::tuple{"labels", "label", 1}}) {
    const auto file = source.files.find(key);
    if (file == source.files.end())
      continue;
    StatusOr<Field> field = readField(resolvePath(folder, file->second), name, rank);
    if (!field)
      return std::unexpected(field.error());
    const int64_t count = field->shape.front();
    field->shape.erase(field->shape.begin());
    if (!raw.fields.empty() && count != raw.examples)
      return ioFailure(fmt::format("{}: {} examples, but {} has {}", field->source, count,
                                   raw.fields.front().source, raw.examples));
    raw.examples = count;
    raw.fields.push_back(std::move(*field));
  }
  return raw;
}

} // namespace gradc
