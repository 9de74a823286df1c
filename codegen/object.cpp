#include "codegen/object.h"

#include <cstring>
#include <type_traits>

#include "support/hash.h"

namespace gradc {
namespace {

constexpr std::string_view kMagic = "gradc object 1\n";

class Writer {
public:
  template <class T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    text.append(reinterpret_cast<const char *>(&value), sizeof value);
  }
  void put(std::string_view bytes) {
    put(static_cast<uint64_t>(bytes.size()));
    text += bytes;
  }
  std::string text;
};

class Reader {
public:
  explicit Reader(std::string_view text) : text_(text) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  bool get(T &value) {
    if (text_.size() < sizeof value)
      return false;
    std::memcpy(&value, text_.data(), sizeof value);
    text_.remove_prefix(sizeof value);
    return true;
  }
  bool get(std::string &bytes) {
    uint64_t size = 0;
    if (!get(size) || size > text_.size())
      return false;
    bytes = text_.substr(0, size);
    text_.remove_prefix(size);
    return true;
  }
  bool atEnd() const { return text_.empty(); }

private:
  std::string_view text_;
};

} // namespace

std::string serialize(const KernelObject &object) {
  Writer body;
  body.put(object.code.workspaceBytes);
  body.put(static_cast<uint64_t>(object.code.steps.size()));
  for (const KernelStep &step : object.code.steps) {
    body.put(std::string_view(step.symbol));
    body.put(step.items);
    body.put(step.scratchBytes);
    body.put(step.work);
  }
  body.put(std::string_view(object.bytes));
  return std::string(kMagic) + hex(hash128(body.text)) + body.text;
}

bool unserialize(std::string_view text, KernelObject &object) {
  constexpr size_t kHashDigits = 32;
  if (!text.starts_with(kMagic) || text.size() < kMagic.size() + kHashDigits)
    return false;
  std::string_view digits = text.substr(kMagic.size(), kHashDigits),
                   body = text.substr(kMagic.size() + kHashDigits);
  if (hex(hash128(body)) != digits)
    return false;
  Reader reader(body);
  uint64_t steps = 0;
  if (!reader.get(object.code.workspaceBytes) || !reader.get(steps))
    return false;
  for (uint64_t i = 0; i < steps; ++i) {
    KernelStep &step = object.code.steps.emplace_back();
    if (!reader.get(step.symbol) || !reader.get(step.items) || !reader.get(step.scratchBytes) ||
        !reader.get(step.work))
      return false;
  }
  return reader.get(object.bytes) && reader.atEnd();
}

} // namespace gradc
