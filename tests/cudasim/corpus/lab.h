// Kernels of CUDA C++, compiled by NVRTC and run on the simulated device.
#pragma once
#include "machine/machine.h"
#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace cudasim::test {

// A device buffer with the values that it began with.
template <class T> class Buffer {
public:
  Buffer(Memory &memory, std::vector<T> values) : host(std::move(values)), memory(memory), size(host.size()) {
    place = static_cast<T *>(memory.allocate(bytes()));
    write();
  }
  Buffer(Memory &memory, size_t size)
      : host(size), memory(memory), size(size), place(static_cast<T *>(memory.allocate(bytes()))) {}
  Buffer(const Buffer &) = delete;
  ~Buffer() { memory.free(place); }
  void zero() {
    host.assign(size, T{});
    write();
  }
  std::vector<T> read() const { return {place, place + size}; }
  T *device() const { return place; }
  std::vector<T> host;

private:
  int64_t bytes() const { return static_cast<int64_t>(size * sizeof(T)); }
  void write() {
    std::memcpy(place, host.data(), size * sizeof(T));
    memory.markWritten(place, bytes());
  }
  Memory &memory;
  size_t size;
  T *place = nullptr;
};

struct Shape {
  std::array<uint32_t, 3> grid, block;
  uint32_t shared = 0;
};

// Tests run for each architecture's PTX, on the device of that architecture.
class Corpus : public testing::TestWithParam<int> {
protected:
  void SetUp() override; // skips where there is no NVRTC

  template <class... T>
  Counters launch(const char *file, const char *kernel, Shape shape, const T &...arguments) {
    auto counters = tryLaunch(file, kernel, shape, arguments...);
    if (!counters) {
      ADD_FAILURE() << counters.error().text;
      return {};
    }
    return *counters;
  }

  template <class... T>
  std::expected<Counters, Fault> tryLaunch(const char *file, const char *kernel, Shape shape,
                                           const T &...arguments) {
    Launch request{
        .kernel = find(file, kernel), .grid = shape.grid, .block = shape.block, .sharedBytes = shape.shared};
    if (!request.kernel)
      return std::unexpected(Fault{kNotFound, std::string("no kernel ") + kernel});
    request.parameters.resize(static_cast<size_t>(request.kernel->parameterBytes));
    size_t index = 0;
    (put(request, index++, arguments), ...);
    return run(request, memory, *findProfile("sm_" + std::to_string(GetParam())), options);
  }

  // |value - reference| <= tolerance * (1 + |reference|) for all elements.
  template <class T>
  void expectNear(const std::vector<T> &values, const std::function<double(int)> &reference,
                  double tolerance = 1e-5) {
    for (size_t k = 0; k < values.size(); ++k) {
      double expected = reference(static_cast<int>(k)), value = static_cast<double>(values[k]);
      if (!(std::fabs(value - expected) <= tolerance * (1 + std::fabs(expected)))) {
        ADD_FAILURE() << "element " << k << ": got " << value << ", expected " << expected;
        return;
      }
    }
  }

  template <class T = float> Buffer<T> empty(size_t size) { return Buffer<T>(memory, size); }
  template <class T> Buffer<T> buffer(std::vector<T> values) { return Buffer<T>(memory, std::move(values)); }
  Buffer<float> random(size_t size, float low = -2, float high = 2) {
    return Buffer<float>(memory, numbers(size, low, high));
  }
  std::vector<float> numbers(size_t size, float low = -2, float high = 2);

  Memory memory;
  Options options = Options::fromEnvironment();
  std::mt19937 generator{1};

private:
  template <class T> static void put(Launch &request, size_t index, const Buffer<T> &argument) {
    put(request, index, argument.device());
  }
  template <class T> static void put(Launch &request, size_t index, const T &argument) {
    auto [offset, bytes] = request.kernel->parameters.at(index);
    ASSERT_EQ(bytes, static_cast<int64_t>(sizeof(T))) << "parameter " << index;
    std::memcpy(request.parameters.data() + offset, &argument, sizeof(T));
  }
  const Kernel *find(const std::string &file, const char *kernel);
  std::map<std::string, std::unique_ptr<Module>> modules;
};

} // namespace cudasim::test
