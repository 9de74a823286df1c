#include "codegen/object_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"

namespace gradc {
namespace {

namespace fs = std::filesystem;

class ObjectCacheTest : public ::testing::Test {
protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "gradc-cache-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  static KernelObject object(std::string bytes) {
    KernelObject made;
    made.bytes = std::move(bytes);
    made.code.workspaceBytes = 640;
    made.code.steps.push_back({"matmul_1", 12, 64, 1e-5});
    made.code.steps.push_back({"matmul_1.combine", 3, 0, 2e-6});
    return made;
  }
  fs::path onlyEntry() const {
    fs::path found;
    for (const auto &entry : fs::directory_iterator(folder_ / "code"))
      found = entry.path();
    return found;
  }

  fs::path folder_;
};

TEST_F(ObjectCacheTest, KeepsWhatWasStored) {
  ObjectCache cache = ObjectCache::open(folder_);
  ASSERT_TRUE(cache.enabled());
  EXPECT_FALSE(cache.load("a"));
  cache.store("a", object("code of a"));
  std::optional<KernelObject> found = cache.load("a");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->bytes, "code of a");
  EXPECT_EQ(found->code.workspaceBytes, 640);
  ASSERT_EQ(found->code.steps.size(), 2u);
  EXPECT_EQ(found->code.steps[1].symbol, "matmul_1.combine");
  EXPECT_EQ(found->code.steps[0].items, 12);
  EXPECT_EQ(found->code.steps[0].scratchBytes, 64);
  EXPECT_EQ(found->code.steps[0].work, 1e-5);
  EXPECT_FALSE(cache.load("b"));
  EXPECT_TRUE(ObjectCache::open(folder_).load("a"));
}

TEST_F(ObjectCacheTest, IgnoresDamagedEntries) {
  ObjectCache cache = ObjectCache::open(folder_);
  cache.store("a", object(std::string(1000, 'x')));
  std::string whole = *readFile(onlyEntry());
  auto write = [&](const std::string &text) { std::ofstream(onlyEntry(), std::ios::binary) << text; };
  for (size_t at : {size_t{3}, size_t{20}, size_t{60}, whole.size() - 1}) {
    std::string changed = whole;
    changed[at] ^= 1;
    write(changed);
    EXPECT_FALSE(cache.load("a")) << "changed at " << at;
  }
  for (size_t length : {size_t{0}, size_t{10}, size_t{50}, whole.size() - 1}) {
    write(whole.substr(0, length));
    EXPECT_FALSE(cache.load("a")) << "cut at " << length;
  }
  write(whole + "more");
  EXPECT_FALSE(cache.load("a"));
  write(whole);
  EXPECT_TRUE(cache.load("a"));
}

TEST_F(ObjectCacheTest, BelongsToTheUserAlone) {
  ObjectCache::open(folder_);
  struct stat info;
  ASSERT_EQ(stat((folder_ / "code").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  fs::permissions(folder_ / "code", fs::perms::all);
  EXPECT_FALSE(ObjectCache::open(folder_).enabled()) << "others may write into it";
  fs::remove_all(folder_ / "code");
  fs::create_directory(folder_ / "elsewhere");
  fs::permissions(folder_ / "elsewhere", fs::perms::owner_all);
  fs::create_directory_symlink(folder_ / "elsewhere", folder_ / "code");
  EXPECT_FALSE(ObjectCache::open(folder_).enabled()) << "a link may lead anywhere";
}

TEST_F(ObjectCacheTest, WithoutAFolderThereIsNoCache) {
  std::ofstream(folder_ / "file") << "not a folder";
  ObjectCache cache = ObjectCache::open(folder_ / "file");
  EXPECT_FALSE(cache.enabled());
  cache.store("a", object("x"));
  EXPECT_FALSE(cache.load("a"));
  EXPECT_FALSE(ObjectCache().load("a"));
}

TEST_F(ObjectCacheTest, TrimsWhatWasUsedLongestAgo) {
  ObjectCache cache = ObjectCache::open(folder_);
  std::vector<fs::path> files;
  for (std::string key : {"a", "b", "c"}) {
    cache.store(key, object(std::string(1000, 'x')));
    for (const auto &entry : fs::directory_iterator(folder_ / "code"))
      if (std::ranges::find(files, entry.path()) == files.end())
        files.push_back(entry.path());
  }
  auto now = fs::file_time_type::clock::now();
  for (size_t i = 0; i < files.size(); ++i)
    fs::last_write_time(files[i], now - std::chrono::hours(10 - static_cast<int>(i)));
  EXPECT_TRUE(cache.load("a")); // used now
  cache.trim(2500);
  EXPECT_TRUE(cache.load("a"));
  EXPECT_FALSE(cache.load("b"));
  EXPECT_TRUE(cache.load("c"));
}

} // namespace
} // namespace gradc
