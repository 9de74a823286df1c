#include "runtime/variables.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/embed/state.h"
#include "runtime/init.h"
#include "support/check.h"
#include "support/lanes.h"

namespace gradc {
namespace {

bool isSlot(const StoredVariable &variable) { return variable.spec.kind == VariableSpec::Kind::Slot; }

void copyValues(const TensorView &from, float *to) {
  if (from.dtype == DType::F32) {
    std::memcpy(to, from.bytes.data(), from.bytes.size());
    return;
  }
  for (size_t i = 0; i < from.bytes.size() / sizeof(double); ++i) { // may be unaligned in the file
    double value;
    std::memcpy(&value, from.bytes.data() + i * sizeof value, sizeof value);
    to[i] = static_cast<float>(value);
  }
}

bool hasNonFinite(const float *values, int64_t count) {
  // An exponent of all ones; integer arithmetic vectorises and cannot be optimised away.
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    found |= static_cast<uint32_t>((bits & 0x7f800000) == 0x7f800000);
  }
  return found != 0;
}

/// The weights of the mapped file in place, if they fit; else an empty buffer.
Buffer inFile(const VariableSpec &spec, const SafeTensors *weights) {
  const TensorView *tensor = weights && weights->isMapped() ? weights->find(spec.name) : nullptr;
  const bool fits = tensor && tensor->dtype == DType::F32 && tensor->shape == spec.shape;
  return fits ? Buffer::borrow(tensor->bytes) : Buffer();
}

/// From the beginning of one variable to that of the next. A parameter and its momentum, read side by side, should not
/// compete for the same sets of L1 where a page is a multiple of their size.
int64_t pitch(int64_t bytes) {
  constexpr int64_t kLine = 64, kSkewLines = 17;
  return (bytes + kLine - 1) / kLine * kLine + kSkewLines * kLine;
}

/// A block of 16 rows into lanes, or back. By 16 columns, so that each line of either side is fetched once.
void moveBlock(const float *from, float *to, int64_t columns, bool intoLanes) {
  for (int64_t first = 0; first < columns; first += kLanes)
    for (int64_t row = 0; row < kLanes; ++row)
      for (int64_t column = first; column < std::min(first + kLanes, columns); ++column) {
        const int64_t rowMajor = row * columns + column, lanes = column * kLanes + row;
        to[intoLanes ? lanes : rowMajor] = from[intoLanes ? rowMajor : lanes];
      }
}

} // namespace

StatusOr<VariableStore> VariableStore::create(std::vector<VariableSpec> specs, ThreadPool &pool,
                                              const SafeTensors *weights) {
  VariableStore store;
  store.pool_ = &pool;
  int64_t bytes = 0;
  for (VariableSpec &spec : specs) {
    const int64_t size = elementCount(spec) * static_cast<int64_t>(sizeof(float));
    Buffer inPlace = inFile(spec, weights);
    const bool isMapped = inPlace.data() != nullptr;
    if (isMapped)
      store.keeper_ = weights->keeper();
    else
      bytes += pitch(size);
    store.variables_.push_back({.spec = std::move(spec), .data = std::move(inPlace), .isFresh = !isMapped});
  }
  StatusOr<Buffer> memory = Buffer::allocate(bytes, &pool);
  if (!memory)
    return std::unexpected(memory.error());
  store.memory_ = std::move(*memory);
  const char *next = store.memory_.as<char>();
  for (StoredVariable &variable : store.variables_)
    if (!variable.data.data()) {
      const int64_t size = elementCount(variable.spec) * static_cast<int64_t>(sizeof(float));
      variable.data = Buffer::borrow({next, static_cast<size_t>(size)});
      next += pitch(size);
    }
  return store;
}

TensorView StoredVariable::view() const {
  return {spec.name, DType::F32, spec.shape, {data.as<char>(), static_cast<size_t>(data.size())}};
}

const StoredVariable *VariableStore::find(std::string_view name) const {
  const auto it =
      std::ranges::find_if(variables_, [&](const StoredVariable &v) { return v.spec.name == name; });
  return it == variables_.end() ? nullptr : &*it;
}

StoredVariable *VariableStore::find(std::string_view name) {
  return const_cast<StoredVariable *>(std::as_const(*this).find(name));
}

void VariableStore::arrange(StoredVariable &variable, bool inLanes) {
  constexpr double kSecondsPerByte = 0.2e-9;
  const bool isFresh = std::exchange(variable.isFresh, false);
  if (std::exchange(variable.inLanes, inLanes) == inLanes)
    return;
  const int64_t rows = variable.spec.shape[0], columns = elementCount(variable.spec) / rows;
  CHECK(!keeper_ && rows % kLanes == 0, "'{}' cannot lie in lanes", variable.spec.name);
  if (isFresh) // zeros, as all slots are when training begins
    return;
  float *values = variable.values();
  pool_->parallelFor(rows / kLanes, static_cast<double>(variable.data.size()) * kSecondsPerByte,
                     [&](int64_t begin, int64_t end, int) {
                       std::vector<float> block(static_cast<size_t>(kLanes * columns));
                       for (int64_t i = begin; i < end; ++i) {
                         float *at = values + i * kLanes * columns;
                         std::ranges::copy_n(at, kLanes * columns, block.data());
                         moveBlock(block.data(), at, columns, inLanes);
                       }
                     });
}

void VariableStore::makeRowMajor() {
  for (StoredVariable &variable : variables_)
    if (variable.inLanes)
      arrange(variable, false);
}

Status VariableStore::initialise(uint64_t seed, const std::string &folder, ThreadPool &pool) {
  makeRowMajor();
  for (StoredVariable &variable : variables_) {
    if (isSlot(variable) && variable.isFresh)
      continue;
    const std::span values(variable.values(), static_cast<size_t>(elementCount(variable.spec)));
    if (isSlot(variable))
      std::ranges::fill(values, 0.0f);
    else if (Status status = gradc::initialise(variable.spec, seed, folder, pool, values); !status.ok())
      return status;
  }
  return okStatus();
}

void VariableStore::dropTiny() {
  constexpr int64_t kUnit = 1 << 14;
  constexpr double kSecondsPerElement = 0.2e-9;
  for (StoredVariable &variable : variables_) {
    if (!isSlot(variable) || variable.isFresh)
      continue;
    float *values = variable.values();
    const int64_t count = elementCount(variable.spec);
    pool_->parallelFor((count + kUnit - 1) / kUnit, static_cast<double>(count) * kSecondsPerElement,
                       [&](int64_t begin, int64_t end, int) {
                         const int64_t first = begin * kUnit, last = std::min(end * kUnit, count);
                         gradc_drop_tiny(values + first, static_cast<size_t>(last - first));
                       });
  }
}

std::vector<TensorView> VariableStore::weights() {
  makeRowMajor();
  std::vector<TensorView> views;
  for (const StoredVariable &variable : variables_)
    if (!isSlot(variable))
      views.push_back(variable.view());
  return views;
}

std::vector<TensorView> VariableStore::everything() {
  makeRowMajor();
  std::vector<TensorView> views;
  for (const StoredVariable &variable : variables_)
    views.push_back(variable.view());
  return views;
}

Status VariableStore::loadWeights(const SafeTensors &file, std::string_view source, bool partial) {
  return load(file, source, false, partial);
}

Status VariableStore::loadEverything(const SafeTensors &file, std::string_view source) {
  return load(file, source, true, false);
}

/// PyTorch's state_dict of a batch norm also counts batches; running averages with a fixed momentum need no count.
bool VariableStore::isBatchCount(std::string_view name) const {
  constexpr std::string_view kCount = ".num_batches_tracked";
  return name.ends_with(kCount) &&
         find(std::string(name.substr(0, name.size() - kCount.size())) + ".running_mean") != nullptr;
}

Status VariableStore::load(const SafeTensors &file, std::string_view source, bool slots, bool partial) {
  makeRowMajor();
  std::vector<std::string> missing, extra;
  for (const StoredVariable &variable : variables_)
    if ((slots || !isSlot(variable)) && !file.find(variable.spec.name))
      missing.push_back(variable.spec.name);
  for (const TensorView &tensor : file.tensors()) {
    const StoredVariable *variable = find(tensor.name);
    if (!variable || (!slots && isSlot(*variable))) {
      if (!isBatchCount(tensor.name))
        extra.push_back(tensor.name);
      continue;
    }
    if (tensor.shape != variable->spec.shape)
      return {ExitCode::InvalidInput,
              fmt::format("{}: '{}' has shape [{}], but the model's has [{}]", source, tensor.name,
                          fmt::join(tensor.shape, ","), fmt::join(variable->spec.shape, ","))};
    if (tensor.dtype != DType::F32 && tensor.dtype != DType::F64)
      return {ExitCode::InvalidInput, fmt::format("{}: '{}' has element type {}, but the model's has f32",
                                                  source, tensor.name, dtypeName(tensor.dtype))};
  }
  if (!partial && (!missing.empty() || !extra.empty()))
    return {ExitCode::InvalidInput,
            fmt::format("{}: does not fit the model; missing: {}; not in the model: {}", source,
                        missing.empty() ? "nothing" : fmt::format("{}", fmt::join(missing, ", ")),
                        extra.empty() ? "nothing" : fmt::format("{}", fmt::join(extra, ", ")))};
  for (StoredVariable &variable : variables_)
    if (const TensorView *tensor = file.find(variable.spec.name);
        tensor && (slots || !isSlot(variable)) && tensor->bytes.data() != variable.data.as<char>())
      copyValues(*tensor, variable.values());
  return okStatus();
}

std::optional<std::string> VariableStore::findNonFinite(ThreadPool &pool) const {
  constexpr int64_t kUnit = 1 << 16;
  for (const StoredVariable &variable : variables_) {
    const int64_t count = elementCount(variable.spec);
    std::atomic<bool> found = false;
    pool.parallelFor((count + kUnit - 1) / kUnit, static_cast<double>(count) * 0.3e-9,
                     [&](int64_t begin, int64_t end, int) {
                       const int64_t first = begin * kUnit, last = std::min(end * kUnit, count);
                       if (hasNonFinite(variable.values() + first, last - first))
                         found.store(true, std::memory_order_relaxed);
                     });
    if (found)
      return variable.spec.name;
  }
  return std::nullopt;
}

} // namespace gradc
