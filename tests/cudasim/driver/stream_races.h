// Finds operations of two streams that touch the same memory and that nothing orders, whatever order they ran in.
//
// What comes before what is known from the streams, the events and the host's waits (Clock). Copies, memsets and
// products say what they touch; of a kernel's launch, the tags that the machine leaves at each cell tell. So a copy is
// compared with all that is not ordered with it; two kernels of two streams are not compared.
#pragma once

#include <optional>
#include <string>

#include "driver/queue.h"

namespace cudasim {

class StreamRaces {
public:
  /// An operation is about to run; its work's clock has its own place, too.
  void begin(std::string what, const Clock &clock);
  /// It touches these bytes. Returns what it races with.
  std::optional<std::string> range(const Memory &memory, uintptr_t address, size_t bytes, bool write);
  /// It was a kernel; the launch's tags are those between.
  std::optional<std::string> launch(const Memory &memory, uint32_t firstTag, uint32_t endTag);
  /// The host has waited for these: all that comes is ordered behind them.
  void forget(const Clock &seen);

private:
  struct Range {
    uintptr_t begin = 0, end = 0;
    bool write = false;
  };
  struct Touch {
    std::string what;
    Clock clock;
    uint32_t firstTag = 0, endTag = 0;
    std::vector<Range> ranges;
  };
  static bool conflict(const Memory &memory, const Range &range, uint32_t firstTag, uint32_t endTag);
  std::optional<std::string> against(const Touch &other) const;

  Touch now_;
  std::vector<Touch> past_;
};

} // namespace cudasim
