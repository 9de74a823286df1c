#include "support/npy.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "support/files.h"

namespace gradc {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr int64_t kMaxElements = int64_t{1} << 48;

struct Code {
  std::string_view text;
  DType dtype;
};
constexpr std::array<Code, 8> kCodes = {{{"<f4", DType::F32},
                                         {"<f8", DType::F64},
                                         {"<f2", DType::F16},
                                         {"|i1", DType::I8},
                                         {"|u1", DType::U8},
                                         {"<i4", DType::I32},
                                         {"<i8", DType::I64},
                                         {"|b1", DType::Bool}}};

/// The value of 'key' in the header, a Python dictionary literal with three known keys: up to the comma that
/// ends it, or up to and with the parenthesis of a tuple.
std::optional<std::string_view> headerValue(std::string_view header, std::string_view key) {
  const size_t at = header.find(fmt::format("'{}':", key));
  if (at == std::string_view::npos)
    return std::nullopt;
  header.remove_prefix(at + key.size() + 3);
  header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
  const size_t end = header.starts_with('(') ? header.find(')') : header.find_first_of(",}");
  if (end == std::string_view::npos)
    return std::nullopt;
  return header.substr(0, header.starts_with('(') ? end + 1 : end);
}

std::optional<std::vector<int64_t>> parseTuple(std::string_view text) {
  std::vector<int64_t> values;
  if (text.size() < 2 || text.front() != '(')
    return std::nullopt;
  const char *at = text.data() + 1, *end = text.data() + text.size() - 1;
  while (true) {
    while (at < end && (*at == ' ' || *at == ','))
      ++at;
    if (at == end)
      return values;
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc{} || value < 0 || values.size() == 32)
      return std::nullopt;
    values.push_back(value);
    at = next;
    if (at < end && *at == 'L') // Python 2
      ++at;
  }
}

std::string toRowMajor(std::string_view columnMajor, const std::vector<int64_t> &shape, size_t size) {
  std::string out(columnMajor.size(), '\0');
  const int64_t count = static_cast<int64_t>(columnMajor.size() / size);
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    int64_t from = 0;
    for (size_t axis = shape.size(); axis-- > 0;)
      from = from * shape[axis] + index[axis];
    std::memcpy(out.data() + i * size, columnMajor.data() + from * size, size);
    for (size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis])
        break;
      index[axis] = 0;
    }
  }
  return out;
}

} // namespace

int64_t checkedElements(const std::vector<int64_t> &shape) {
  int64_t elements = 1;
  for (int64_t dim : shape) {
    if (dim < 0 || (dim > 0 && elements > kMaxElements / dim))
      return -1;
    elements *= dim;
  }
  return elements;
}

StatusOr<NpyArray> parseNpy(std::string_view bytes, std::string_view name) {
  const auto bad = [&](std::string_view what) { return ioFailure(fmt::format("{}: {}", name, what)); };
  if (!bytes.starts_with(kMagic) || bytes.size() < 12)
    return bad("not an .npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(bytes[i])); };
  const size_t major = byte(6);
  if (major < 1 || major > 3)
    return bad(fmt::format("unknown .npy version {}", major));
  const size_t start = major == 1 ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (major == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > bytes.size() - start)
    return bad("truncated .npy header");
  const std::string_view header = bytes.substr(start, length);

  const auto descr = headerValue(header, "descr"), order = headerValue(header, "fortran_order"),
             shapeText = headerValue(header, "shape");
  if (!descr || !order || !shapeText || descr->size() < 3)
    return bad("malformed .npy header");
  const auto code = std::ranges::find(kCodes, descr->substr(1, descr->size() - 2), &Code::text);
  if (code == kCodes.end())
    return bad(fmt::format("element type {} is not supported", *descr));
  const auto shape = parseTuple(*shapeText);
  const int64_t elements = shape ? checkedElements(*shape) : -1;
  if (elements < 0)
    return bad(fmt::format("bad shape {}", *shapeText));

  NpyArray array{.dtype = code->dtype, .shape = *shape, .bytes = {}};
  const std::string_view data = bytes.substr(start + length);
  const size_t size = dtypeSize(array.dtype);
  if (data.size() != elements * size)
    return bad(fmt::format("shape {} of {} needs {} bytes, but got {}", *shapeText, dtypeName(array.dtype),
                           elements * size, data.size()));
  array.bytes = order->starts_with("True") ? toRowMajor(data, array.shape, size) : std::string(data);
  return array;
}

StatusOr<std::string> formatNpy(const NpyArray &array) {
  const auto code = std::ranges::find(kCodes, array.dtype, &Code::dtype);
  if (code == kCodes.end())
    return failure(ExitCode::InvalidInput,
                   fmt::format(".npy has no element type {}", dtypeName(array.dtype)));
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", code->text,
                                   fmt::join(array.shape, ", "), array.shape.size() == 1 ? "," : "");
  while ((10 + header.size() + 1) % 64 != 0)
    header += ' ';
  header += '\n';
  std::string out(kMagic);
  out += '\1';
  out += '\0';
  out += static_cast<char>(header.size() & 0xff);
  out += static_cast<char>(header.size() >> 8);
  return out + header + array.bytes;
}

StatusOr<NpyArray> readNpy(const std::string &path) {
  StatusOr<std::string> bytes = readFile(path);
  if (!bytes)
    return std::unexpected(bytes.error());
  return parseNpy(*bytes, path);
}

StatusOr<NpzArrays> readNpz(const std::string &path) {
  StatusOr<std::string> bytes = readFile(path);
  if (!bytes)
    return std::unexpected(bytes.error());
  return parseNpz(*bytes, path);
}

Status writeNpy(const std::string &path, const NpyArray &array) {
  StatusOr<std::string> bytes = formatNpy(array);
  return bytes ? writeFileAtomically(path, *bytes) : bytes.error();
}

Status writeNpz(const std::string &path, const NpzArrays &arrays) {
  StatusOr<std::string> bytes = formatNpz(arrays);
  return bytes ? writeFileAtomically(path, *bytes) : bytes.error();
}

} // namespace gradc
