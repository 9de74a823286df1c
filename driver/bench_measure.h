// What `gradc bench` measures: one program of a session, on made-up inputs.
#pragma once

#include <memory>
#include <vector>

#include "driver/run_times.h"
#include "driver/session.h"

namespace gradc {

struct Measured : RunTimes {
  int64_t arenaBytes = 0;
  std::vector<StepTime> kernels; // medians
};

/// Batches that the runs take in turn, as a training loop feeds them: gathering one belongs to the time of a step.
class Feed {
public:
  static StatusOr<Feed> make(const Session &session);

  /// Also takes the results of as many runs before as the device does not keep open.
  Status run(BatchRunner &runner);
  Status finishAll() { return runs_->finishAll(); }

private:
  static constexpr int64_t kBatches = 16;
  Feed(Dataset data, int64_t batch);

  Dataset data_;
  std::vector<int64_t> order_;
  int64_t batch_, next_ = 0;
  std::unique_ptr<OpenRuns<int>> runs_;
};

/// Runs the program for about so many seconds, and again half as long for the times of its kernels. A training step is
/// timed with the gathering of its batch, inference on inputs that lie in memory already.
StatusOr<Measured> measure(double seconds, Session &session, Runners &runners, Feed &feed, ProgramKind kind);

} // namespace gradc
