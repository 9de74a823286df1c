#include "support/files.h"

#include <csignal>
#include <filesystem>
#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/hash.h"

namespace gradc {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
protected:
  Files() : folder_(fs::temp_directory_path() / ("gradc-files-" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }
  std::string path(const char *name) const { return folder_ / name; }
  int64_t entries() const { return std::distance(fs::directory_iterator(folder_), {}); }

private:
  fs::path folder_;
};

TEST_F(Files, WritesAndReads) {
  std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(writeFileAtomically(path("x"), bytes).ok());
  ASSERT_TRUE(writeFileAtomically(path("x"), bytes + "c").ok());
  EXPECT_EQ(readFile(path("x")).value(), bytes + "c");
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, ErrorsNameTheFileAndTheReason) {
  StatusOr<std::string> missing = readFile(path("no.json"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().text, "cannot open '" + path("no.json") + "': No such file or directory");
  EXPECT_EQ(missing.error().code, ExitCode::Io);
  EXPECT_EQ(readFile(path("")).error().text, "cannot read '" + path("") + "': Is a directory");
  EXPECT_EQ(writeFileAtomically(path("no/x"), "").text,
            "cannot write '" + path("no/x") + "': No such file or directory");
}

TEST_F(Files, RefusesEndlessInput) {
  EXPECT_EQ(readFile("/dev/zero", 1000).error().text, "cannot read '/dev/zero': it has more than 1000 bytes");
}

TEST_F(Files, DevicesAreWrittenDirectly) {
  EXPECT_TRUE(writeFileAtomically("/dev/null", "x").ok());
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(writeFileAtomically("/dev/full", "x").text, "cannot write '/dev/full': No space left on device");
}

TEST_F(Files, AFailedWriteLeavesTheOldFile) {
  ASSERT_TRUE(writeFileAtomically(path("x"), "old").ok());
  // A limit on file sizes fails a write in the middle, as a full disk does.
  struct rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  struct rlimit small = before;
  small.rlim_cur = 1000;
  auto handler = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  Status status = writeFileAtomically(path("x"), std::string(5000, 'n'));
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  EXPECT_EQ(status.text, "cannot write '" + path("x") + "': File too large");
  EXPECT_EQ(readFile(path("x")).value(), "old");
  EXPECT_EQ(entries(), 1);
}

TEST_F(Files, AFolderIsLockedByOne) {
  {
    StatusOr<Descriptor> lock = lockFolder(path(""));
    ASSERT_TRUE(lock);
    EXPECT_TRUE(lock->isOpen());
    StatusOr<Descriptor> second = lockFolder(path(""));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().text, "'" + path("") + "' is in use: another run writes into it");
    EXPECT_EQ(second.error().code, ExitCode::Io);
  }
  EXPECT_TRUE(lockFolder(path("")));
  StatusOr<Descriptor> none = lockFolder(path("none")); // no lock is no error
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->isOpen());
}

TEST_F(Files, LeftoversAreThoseOfOneFile) {
  const char *const others[] = {"x.npz.7-0.tmp", "y.7-0.tmp", "x.tmp", "x.my-0.tmp", "x7-0.tmp", "x.7-0"};
  for (const char *name : others)
    ASSERT_TRUE(writeFileAtomically(path(name), "").ok());
  ASSERT_TRUE(writeFileAtomically(path("x.7-0.tmp"), "").ok());
  ASSERT_TRUE(writeFileAtomically(path("x.4194304-12.tmp"), "").ok());
  removeLeftovers(path(""), "x");
  EXPECT_EQ(entries(), static_cast<int64_t>(std::size(others)));
  for (const char *name : others)
    EXPECT_TRUE(fs::exists(path(name))) << name;
  removeLeftovers(path("none"), "x");
}

TEST_F(Files, WithoutCommitNothingHappens) {
  {
    StatusOr<AtomicFile> file = AtomicFile::open(path("x"));
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("half").ok());
  }
  EXPECT_EQ(entries(), 0);
}

TEST(Hash, IsStableAndSeparatesPieces) {
  EXPECT_EQ(hex(hash64("")), "2d06800538d394c2"); // XXH3's published value for no input
  EXPECT_EQ(hex(hash128("")), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(Hasher().bytes("abc", 3).digest128(), hash128("abc"));
  EXPECT_NE(Hasher().add("ab").add("c").digest64(), Hasher().add("a").add("bc").digest64());
  EXPECT_EQ(hex(Hash128{1, 2}), "00000000000000010000000000000002");
}

} // namespace
} // namespace gradc
