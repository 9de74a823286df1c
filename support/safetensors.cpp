#include "support/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "support/files.h"
#include "support/npy.h"

namespace gradc {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr int kMaxDepth = 3; // {name: {shape: [
constexpr std::string_view kMetadata = "__metadata__";

struct Code {
  std::string_view text;
  DType dtype;
};
constexpr std::array<Code, 9> kCodes = {{{"F32", DType::F32},
                                         {"F64", DType::F64},
                                         {"BF16", DType::BF16},
                                         {"F16", DType::F16},
                                         {"I8", DType::I8},
                                         {"U8", DType::U8},
                                         {"I32", DType::I32},
                                         {"I64", DType::I64},
                                         {"BOOL", DType::Bool}}};

/// Parses without exceptions; refuses duplicate keys and deep nesting, which nlohmann accepts.
std::optional<json> parseHeader(std::string_view text, std::string &why) {
  std::vector<std::set<std::string>> keys;
  const json::parser_callback_t watch = [&](int depth, json::parse_event_t event, json &value) {
    if (depth > kMaxDepth)
      why = "it is nested too deeply";
    if (event == json::parse_event_t::object_start)
      keys.emplace_back();
    else if (event == json::parse_event_t::object_end)
      keys.pop_back();
    else if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      why = fmt::format("'{}' stands twice", value.get<std::string>());
    return why.empty();
  };
  json header = json::parse(text, watch, /*allow_exceptions=*/false);
  if (why.empty() && !header.is_object())
    why = "it is not a JSON object";
  if (!why.empty())
    return std::nullopt;
  return header;
}

std::optional<std::vector<int64_t>> integers(const json &object, const char *key) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_array())
    return std::nullopt;
  std::vector<int64_t> values;
  for (const json &item : *it) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > uint64_t{1} << 48)
      return std::nullopt;
    values.push_back(item.get<int64_t>());
  }
  return values;
}

/// One entry of the header, or what is wrong with it. `begin` is where the tensor starts in the data.
std::expected<TensorView, std::string> readEntry(const std::string &name, const json &entry,
                                                 std::string_view data, int64_t &begin) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry["dtype"].is_string())
    return std::unexpected("expected dtype, shape and data_offsets");
  const auto shape = integers(entry, "shape"), offsets = integers(entry, "data_offsets");
  if (!shape || !offsets || offsets->size() != 2)
    return std::unexpected("bad shape or data_offsets");
  const std::string type = entry["dtype"].get<std::string>();
  const auto code = std::ranges::find(kCodes, std::string_view(type), &Code::text);
  if (code == kCodes.end())
    return std::unexpected(fmt::format("element type {} is not supported", type));
  const int64_t elements = checkedElements(*shape), end = (*offsets)[1];
  begin = (*offsets)[0];
  if (elements < 0 || end < begin || end > static_cast<int64_t>(data.size()) ||
      end - begin != elements * static_cast<int64_t>(dtypeSize(code->dtype)))
    return std::unexpected(fmt::format("data_offsets [{}, {}] do not fit shape {} of {} in {} bytes of data",
                                       begin, end, entry["shape"].dump(), type, data.size()));
  return TensorView{name, code->dtype, *shape, data.substr(begin, end - begin)};
}

std::string formatHeader(const std::vector<TensorView> &tensors,
                         const std::map<std::string, std::string> &metadata) {
  json header = json::object(); // sorted by key
  if (!metadata.empty())
    header[std::string(kMetadata)] = metadata;
  size_t offset = 0;
  for (const TensorView &tensor : tensors) {
    const auto code = std::ranges::find(kCodes, tensor.dtype, &Code::dtype);
    header[tensor.name] = {{"dtype", std::string(code->text)},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  std::string text = header.dump(-1, ' ', false, json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' '); // so that the data is aligned
  return text;
}

} // namespace

StatusOr<SafeTensors> SafeTensors::parse(std::string bytes, std::string_view name) {
  const auto bad = [&](std::string_view what) { return ioFailure(fmt::format("{}: {}", name, what)); };
  SafeTensors file;
  file.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  const std::string_view all = *file.bytes_;
  uint64_t length = 0;
  if (all.size() < sizeof length)
    return bad("not a safetensors file: shorter than 8 bytes");
  std::memcpy(&length, all.data(), sizeof length);
  if (length > kMaxHeader || length > all.size() - sizeof length)
    return bad(fmt::format("not a safetensors file, or truncated: a header of {} bytes in a file of {}",
                           length, all.size()));
  std::string why;
  const std::optional<json> header = parseHeader(all.substr(sizeof length, length), why);
  if (!header)
    return bad(fmt::format("malformed safetensors header: {}", why));

  const std::string_view data = all.substr(sizeof length + length);
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const auto &[key, entry] : header->items()) {
    if (key == kMetadata) {
      if (!entry.is_object())
        return bad("__metadata__ is not an object");
      for (const auto &[metaKey, value] : entry.items())
        if (value.is_string())
          file.metadata_[metaKey] = value.get<std::string>();
        else
          return bad(fmt::format("__metadata__ '{}' is not a string", metaKey));
      continue;
    }
    int64_t begin = 0;
    auto tensor = readEntry(key, entry, data, begin);
    if (!tensor)
      return bad(fmt::format("tensor '{}': {}", key, tensor.error()));
    ranges.emplace_back(begin, begin + static_cast<int64_t>(tensor->bytes.size()));
    file.tensors_.push_back(std::move(*tensor));
  }
  std::ranges::sort(ranges);
  int64_t end = 0;
  for (const auto &[first, last] : ranges) {
    if (first != end)
      return bad(fmt::format("tensors leave a hole or overlap at byte {} of the data", std::min(first, end)));
    end = last;
  }
  if (end != static_cast<int64_t>(data.size()))
    return bad(fmt::format("{} bytes of data, but the tensors end at {}", data.size(), end));
  return file;
}

StatusOr<SafeTensors> SafeTensors::read(const std::string &path) {
  StatusOr<std::string> bytes = readFile(path);
  if (!bytes)
    return std::unexpected(bytes.error());
  return parse(std::move(*bytes), path);
}

const TensorView *SafeTensors::find(std::string_view name) const {
  const auto it = std::ranges::find(tensors_, name, &TensorView::name);
  return it == tensors_.end() ? nullptr : &*it;
}

Status writeSafeTensors(const std::string &path, std::vector<TensorView> tensors,
                        const std::map<std::string, std::string> &metadata) {
  std::ranges::sort(tensors, {}, &TensorView::name);
  const std::string header = formatHeader(tensors, metadata);
  const uint64_t length = header.size();
  StatusOr<AtomicFile> file = AtomicFile::open(path);
  if (!file)
    return file.error();
  Status status = file->write({reinterpret_cast<const char *>(&length), sizeof length});
  if (status.ok())
    status = file->write(header);
  for (const TensorView &tensor : tensors)
    if (status.ok())
      status = file->write(tensor.bytes);
  return status.ok() ? file->commit() : status;
}

} // namespace gradc
