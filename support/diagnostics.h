// Diagnostics about input files: collected, several per run, printed with the source line and a caret.
//
//   lenet.json:12:47: error: conv2d has no attribute 'kernl'; did you mean 'kernel'?
//       {"name": "conv1", "op": "conv2d", "inputs": ["image"], "kernl": 5},
//                                                              ^
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "support/result.h"

namespace gradc {

/// A place in an input file. Lines and columns count from 1, columns in bytes; line 0 means no place is known.
/// A value made from several others (by fusion or CSE) carries their places in `fused`.
struct Location {
  std::string file;
  uint32_t line = 0;
  uint32_t column = 0;
  std::vector<Location> fused;

  bool known() const { return line != 0 || !fused.empty(); }
  bool operator==(const Location &) const = default;
};

enum class Severity : uint8_t { Error, Warning, Remark, Note };
std::string_view severityName(Severity severity);

struct Diagnostic {
  Severity severity = Severity::Error;
  Location loc;
  std::string message; // lower case, no full stop
  std::vector<Diagnostic> notes;
};

/// Collects diagnostics. Not thread-safe: one engine per compilation.
class Diagnostics {
public:
  /// Registers the text of a file, so that messages can show its lines.
  void addSource(std::string file, std::string text);
  const std::string *source(std::string_view file) const;

  Reported report(Severity severity, Location loc, std::string message);

  template <class... Args> Reported error(Location loc, fmt::format_string<Args...> format, Args &&...args) {
    return report(Severity::Error, std::move(loc), fmt::format(format, std::forward<Args>(args)...));
  }
  /// An error that is no fault of the input: a file cannot be written.
  template <class... Args> Reported ioError(fmt::format_string<Args...> format, Args &&...args) {
    isIo_ = true;
    return report(Severity::Error, {}, fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args> void warning(Location loc, fmt::format_string<Args...> format, Args &&...args) {
    (void)report(Severity::Warning, std::move(loc), fmt::format(format, std::forward<Args>(args)...));
  }
  template <class... Args> void remark(Location loc, fmt::format_string<Args...> format, Args &&...args) {
    (void)report(Severity::Remark, std::move(loc), fmt::format(format, std::forward<Args>(args)...));
  }
  /// Attaches a note to the latest diagnostic.
  template <class... Args> void note(Location loc, fmt::format_string<Args...> format, Args &&...args) {
    addNote(std::move(loc), fmt::format(format, std::forward<Args>(args)...));
  }

  /// For a caller whose errors were reported one by one: the proof that there are some (CHECK).
  Reported failed() const;
  bool hasErrors() const { return errors_ != 0; }
  size_t errorCount() const { return errors_; }
  /// What the command line makes of it.
  ExitCode exitCode() const {
    return errors_ == 0 ? ExitCode::Ok : isIo_ ? ExitCode::Io : ExitCode::InvalidInput;
  }
  const std::vector<Diagnostic> &all() const { return diagnostics_; }

  /// All diagnostics as text, in the order reported; `color` adds terminal colours.
  std::string render(bool color = false) const;
  std::string render(const Diagnostic &diagnostic, bool color = false) const;

private:
  void addNote(Location loc, std::string message);

  std::vector<Diagnostic> diagnostics_;
  std::map<std::string, std::string, std::less<>> sources_;
  size_t errors_ = 0;
  bool isIo_ = false; // one of them is ioError's
};

/// The candidate nearest to `word` by edit distance, or empty when none is near enough to propose
/// (more than a third of the word's length away). Ties go to the first candidate.
std::string_view nearestName(std::string_view word, const std::vector<std::string_view> &candidates);

/// "; did you mean 'kernel'?" or an empty string.
std::string proposal(std::string_view word, const std::vector<std::string_view> &candidates);

} // namespace gradc
