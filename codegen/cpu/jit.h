// Links object files into this process.
#pragma once

#include <memory>
#include <string>

#include "codegen/cpu/target.h"
#include "runtime/abi.h"
#include "support/result.h"

namespace gradc {

class Jit {
public:
  static StatusOr<std::unique_ptr<Jit>> create(const CpuTarget &target);
  ~Jit();

  /// Adds the object that defines `symbol` and others that begin like it; each symbol once.
  Status add(const std::string &symbol, const std::string &object);
  /// The address of a kernel; code lives as long as the Jit.
  StatusOr<gradc_kernel> find(const std::string &symbol);

private:
  struct State;
  explicit Jit(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

} // namespace gradc
