#include "support/diagnostics.h"

#include <algorithm>

#include "support/check.h"

namespace gradc {
namespace {

/// Source lines longer than this are cut around the caret: a model may be one line of a megabyte.
constexpr size_t kMaxShownBytes = 160;

std::string_view colorOf(Severity severity) {
  switch (severity) {
  case Severity::Error: return "\033[1;31m";
  case Severity::Warning: return "\033[1;35m";
  case Severity::Remark: return "\033[1;34m";
  case Severity::Note: return "\033[1;36m";
  }
  return "";
}

/// The place to show: a fused location shows its first known part.
const Location &shownPlace(const Location &loc) {
  if (loc.line != 0)
    return loc;
  for (const Location &part : loc.fused)
    if (part.known())
      return shownPlace(part);
  return loc;
}

std::string_view lineOf(std::string_view text, uint32_t line) {
  for (uint32_t i = 1; i < line; ++i) {
    size_t end = text.find('\n');
    if (end == std::string_view::npos)
      return {};
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

bool continuesCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// The line and a caret under byte `column` (from 1). Columns count bytes, so continuation bytes of UTF-8 get
/// no space below, and a tab gets a tab. Control characters could confuse a terminal and print as spaces.
std::string lineWithCaret(std::string_view line, uint32_t column) {
  size_t caret = std::min<size_t>(column - 1, line.size());
  size_t first = caret > kMaxShownBytes / 2 && line.size() > kMaxShownBytes ? caret - kMaxShownBytes / 2 : 0;
  while (first < caret && continuesCharacter(line[first]))
    ++first;
  std::string shown, below;
  if (first > 0)
    shown = below = "...";
  std::fill(below.begin(), below.end(), ' ');
  size_t end = std::min(line.size(), first + kMaxShownBytes);
  for (size_t i = first; i < end; ++i) {
    char c = line[i];
    bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    shown += control && c != '\t' ? ' ' : c;
    if (i < caret && !continuesCharacter(c))
      below += c == '\t' ? '\t' : ' ';
  }
  if (end < line.size())
    shown += "...";
  while (!shown.empty() && (shown.back() == ' ' || shown.back() == '\t'))
    shown.pop_back();
  return shown + "\n" + below + "^\n";
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Edits (insert, delete, replace, swap of neighbours) from a to b, capitals aside.
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j)
    d[0][j] = j;
  auto same = [&](size_t i, size_t j) { return lower(a[i - 1]) == lower(b[j - 1]); };
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same(i, j) ? 0 : 1)});
      if (i > 1 && j > 1 && same(i, j - 1) && same(i - 1, j))
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

} // namespace

std::string_view severityName(Severity severity) {
  switch (severity) {
  case Severity::Error: return "error";
  case Severity::Warning: return "warning";
  case Severity::Remark: return "remark";
  case Severity::Note: return "note";
  }
  return "";
}

void Diagnostics::addSource(std::string file, std::string text) {
  sources_.insert_or_assign(std::move(file), std::move(text));
}

const std::string *Diagnostics::source(std::string_view file) const {
  auto found = sources_.find(file);
  return found == sources_.end() ? nullptr : &found->second;
}

Reported Diagnostics::report(Severity severity, Location loc, std::string message) {
  if (severity == Severity::Error)
    ++errors_;
  diagnostics_.push_back({severity, std::move(loc), std::move(message), {}});
  return {};
}

Reported Diagnostics::failed() const {
  CHECK(hasErrors());
  return {};
}

void Diagnostics::addNote(Location loc, std::string message) {
  CHECK(!diagnostics_.empty(), "a note needs a diagnostic");
  diagnostics_.back().notes.push_back({Severity::Note, std::move(loc), std::move(message), {}});
}

std::string Diagnostics::render(const Diagnostic &diagnostic, bool color) const {
  const Location &loc = shownPlace(diagnostic.loc);
  std::string text;
  std::string_view bold = color ? "\033[1m" : "", reset = color ? "\033[0m" : "";
  if (loc.line != 0)
    text = fmt::format("{}{}:{}:{}:{} ", bold, loc.file, loc.line, loc.column, reset);
  else
    text = fmt::format("{}{}:{} ", bold, loc.file.empty() ? "gradc" : loc.file, reset);
  text += fmt::format("{}{}:{} {}\n", color ? colorOf(diagnostic.severity) : "",
                      severityName(diagnostic.severity), reset, diagnostic.message);
  const std::string *source = this->source(loc.file);
  if (loc.line != 0 && loc.column != 0 && source)
    text += lineWithCaret(lineOf(*source, loc.line), loc.column);
  for (const Diagnostic &note : diagnostic.notes)
    text += render(note, color);
  return text;
}

std::string Diagnostics::render(bool color) const {
  constexpr size_t kMaxShown = 200; // a file made of errors shall not take minutes to print
  std::string text;
  for (size_t i = 0; i < diagnostics_.size() && i < kMaxShown; ++i)
    text += render(diagnostics_[i], color);
  if (diagnostics_.size() > kMaxShown)
    text += fmt::format("gradc: and {} more\n", diagnostics_.size() - kMaxShown);
  return text;
}

std::string_view nearestName(std::string_view word, const std::vector<std::string_view> &candidates) {
  constexpr size_t kLongest = 100; // the distance takes quadratic time, and words come from untrusted files
  if (word.size() > kLongest)
    return {};
  std::string_view best;
  size_t bestDistance = word.size() / 3 + 1;
  for (std::string_view candidate : candidates) {
    size_t atLeast = std::max(word.size(), candidate.size()) - std::min(word.size(), candidate.size());
    if (atLeast >= bestDistance)
      continue;
    if (size_t distance = editDistance(word, candidate); distance < bestDistance)
      best = candidate, bestDistance = distance;
  }
  return best;
}

std::string proposal(std::string_view word, const std::vector<std::string_view> &candidates) {
  std::string_view nearest = nearestName(word, candidates);
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

} // namespace gradc
