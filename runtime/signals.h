// What a user or a batch system tells a running training by signals.
//
//   SIGINT, SIGTERM   finish the step, write a checkpoint, stop; a second SIGINT ends the process at once (130)
//   SIGHUP, SIGUSR1   write a checkpoint and go on
//   SIGUSR2           print where the run stands
//   SIGPIPE, SIGXFSZ  a write into a pipe that nobody reads, or over the file size limit, fails instead of killing the
//                     process
#pragma once

namespace gradc {

/// Handles the signals while it lives; puts back what was there before. One at a time.
class SignalScope {
public:
  SignalScope();
  ~SignalScope();
  SignalScope(const SignalScope &) = delete;
  SignalScope &operator=(const SignalScope &) = delete;

  bool stopRequested() const;
  /// True once per request.
  bool takeCheckpointRequest();
  bool takeStatusRequest();

private:
  struct Saved;
  Saved *saved_;
};

} // namespace gradc
