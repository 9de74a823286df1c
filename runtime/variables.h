// The variables of a model in memory: parameters, buffers and optimiser slots, all f32.
//
// Files have them row-major, but the programs of a run may want some in lanes (n16 of ir/layout.h, which takes as many
// bytes). A program that starts brings those there, and who reads or writes values brings them back: in an epoch once
// each, whatever is saved at its end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/buffer.h"
#include "runtime/thread_pool.h"
#include "support/config.h"
#include "support/result.h"
#include "support/safetensors.h"

namespace gradc {

struct StoredVariable {
  VariableSpec spec;
  Buffer data;
  bool inLanes = false; // the memory is in layout n16 (ir/layout.h), else row-major
  bool isFresh = false; // still the zeros of create(): who writes `data` calls values() or arrange() before

  float *values() {
    isFresh = false;
    return data.as<float>();
  }
  const float *values() const { return data.as<float>(); }
  TensorView view() const;
};

class VariableStore {
public:
  /// All zeros; where `weights` are mapped (SafeTensors::isMapped) and fit, those, in place: then nobody may write them.
  static StatusOr<VariableStore> create(std::vector<VariableSpec> specs, ThreadPool &pool,
                                        const SafeTensors *weights = nullptr);

  const std::vector<StoredVariable> &variables() const { return variables_; }
  const StoredVariable *find(std::string_view name) const;

  StoredVariable *find(std::string_view name);
  /// Brings one of the variables into layout n16 or back, in place, before a program runs that wants it so and may write
  /// it. Legal in n16 where dimension 0 is a multiple of 16 and no weights are mapped.
  void arrange(StoredVariable &variable, bool inLanes);

  /// By each variable's own initialiser; slots become zero.
  Status initialise(uint64_t seed, const std::string &folder, ThreadPool &pool);

  /// gradc_drop_tiny (runtime/embed/state.h) of all slots.
  void dropTiny();

  /// Parameters and buffers, what a weights file holds. Views into this store, until a program runs.
  std::vector<TensorView> weights();
  /// Weights and slots.
  std::vector<TensorView> everything();

  /// Takes parameters and buffers from a file named `source`. Missing, extra or misshapen tensors are an error that
  /// lists them (exit code 1) and changes nothing; `partial` takes what fits by name. The counts of batches that
  /// PyTorch keeps in a batch norm are passed over.
  Status loadWeights(const SafeTensors &file, std::string_view source, bool partial = false);
  /// The same for everything, slots too.
  Status loadEverything(const SafeTensors &file, std::string_view source);

  /// Name of the first variable that has a NaN or an infinity, if any.
  std::optional<std::string> findNonFinite(ThreadPool &pool) const;

private:
  bool isBatchCount(std::string_view name) const;
  Status load(const SafeTensors &file, std::string_view source, bool slots, bool partial);
  void makeRowMajor();

  std::shared_ptr<const void> keeper_; // of variables that lie in a file
  Buffer memory_;                      // of all others: one piece, so that it lies in huge pages
  std::vector<StoredVariable> variables_;
  ThreadPool *pool_ = nullptr;
};

} // namespace gradc
