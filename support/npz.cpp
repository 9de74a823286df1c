// The zip container of .npz: members stored or deflated, sizes and offsets from the central directory, zip64 where
// NumPy uses it.
#include <cstring>
#include <optional>

#include <fmt/format.h>
#include <zlib.h>

#include "support/files.h"
#include "support/npy.h"

namespace gradc {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEndOfDirectory = 0x06054b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22;
constexpr uint16_t kZip64Extra = 1;
constexpr uint32_t kDate1980 = 0x00210000;

template <class T> T read(std::string_view bytes, size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <class T> void append(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

struct Member {
  std::string name;
  uint16_t method = 0;
  uint32_t crc = 0;
  uint64_t packed = 0, size = 0, offset = 0;
};

/// Replaces the fields that say "see the extra field" by those of the zip64 record, in its fixed order.
void applyZip64(Member &member, std::string_view extra) {
  while (extra.size() >= 4) {
    const uint16_t tag = read<uint16_t>(extra, 0), length = read<uint16_t>(extra, 2);
    if (extra.size() < 4u + length)
      return;
    std::string_view body = extra.substr(4, length);
    if (tag == kZip64Extra)
      for (uint64_t *field : {&member.size, &member.packed, &member.offset})
        if (*field == 0xffffffff && body.size() >= 8) {
          *field = read<uint64_t>(body, 0);
          body.remove_prefix(8);
        }
    extra.remove_prefix(4 + length);
  }
}

std::optional<Member> readCentral(std::string_view bytes, size_t &at) {
  if (at > bytes.size() || bytes.size() - at < kCentralSize || read<uint32_t>(bytes, at) != kCentralHeader)
    return std::nullopt;
  const size_t nameSize = read<uint16_t>(bytes, at + 28), extraSize = read<uint16_t>(bytes, at + 30),
               commentSize = read<uint16_t>(bytes, at + 32);
  if (bytes.size() - at - kCentralSize < nameSize + extraSize + commentSize)
    return std::nullopt;
  Member member{.name = std::string(bytes.substr(at + kCentralSize, nameSize)),
                .method = read<uint16_t>(bytes, at + 10),
                .crc = read<uint32_t>(bytes, at + 16),
                .packed = read<uint32_t>(bytes, at + 20),
                .size = read<uint32_t>(bytes, at + 24),
                .offset = read<uint32_t>(bytes, at + 42)};
  applyZip64(member, bytes.substr(at + kCentralSize + nameSize, extraSize));
  at += kCentralSize + nameSize + extraSize + commentSize;
  return member;
}

std::optional<std::string> inflateRaw(std::string_view packed, uint64_t size) {
  if (size > static_cast<uint64_t>(kMaxFileBytes) ||
      size / 1100 > packed.size()) // deflate gains at most 1032:1
    return std::nullopt;
  std::string out(size, '\0');
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
    return std::nullopt;
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data()));
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  uint64_t in = packed.size(), left = size;
  int code = Z_OK;
  while (code == Z_OK) { // avail_in and avail_out have 32 bits only
    const uInt feed = static_cast<uInt>(std::min<uint64_t>(in, 1u << 30));
    const uInt room = static_cast<uInt>(std::min<uint64_t>(left, 1u << 30));
    stream.avail_in = feed;
    stream.avail_out = room;
    code = inflate(&stream, Z_NO_FLUSH);
    in -= feed - stream.avail_in;
    left -= room - stream.avail_out;
    if (code == Z_OK && stream.avail_in == feed && stream.avail_out == room)
      break;
  }
  inflateEnd(&stream);
  if (code != Z_STREAM_END || left != 0)
    return std::nullopt;
  return out;
}

/// The bytes of a member, or what is wrong with it.
std::expected<std::string, std::string> extract(std::string_view bytes, const Member &member) {
  if (member.offset > bytes.size() || bytes.size() - member.offset < kLocalSize ||
      read<uint32_t>(bytes, member.offset) != kLocalHeader)
    return std::unexpected("malformed zip directory");
  const uint64_t start = member.offset + kLocalSize + read<uint16_t>(bytes, member.offset + 26) +
                         read<uint16_t>(bytes, member.offset + 28);
  if (start > bytes.size() || member.packed > bytes.size() - start)
    return std::unexpected("truncated zip member");
  const std::string_view packed = bytes.substr(start, member.packed);
  std::string data;
  if (member.method == 0 && member.packed == member.size) {
    data = packed;
  } else if (member.method == 8) {
    std::optional<std::string> inflated = inflateRaw(packed, member.size);
    if (!inflated)
      return std::unexpected("corrupt compressed data");
    data = std::move(*inflated);
  } else {
    return std::unexpected(fmt::format("unsupported zip method {}", member.method));
  }
  if (crc32_z(0, reinterpret_cast<const Bytef *>(data.data()), data.size()) != member.crc)
    return std::unexpected("wrong checksum");
  return data;
}

} // namespace

StatusOr<NpzArrays> parseNpz(std::string_view bytes, std::string_view name) {
  const auto bad = [&](std::string_view what) { return ioFailure(fmt::format("{}: {}", name, what)); };
  // The end record stands before a comment of at most 64 KiB.
  size_t end = bytes.size() < kEndSize ? std::string_view::npos : bytes.size() - kEndSize;
  while (end != std::string_view::npos && read<uint32_t>(bytes, end) != kEndOfDirectory)
    end = end == 0 || bytes.size() - end > kEndSize + 0xffff ? std::string_view::npos : end - 1;
  if (end == std::string_view::npos)
    return bad("not an .npz file, or truncated");

  NpzArrays arrays;
  size_t at = read<uint32_t>(bytes, end + 16);
  for (int count = read<uint16_t>(bytes, end + 10); count > 0; --count) {
    std::optional<Member> member = readCentral(bytes, at);
    if (!member)
      return bad("malformed zip directory");
    if (!member->name.ends_with(".npy"))
      continue;
    auto data = extract(bytes, *member);
    if (!data)
      return bad(fmt::format("{}: {}", member->name, data.error()));
    StatusOr<NpyArray> array = parseNpy(*data, fmt::format("{}: {}", name, member->name));
    if (!array)
      return std::unexpected(array.error());
    arrays.emplace_back(member->name.substr(0, member->name.size() - 4), std::move(*array));
  }
  return arrays;
}

StatusOr<std::string> formatNpz(const NpzArrays &arrays) {
  std::string out, directory;
  for (const auto &[name, array] : arrays) {
    StatusOr<std::string> data = formatNpy(array);
    if (!data)
      return std::unexpected(data.error());
    if (out.size() + data->size() >= 0xffffffff)
      return failure(ExitCode::InvalidInput, "more than 4 GiB do not fit an .npz file");
    const uint32_t offset = static_cast<uint32_t>(out.size()), size = static_cast<uint32_t>(data->size());
    const std::string file = name + ".npy";
    std::string common;           // the fields that both headers have
    append<uint16_t>(common, 20); // version needed
    append<uint32_t>(common, 0);  // flags, method
    append<uint32_t>(common, kDate1980);
    append<uint32_t>(common,
                     static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef *>(data->data()), size)));
    append<uint32_t>(common, size);
    append<uint32_t>(common, size);
    append<uint16_t>(common, static_cast<uint16_t>(file.size()));
    append<uint16_t>(common, 0); // extra

    append(out, kLocalHeader);
    out += common + file + *data;
    append(directory, kCentralHeader);
    append<uint16_t>(directory, 20);
    directory += common;
    directory.append(10, '\0'); // comment, disk, attributes
    append(directory, offset);
    directory += file;
  }
  const uint32_t offset = static_cast<uint32_t>(out.size());
  const uint16_t count = static_cast<uint16_t>(arrays.size());
  out += directory;
  append(out, kEndOfDirectory);
  append<uint32_t>(out, 0);
  append(out, count);
  append(out, count);
  append(out, static_cast<uint32_t>(directory.size()));
  append(out, offset);
  append<uint16_t>(out, 0);
  return out;
}

} // namespace gradc
