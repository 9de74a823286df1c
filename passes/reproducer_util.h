// Writes the reproducer of a crash inside a pass.
#pragma once

#include "passes/pass.h"
#include "support/check.h"

namespace gradc {

/// While it lives, an internal error of this thread writes `reproducer` to a file.
class ScopedReproducer {
public:
  explicit ScopedReproducer(Reproducer &reproducer);
  ~ScopedReproducer() { (void)setReproducer(former_); }
  ScopedReproducer(const ScopedReproducer &) = delete;
  ScopedReproducer &operator=(const ScopedReproducer &) = delete;

private:
  ReproducerSlot former_;
};

/// The text of the file.
std::string reproducerText(const Reproducer &reproducer);

} // namespace gradc
