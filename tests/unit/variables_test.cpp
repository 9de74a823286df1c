#include "runtime/variables.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/unit/scratch_folder.h"

using namespace gradc;

namespace {

/// A batch norm's tensors as a state_dict has them, and one more.
StatusOr<SafeTensors> stateDict(const std::string &extra) {
  const std::string path = scratchFolder() + "state.safetensors", count(8, '\3'), one("\0\0\x80\x3f", 4);
  std::vector<TensorView> tensors;
  for (const char *name : {"bn.weight", "bn.running_mean"})
    tensors.push_back({name, DType::F32, {1}, one});
  tensors.push_back({extra, DType::I64, {}, count});
  if (Status written = writeSafeTensors(path, tensors, {}); !written.ok())
    return std::unexpected(written);
  return SafeTensors::read(path);
}

Status load(const std::string &extra) {
  ThreadPool pool(1);
  std::vector<VariableSpec> specs;
  for (const char *name : {"bn.weight", "bn.running_mean"})
    specs.push_back({.name = name, .shape = {1}});
  StatusOr<VariableStore> store = VariableStore::create(specs, pool);
  StatusOr<SafeTensors> file = stateDict(extra);
  if (!store || !file)
    return store ? file.error() : store.error();
  Status loaded = store->loadWeights(*file, "state");
  EXPECT_EQ(*store->find("bn.weight")->values(), loaded.ok() ? 1 : 0);
  return loaded;
}

} // namespace

TEST(Variables, PassesOverPyTorchsCountsOfBatches) {
  EXPECT_TRUE(load("bn.num_batches_tracked").ok());
  for (const char *other : {"fc.num_batches_tracked", "bn.num_batches"})
    EXPECT_EQ(load(other).text,
              std::string("state: does not fit the model; missing: nothing; not in the model: ") + other);
}

TEST(Variables, LeavesMappedWeightsWhereTheyAre) {
  const std::string path = scratchFolder() + "mapped.safetensors", line(64, '\1'), odd(12, '\2');
  ASSERT_TRUE(
      writeSafeTensors(
          path,
          {{"big", DType::F32, {16}, line}, {"odd", DType::F32, {3}, odd}, {"off", DType::F32, {3}, odd}}, {})
          .ok());
  StatusOr<SafeTensors> mapped = SafeTensors::map(path);
  ASSERT_TRUE(mapped);
  ThreadPool pool(1);
  const std::vector<VariableSpec> specs = {
      {.name = "big", .shape = {16}}, {.name = "odd", .shape = {3}}, {.name = "off", .shape = {3}}};
  StatusOr<VariableStore> store = VariableStore::create(specs, pool, &*mapped);
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->loadWeights(*mapped, path).ok());
  const char *inFile = mapped->find("big")->bytes.data();
  *mapped = SafeTensors(); // the store keeps the file
  EXPECT_EQ(reinterpret_cast<const char *>(store->find("big")->values()), inFile);
  EXPECT_EQ(store->find("off")->view().bytes, odd); // lies at 64 + 12: copied
  EXPECT_EQ(reinterpret_cast<uintptr_t>(store->find("off")->values()) % 64, 0u);
  EXPECT_EQ(store->find("odd")->view().bytes, odd);
}

namespace {

/// Element [row, column] of a variable in lanes.
float inLanes(const StoredVariable &variable, int64_t row, int64_t column) {
  const int64_t columns = variable.spec.shape[1];
  return variable.values()[(row / 16 * columns + column) * 16 + row % 16];
}

/// The number of the element, beginning with `first`.
std::string counted(int64_t elements, float first) {
  std::vector<float> values(static_cast<size_t>(elements));
  std::iota(values.begin(), values.end(), first);
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)};
}

const std::vector<VariableSpec> kDense = {
    {.name = "w", .shape = {48, 37}},
    {.name = "b", .shape = {48}},
    {.kind = VariableSpec::Kind::Slot, .name = "w.momentum", .shape = {48, 37}}};
constexpr int64_t kWeights = 48 * 37;

/// A file of all of them whose weights begin with `first`.
StatusOr<SafeTensors> dense(float first) {
  const std::string path = scratchFolder() + "dense.safetensors";
  const std::string w = counted(kWeights, first), b = counted(48, 0), momentum = counted(kWeights, -first);
  const Status written = writeSafeTensors(path,
                                          {{"w", DType::F32, {48, 37}, w},
                                           {"b", DType::F32, {48}, b},
                                           {"w.momentum", DType::F32, {48, 37}, momentum}},
                                          {});
  return written.ok() ? SafeTensors::read(path) : std::unexpected(written);
}

} // namespace

TEST(Variables, LieInLanesForProgramsThatWantThemSo) {
  ThreadPool pool(2);
  StatusOr<VariableStore> store = VariableStore::create(kDense, pool);
  ASSERT_TRUE(store);
  StoredVariable &w = *store->find("w");
  for (float first : {100.0f, 7000.0f}) {
    ASSERT_TRUE(
        store->loadEverything(*dense(first), "dense").ok()); // the second time while they are in lanes
    for (int times = 0; times < 2; ++times)
      store->arrange(w, true);
    for (int64_t row = 0; row < 48; ++row)
      for (int64_t column = 0; column < 37; ++column)
        ASSERT_EQ(inLanes(w, row, column), first + static_cast<float>(row * 37 + column));
    EXPECT_EQ(store->find("b")->view().bytes, counted(48, 0));
    EXPECT_EQ(store->find("w.momentum")->view().bytes, counted(kWeights, -first));
    EXPECT_EQ(store->findNonFinite(pool), std::nullopt);
    store->arrange(w, false); // for a program that wants it row-major
    EXPECT_EQ(w.view().bytes, counted(kWeights, first));
    store->arrange(w, true);
    EXPECT_EQ(store->weights()[0].bytes, counted(kWeights, first));
    store->arrange(w, true);
    EXPECT_EQ(store->everything()[0].bytes, counted(kWeights, first));
    store->arrange(w, true);
  }
}

/// The zeros of fresh memory are not moved, and only those.
TEST(Variables, FreshSlotsLieInLanesToo) {
  ThreadPool pool(2);
  StatusOr<VariableStore> store = VariableStore::create(kDense, pool);
  ASSERT_TRUE(store);
  StoredVariable &m = *store->find("w.momentum");
  for (int64_t row : {0, 15, 33}) {
    const int64_t column = row + 3;
    ASSERT_TRUE(store->initialise(1, "", pool).ok()); // zeros, also where a value of the round before lies
    store->arrange(m, true);
    ASSERT_EQ(inLanes(m, row, column), 0);
    store->arrange(m, false);
    m.values()[row * 37 + column] = 5;
    m.values()[47 * 37 + 36] = -0.0f;
    store->arrange(m, true);
    EXPECT_EQ(inLanes(m, row, column), 5);
    EXPECT_EQ(std::count(m.values(), m.values() + kWeights, 5.0f), 1);
    EXPECT_TRUE(std::signbit(inLanes(m, 47, 36)));
  }
}

TEST(Variables, SlotsBecomeZeroAlsoAfterALoad) {
  ThreadPool pool(1);
  StatusOr<VariableStore> store = VariableStore::create(kDense, pool);
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->loadEverything(*dense(100), "dense").ok());
  ASSERT_TRUE(store->initialise(1, "", pool).ok());
  const StoredVariable &m = *store->find("w.momentum");
  EXPECT_EQ(std::count(m.values(), m.values() + kWeights, 0.0f), kWeights);
}

TEST(Variables, TinyNumbersOfSlotsAreDropped) {
  ThreadPool pool(2);
  StatusOr<VariableStore> store = VariableStore::create(kDense, pool);
  ASSERT_TRUE(store);
  ASSERT_TRUE(store->initialise(1, "", pool).ok());
  store->dropTiny(); // of fresh slots
  StoredVariable &w = *store->find("w"), &m = *store->find("w.momentum");
  const float kept[] = {0x1p-100f, -0x1p-100f, 0.0f, -0.0f, 1.0f}, dropped[] = {0x1p-101f, 1e-40f, 1.4e-45f};
  std::ranges::copy(kept, m.values());
  for (int i = 0; i < 3; ++i) {
    m.values()[5 + i] = w.values()[i] = dropped[i];
    m.values()[kWeights - 1 - i] = -dropped[i];
  }
  store->dropTiny();
  EXPECT_EQ(std::memcmp(m.values(), kept, sizeof kept), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(std::bit_cast<uint32_t>(m.values()[5 + i]), 0u);
    EXPECT_EQ(std::bit_cast<uint32_t>(m.values()[kWeights - 1 - i]), 0x80000000);
    EXPECT_EQ(w.values()[i], dropped[i]);
  }
}

TEST(Variables, LieInOnePieceApartFromEachOther) {
  ThreadPool pool(1);
  std::vector<VariableSpec> specs;
  for (const char *name : {"a", "b", "c"})
    specs.push_back({.name = name, .shape = {1024}}); // a page each
  StatusOr<VariableStore> store = VariableStore::create(specs, pool);
  ASSERT_TRUE(store);
  const VariableStore moved = std::move(*store);
  uintptr_t end = reinterpret_cast<uintptr_t>(moved.find("a")->values());
  for (const StoredVariable &variable : moved.variables()) {
    const auto begin = reinterpret_cast<uintptr_t>(variable.values());
    EXPECT_EQ(begin % 64, 0u);
    EXPECT_GE(begin, end);
    EXPECT_LT(begin, end + 4096);
    end = begin + 4096;
  }
  EXPECT_NE(reinterpret_cast<uintptr_t>(moved.find("a")->values()) % 4096,
            reinterpret_cast<uintptr_t>(moved.find("b")->values()) % 4096);
}
