// How a function says that it failed. Two kinds, because there are two audiences:
// - Result<T>: a user's file was wrong and the Diagnostics engine already holds the message (compiler side);
// - StatusOr<T>: an operation failed (I/O, device, numbers); the text travels with the value (runtime side).
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace gradc {

/// Exit codes of the command line: a contract with users (docs/command-line.md).
enum class ExitCode : int {
  Ok = 0,
  InvalidInput = 1,
  Usage = 2,
  Numeric = 3,
  Mismatch = 4,
  Io = 5,
  Device = 6,
  Internal = 70,
  Stopped = 75,
};

/// Proof that a diagnostic was reported. Only Diagnostics makes one.
class [[nodiscard]] Reported {
  friend class Diagnostics;
  Reported() = default;
};

template <class T> using Result = std::expected<T, Reported>;

/// What went wrong, as one lower-case sentence without a full stop, and the exit code it maps to.
struct [[nodiscard]] Status {
  ExitCode code = ExitCode::Ok;
  std::string text;

  bool ok() const { return code == ExitCode::Ok; }
};

inline Status okStatus() { return {}; }
inline Status ioError(std::string text) { return {ExitCode::Io, std::move(text)}; }

template <class T> using StatusOr = std::expected<T, Status>;

inline std::unexpected<Status> failure(ExitCode code, std::string text) {
  return std::unexpected(Status{code, std::move(text)});
}
inline std::unexpected<Status> ioFailure(std::string text) { return failure(ExitCode::Io, std::move(text)); }

} // namespace gradc
