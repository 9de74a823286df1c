#include "support/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include "support/files.h"
#include "support/json_value.h"
#include "support/npy.h"

namespace gradc {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;
constexpr int kMaxDepth = 3;      // {name: {shape: [
constexpr size_t kAlignment = 64; // of the data in a file
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

std::optional<std::vector<int64_t>> integers(const JsonValue *list) {
  if (!list || !list->is(JsonValue::Kind::Array))
    return std::nullopt;
  std::vector<int64_t> values;
  for (const JsonValue &item : list->items) {
    const int64_t value = item.integer().value_or(-1);
    if (value < 0 || value > int64_t{1} << 48)
      return std::nullopt;
    values.push_back(value);
  }
  return values;
}

/// One entry of the header, or what is wrong with it. `begin` is where the tensor starts in the data.
std::expected<TensorView, std::string> readEntry(const std::string &name, const JsonValue &entry,
                                                 std::string_view data, int64_t &begin) {
  const JsonValue *type = entry.find("dtype");
  if (entry.items.size() != 3 || !type || !type->is(JsonValue::Kind::String))
    return std::unexpected("expected dtype, shape and data_offsets");
  const auto shape = integers(entry.find("shape")), offsets = integers(entry.find("data_offsets"));
  if (!shape || !offsets || offsets->size() != 2)
    return std::unexpected("bad shape or data_offsets");
  const auto code = std::ranges::find(kCodes, std::string_view(type->text), &Code::text);
  if (code == kCodes.end())
    return std::unexpected(fmt::format("element type {} is not supported", type->text));
  const int64_t elements = checkedElements(*shape), end = (*offsets)[1];
  begin = (*offsets)[0];
  if (elements < 0 || end < begin || end > static_cast<int64_t>(data.size()) ||
      end - begin != elements * static_cast<int64_t>(dtypeSize(code->dtype)))
    return std::unexpected(fmt::format("data_offsets [{}, {}] do not fit shape {} of {} in {} bytes of data",
                                       begin, end, jsonText(*shape), type->text, data.size()));
  return TensorView{name, code->dtype, *shape, data.substr(begin, end - begin)};
}

std::string formatHeader(const std::vector<TensorView> &tensors,
                         const std::map<std::string, std::string> &metadata) {
  std::map<std::string_view, std::string> entries; // sorted, so that a file does not depend on who writes it
  if (!metadata.empty()) {
    JsonObject words;
    for (const auto &[name, value] : metadata)
      words.add(name, value);
    entries[kMetadata] = words.text();
  }
  size_t offset = 0;
  for (const TensorView &tensor : tensors) {
    const auto code = std::ranges::find(kCodes, tensor.dtype, &Code::dtype);
    const size_t begin = offset;
    offset += tensor.bytes.size();
    entries[tensor.name] = JsonObject()
                               .add("data_offsets", std::array{begin, offset})
                               .add("dtype", code->text)
                               .add("shape", tensor.shape)
                               .text();
  }
  JsonObject header;
  for (const auto &[name, entry] : entries)
    header.addText(name, entry);
  std::string text = header.text();
  const size_t whole = (sizeof(uint64_t) + text.size() + kAlignment - 1) / kAlignment * kAlignment;
  text.resize(whole - sizeof(uint64_t), ' '); // so that the data is aligned
  return text;
}

} // namespace

StatusOr<SafeTensors> SafeTensors::parse(std::string bytes, std::string_view name) {
  SafeTensors file;
  const auto kept = std::make_shared<const std::string>(std::move(bytes));
  file.keeper_ = kept;
  const Status status = file.index(*kept, name);
  return status.ok() ? StatusOr<SafeTensors>(std::move(file)) : std::unexpected(status);
}

StatusOr<SafeTensors> SafeTensors::view(std::string_view bytes, std::string_view name) {
  SafeTensors file;
  file.isMapped_ = true;
  const Status status = file.index(bytes, name);
  return status.ok() ? StatusOr<SafeTensors>(std::move(file)) : std::unexpected(status);
}

StatusOr<SafeTensors> SafeTensors::map(const std::string &path) {
  const StatusOr<std::shared_ptr<const MappedFile>> mapped = MappedFile::open(path);
  if (!mapped)
    return std::unexpected(mapped.error());
  StatusOr<SafeTensors> file = view((*mapped)->bytes(), path);
  if (file)
    file->keeper_ = *mapped;
  return file;
}

Status SafeTensors::index(std::string_view all, std::string_view name) {
  const auto bad = [&](std::string_view what) { return ioError(fmt::format("{}: {}", name, what)); };
  uint64_t length = 0;
  if (all.size() < sizeof length)
    return bad("not a safetensors file: shorter than 8 bytes");
  std::memcpy(&length, all.data(), sizeof length);
  if (length > kMaxHeader || length > all.size() - sizeof length)
    return bad(fmt::format("not a safetensors file, or truncated: a header of {} bytes in a file of {}",
                           length, all.size()));
  const auto header = parseJsonValue(all.substr(sizeof length, length), kMaxDepth);
  if (!header || !header->is(JsonValue::Kind::Object))
    return bad(fmt::format("malformed safetensors header: {}",
                           header ? "it is not a JSON object" : std::string_view(header.error())));

  const std::string_view data = all.substr(sizeof length + length);
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (size_t i = 0; i < header->items.size(); ++i) {
    const std::string &key = header->names[i];
    const JsonValue &entry = header->items[i];
    if (key == kMetadata) {
      if (!entry.is(JsonValue::Kind::Object))
        return bad("__metadata__ is not an object");
      for (size_t j = 0; j < entry.items.size(); ++j)
        if (entry.items[j].is(JsonValue::Kind::String))
          metadata_[entry.names[j]] = entry.items[j].text;
        else
          return bad(fmt::format("__metadata__ '{}' is not a string", entry.names[j]));
      continue;
    }
    int64_t begin = 0;
    auto tensor = readEntry(key, entry, data, begin);
    if (!tensor)
      return bad(fmt::format("tensor '{}': {}", key, tensor.error()));
    ranges.emplace_back(begin, begin + static_cast<int64_t>(tensor->bytes.size()));
    tensors_.push_back(std::move(*tensor));
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
  std::ranges::sort(tensors_, {}, &TensorView::name);
  return okStatus();
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

std::tuple<bool, std::string_view> fileOrder(const TensorView &tensor) {
  return {tensor.bytes.size() % kAlignment != 0, tensor.name};
}

Status writeSafeTensors(const std::string &path, std::vector<TensorView> tensors,
                        const std::map<std::string, std::string> &metadata) {
  std::ranges::sort(tensors, {}, fileOrder);
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
