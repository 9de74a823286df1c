// Textual pipelines: 'expand,autodiff{of=@loss,wrt=[@w,%x]},fuse{max=8}'.
#include <charconv>

#include "passes/pass.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr std::string_view kFile = "<passes>";

bool isWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '-' || c == '~';
}

class PipelineParser {
public:
  PipelineParser(std::string_view text, Diagnostics &diag) : text_(text), diag_(diag) {
    diag_.addSource(std::string(kFile), std::string(text));
  }

  Result<Pipeline> parse() {
    Pipeline pipeline;
    skipSpace();
    if (atEnd())
      return pipeline;
    do {
      Result<PassUse> use = passUse();
      if (!use)
        return std::unexpected(use.error());
      pipeline.push_back(std::move(*use));
    } while (accept(','));
    if (!atEnd())
      return fail("expected ',' between passes, but got '{}'", text_[at_]);
    return pipeline;
  }

private:
  bool atEnd() const { return at_ == text_.size(); }
  void skipSpace() {
    while (!atEnd() && (text_[at_] == ' ' || text_[at_] == '\n'))
      ++at_;
  }
  bool accept(char c) {
    skipSpace();
    if (atEnd() || text_[at_] != c)
      return false;
    ++at_;
    skipSpace();
    return true;
  }
  Location here(size_t at) const { return {std::string(kFile), 1, static_cast<uint32_t>(at + 1), {}}; }
  template <class... Args>
  std::unexpected<Reported> fail(fmt::format_string<Args...> format, Args &&...args) {
    return std::unexpected(diag_.error(here(at_), format, std::forward<Args>(args)...));
  }

  /// A run of word characters; a quoted string is one word too. Empty where there is none.
  std::string word() {
    skipSpace();
    if (accept('"')) {
      size_t end = std::min(text_.find('"', at_), text_.size());
      std::string quoted(text_.substr(at_, end - at_));
      at_ = std::min(end + 1, text_.size());
      return quoted;
    }
    size_t start = at_;
    while (!atEnd() && isWordChar(text_[at_]))
      ++at_;
    std::string found(text_.substr(start, at_ - start));
    skipSpace();
    return found;
  }

  Result<PassUse> passUse() {
    size_t start = at_;
    std::string name = word();
    const PassDef *def = findPass(name);
    if (!def) {
      std::vector<std::string_view> names;
      for (const PassDef *pass : allPasses())
        names.push_back(pass->name);
      at_ = start;
      return name.empty() ? fail("expected the name of a pass")
                          : fail("no pass is named '{}'{}", name, proposal(name, names));
    }
    PassUse use{def, {}};
    if (accept('{') && !accept('}')) {
      do {
        if (Result<void> read = option(use); !read)
          return std::unexpected(read.error());
      } while (accept(','));
      if (!accept('}'))
        return fail("expected '}}' after the options of '{}'", name);
    }
    return use;
  }

  Result<void> option(PassUse &use) {
    size_t start = at_;
    std::string name = word();
    const PassOption *known = nullptr;
    std::vector<std::string_view> names;
    for (const PassOption &row : use.def->options) {
      names.push_back(row.name);
      known = row.name == name ? &row : known;
    }
    if (!known) {
      at_ = start;
      return fail("pass '{}' has no option '{}'{}", use.def->name, name, proposal(name, names));
    }
    Attr value = true; // an option without "=" is a flag
    if (accept('=')) {
      start = at_;
      Result<Attr> given = attr();
      if (!given)
        return std::unexpected(given.error());
      value = std::move(*given);
    }
    if (!convert(value, known->defaultValue)) {
      at_ = start;
      return fail("option '{}' of '{}' has another kind: expected one like {}, but got {}", name,
                  use.def->name, toString(known->defaultValue), toString(value));
    }
    use.options.set(name, std::move(value));
    return {};
  }

  /// An option has its default's kind; one without a default takes any.
  static bool convert(Attr &value, const Attr &like) {
    if (like.as<Unit>() || value.storage().index() == like.storage().index())
      return true;
    if (like.as<double>() && value.as<int64_t>()) {
      value = static_cast<double>(*value.as<int64_t>());
      return true;
    }
    if (const Keyword *bare = value.as<Keyword>(); bare && like.as<SymbolRef>()) {
      value = SymbolRef{bare->word}; // of=loss means of=@loss
      return true;
    }
    return false;
  }

  Result<Attr> attr() {
    if (accept('[')) {
      AttrList list;
      if (accept(']'))
        return Attr(list);
      do {
        Result<Attr> element = attr();
        if (!element)
          return element;
        list.push_back(std::move(*element));
      } while (accept(','));
      if (!accept(']'))
        return fail("expected ']' at the end of the list");
      return Attr(list);
    }
    if (accept('@'))
      return Attr(SymbolRef{word()});
    if (accept('%')) // values have no attribute kind of their own
      return Attr(Keyword{"%" + word()});
    size_t start = at_;
    if (!atEnd() && text_[at_] == '"')
      return Attr(word());
    std::string text = word();
    if (text.empty()) {
      at_ = start;
      return fail("expected a value");
    }
    return number(text);
  }

  static Attr number(const std::string &text) {
    if (text == "true" || text == "false")
      return text == "true";
    const char *end = text.data() + text.size();
    int64_t integer = 0;
    if (auto [stop, error] = std::from_chars(text.data(), end, integer); error == std::errc() && stop == end)
      return integer;
    double real = 0;
    if (auto [stop, error] = std::from_chars(text.data(), end, real); error == std::errc() && stop == end)
      return real;
    return Keyword{text};
  }

  std::string_view text_;
  Diagnostics &diag_;
  size_t at_ = 0;
};

} // namespace

Result<Pipeline> parsePipeline(std::string_view text, Diagnostics &diag) {
  return PipelineParser(text, diag).parse();
}

std::string toString(const Pipeline &pipeline) {
  std::string text;
  for (const PassUse &use : pipeline) {
    text += fmt::format("{}{}", text.empty() ? "" : ",", use.def->name);
    std::string options;
    for (const auto &[name, value] : use.options)
      options += fmt::format("{}{}={}", options.empty() ? "" : ",", name, toString(value));
    if (!options.empty())
      text += "{" + options + "}";
  }
  return text;
}

} // namespace gradc
