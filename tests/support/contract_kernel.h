// Contraction kernels, run and compared with their references to the bit, for every processor, tile and partition of the
// grid.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "codegen/cpu/contract/register_tile.h"
#include "codegen/cpu/kernel.h"
#include "tests/support/contract_reference.h"
#include "tests/support/kernel_jit.h"

namespace gradc::testing::contract {

/// A tensor in memory with poison around it.
class Buffer {
public:
  explicit Buffer(Type type);
  void set(const Floats &logical); // and zero behind the batch
  Floats get();
  /// What n16 has beyond the batch.
  bool paddingIsZero();
  bool marginsIntact() const {
    return std::all_of(memory_.begin(), memory_.begin() + kMargin, [](float x) { return x == kPoison; }) &&
           std::all_of(memory_.end() - kMargin, memory_.end(), [](float x) { return x == kPoison; });
  }
  float *data() { return memory_.data() + kMargin; }

private:
  static constexpr int64_t kMargin = 64;
  static constexpr float kPoison = 1e30f;
  Type type_;
  std::vector<float> memory_;
};

/// Runs the steps of a kernel over a partition of its items that depends on `seed`.
void runSteps(KernelJit &jit, const KernelCode &code, std::vector<void *> buffers, uint32_t seed);

/// A kernel of one contraction of %p and %q.
struct Case {
  std::string op; // "conv2d(%p, %q) {padding = [2,2,2,2]}"
  std::string a, b, result;
  std::string algorithm = "direct";
};

class ContractKernel : public ::testing::Test {
protected:
  /// Compares every bit of the result, what n16 has beyond the batch and what lies around; {0, 0}: the schedule's own tile.
  void check(const Case &c, const std::string &mcpu, RegisterTile tile, uint32_t seed);

  /// On several processors, and with an odd tile.
  void checkAll(const Case &c);

  int64_t l2Bytes = 0; // of the processor, if it shall have another cache than it has
};

/// The type of these dimensions as text.
std::string f32(const std::vector<int64_t> &dims, bool n16);

/// A convolution, for forward and both gradients.
struct ConvCase {
  int64_t n, channels, height, width, filters, kh, kw;
  std::vector<int64_t> stride = {1, 1}, padding = {0, 0, 0, 0}, dilation = {1, 1};
  int64_t groups = 1;
};

/// Its attributes (`kernel` and `input` where a gradient has them) and types as text, and the kernels of them.
struct ConvTexts {
  std::string attrs, kernel, input, x, w, y;

  Case forward(const std::string &algorithm = "direct") const {
    return {"conv2d(%p, %q) {" + attrs + "}", x, w, y, algorithm};
  }
  Case gradInput(const std::string &algorithm = "direct") const {
    return {"conv2d_grad_input(%p, %q) {" + input + attrs + "}", y, w, x, algorithm};
  }
  Case gradWeight(const std::string &algorithm = "direct") const {
    return {"conv2d_grad_weight(%p, %q) {" + kernel + attrs + "}", x, y, w, algorithm};
  }
};

ConvTexts texts(const ConvCase &c, bool n16);

} // namespace gradc::testing::contract
