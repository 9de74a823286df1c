// `--set /json/pointer=value`: changes to a document before it is read.
#include <algorithm>
#include <charconv>

#include "frontend/json.h"
#include "frontend/json_text.h"

namespace gradc {
namespace {

struct Override {
  std::string_view pointer, value;
  uint32_t line = 0;

  JsonPlace place(size_t offset = 0) const {
    return {.line = line, .column = static_cast<uint32_t>(offset) + 1, .isOverride = true};
  }
};

/// One step of a pointer, RFC 6901: ~1 is '/', ~0 is '~'.
std::string unescape(std::string_view step) {
  std::string text;
  for (size_t i = 0; i < step.size(); ++i) {
    bool escaped = step[i] == '~' && i + 1 < step.size() && (step[i + 1] == '0' || step[i + 1] == '1');
    text += !escaped ? step[i] : step[i + 1] == '0' ? '~' : '/';
    i += escaped;
  }
  return text;
}

/// The element of a list by index or by the "name" of an object in it.
Json *element(Json &list, const std::string &step) {
  size_t index = 0;
  auto [stop, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  if (error == std::errc() && stop == step.data() + step.size())
    return index < list.items.size() ? &list.items[index] : nullptr;
  for (Json &item : list.items)
    if (const Json *name = item.find("name"); name && name->isString() && name->text == step)
      return &item;
  return nullptr;
}

/// The value that the pointer names; members of objects that do not exist are made.
Result<Json *> walk(JsonDocument &document, const Override &change, Diagnostics &diag) {
  Json *at = &document.root;
  for (size_t begin = 1; begin <= change.pointer.size();) {
    size_t end = std::min(change.pointer.find('/', begin), change.pointer.size());
    std::string step = unescape(change.pointer.substr(begin, end - begin));
    Location loc = document.loc(change.place(begin));
    if (at->isArray()) {
      Json *next = element(*at, step);
      if (!next)
        return std::unexpected(diag.error(loc, "no element '{}' in a list of {}", step, at->items.size()));
      at = next;
    } else if (at->isObject()) {
      if (!at->find(step)) {
        Json fresh;
        fresh.kind = Json::Kind::Object;
        fresh.place = change.place(begin);
        at->keys.push_back({step, change.place(begin)});
        at->items.push_back(std::move(fresh));
      }
      at = at->find(step);
    } else {
      return std::unexpected(
          diag.error(loc, "'{}' stands below {}, which has no parts", step, describe(*at)));
    }
    begin = end + 1;
  }
  return at;
}

/// JSON where the text begins like JSON, else a string: --set /train/optimizer/type=sgd.
Result<Json> parseValue(const Override &change, Diagnostics &diag) {
  std::string_view text = change.value;
  bool json = !text.empty() && (std::string_view("{[\"-0123456789").find(text[0]) != std::string_view::npos ||
                                text == "true" || text == "false" || text == "null");
  JsonPlace place = change.place(change.pointer.size() + 1);
  if (json)
    return parseJsonText(text, {"--set", place.line, place.column, true}, diag);
  Json word;
  word.kind = Json::Kind::String;
  word.place = place;
  word.text = text;
  return word;
}

} // namespace

Result<void> applyOverrides(JsonDocument &document, std::span<const std::string> overrides,
                            Diagnostics &diag) {
  std::string source;
  for (const std::string &text : overrides)
    source += text + "\n";
  diag.addSource("--set", source);

  for (size_t i = 0; i < overrides.size(); ++i) {
    std::string_view text = overrides[i];
    size_t equals = text.find('=');
    Override change{text.substr(0, equals), {}, static_cast<uint32_t>(i) + 1};
    if (equals == std::string_view::npos || !text.starts_with('/'))
      return std::unexpected(diag.error(document.loc(change.place()), "expects /json/pointer=value"));
    change.value = text.substr(equals + 1);
    Result<Json> value = parseValue(change, diag);
    if (!value)
      return std::unexpected(value.error());
    Result<Json *> target = walk(document, change, diag);
    if (!target)
      return std::unexpected(target.error());
    **target = std::move(*value);
  }
  return {};
}

} // namespace gradc
