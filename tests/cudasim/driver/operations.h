// What a stream or a graph can be asked to do. Operations are data, so that a graph can be built, looked at and
// updated; execute.h runs them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <variant>
#include <vector>

#include "driver/cuda_abi.h"
#include "machine/machine.h"

namespace cudasim {

struct Function;

struct KernelLaunch {
  std::shared_ptr<const Function> function; // keeps the module of launch.kernel
  Launch launch;
};

/// One end of a copy: bytes of the device or of the host, `pitch` from row to row, `slice` from plane to plane.
struct CopySide {
  bool device = false;
  uintptr_t address = 0;
  size_t pitch = 0, slice = 0;
};

struct Copy {
  CopySide to, from;
  size_t width = 0, height = 1, depth = 1;
  // The bytes of a pageable source, taken when the copy was asked for; else the host's memory is read when it runs.
  std::shared_ptr<const std::vector<uint8_t>> staged;
};

struct Fill {
  uintptr_t address = 0;
  size_t pitch = 0; // bytes from row to row
  uint32_t value = 0, elementSize = 1;
  size_t width = 0, height = 1; // elements, rows
};

struct HostCall {
  CUhostFn function = nullptr;
  void *userData = nullptr;
};

struct Empty {};

using NodeOperation = std::variant<KernelLaunch, Copy, Fill, HostCall, Empty>;

/// An instantiated graph as one launch sees it: later changes of its parameters make another one.
struct Instance {
  struct Node {
    NodeOperation operation;
    std::vector<size_t> after; // indices of nodes that must have run
  };
  std::vector<Node> nodes;
};

struct Replay {
  std::shared_ptr<const Instance> instance;
};

/// When an event's record ran, on the device's invented clock.
struct Stamp {
  double milliseconds = 0;
};

struct Record {
  std::shared_ptr<Stamp> stamp;
};

using Operation = std::variant<NodeOperation, Replay, Record>;

} // namespace cudasim
