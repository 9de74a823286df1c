// Small kernels on the simulated device, run for what it reports and counts.
#pragma once
#include "machine/machine.h"
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace cudasim::test {

// A kernel with parameters in and out (addresses), shared memory sm[1024], and registers as named below.
inline std::string wrap(const std::string &body, int target = 80) {
  return fmt::format(".version 8.3\n.target sm_{}\n.address_size 64\n.visible .entry k(.param .u64 in, "
                     ".param .u64 out)\n{{\n"
                     ".reg .b32 r<16>, t;\n.reg .b64 l<16>, pin, pout;\n.reg .f32 f<8>;\n.reg .pred p<4>;\n"
                     ".shared .align 16 .b8 sm[1024];\n.local .align 8 .b8 lm[16];\n"
                     "ld.param.u64 pin, [in];\nld.param.u64 pout, [out];\nmov.u32 t, %tid.x;\n"
                     "mul.wide.u32 l0, t, 4;\nadd.s64 l1, pin, l0;\nadd.s64 l2, pout, l0;\n"
                     "cvt.u32.u64 r0, l0;\nmov.u32 r1, sm;\nadd.u32 r2, r1, r0;\n{}\nret;\n}}\n",
                     target, body);
}

class Checks : public testing::Test {
protected:
  std::expected<Counters, Fault> tryRun(const std::string &body, std::array<uint32_t, 3> grid = {1, 1, 1},
                                        std::array<uint32_t, 3> block = {64, 1, 1}) {
    auto loaded = Module::load(wrap(body), memory);
    if (!loaded)
      return std::unexpected(loaded.error());
    module = std::move(*loaded);
    launch.kernel = module->kernel("k");
    launch.grid = grid;
    launch.block = block;
    void *parameters[] = {input, output};
    launch.parameters.resize(sizeof(parameters));
    std::memcpy(launch.parameters.data(), parameters, sizeof(parameters));
    return run(launch, memory, *findProfile("sm_80"), options);
  }

  void expectFault(const std::string &body, int code, const std::string &text,
                   std::array<uint32_t, 3> grid = {1, 1, 1}, std::array<uint32_t, 3> block = {64, 1, 1}) {
    auto result = tryRun(body, grid, block);
    ASSERT_FALSE(result) << "not caught: " << body;
    EXPECT_EQ(result.error().code, code) << result.error().text;
    EXPECT_NE(result.error().text.find(text), std::string::npos) << "got: " << result.error().text;
  }

  void expectFine(const std::string &body, std::array<uint32_t, 3> grid = {1, 1, 1},
                  std::array<uint32_t, 3> block = {64, 1, 1}) {
    auto result = tryRun(body, grid, block);
    EXPECT_TRUE(result) << body << ": " << (result ? "" : result.error().text);
  }

  void *filled(int64_t bytes) {
    void *place = memory.allocate(bytes);
    std::memset(place, 1, static_cast<size_t>(bytes));
    memory.markWritten(place, bytes);
    return place;
  }

  Memory memory;
  void *input = filled(1024), *output = memory.allocate(1024);
  std::unique_ptr<Module> module;
  Launch launch;
  Options options;
};

} // namespace cudasim::test
