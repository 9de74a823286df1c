#include "support/npy.h"

#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/unit/scratch_folder.h"

using namespace gradc;

namespace {

NpyArray sample() {
  return {DType::I32, {2, 3}, std::string("\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5\0\0\0\6\0\0\0", 24)};
}

TEST(Npy, RoundTripsEveryElementTypeAndRank) {
  for (DType dtype :
       {DType::F32, DType::F64, DType::F16, DType::I8, DType::U8, DType::I32, DType::I64, DType::Bool})
    for (const std::vector<int64_t> &shape :
         std::vector<std::vector<int64_t>>{{}, {3}, {2, 3}, {0, 4}, {2, 1, 2}}) {
      NpyArray array{dtype, shape, std::string(checkedElements(shape) * dtypeSize(dtype), '\1')};
      StatusOr<std::string> bytes = formatNpy(array);
      ASSERT_TRUE(bytes);
      EXPECT_EQ((bytes->size() - array.bytes.size()) % 64, 0u);
      StatusOr<NpyArray> back = parseNpy(*bytes, "x");
      ASSERT_TRUE(back) << back.error().text;
      EXPECT_EQ(back->dtype, dtype);
      EXPECT_EQ(back->shape, shape);
      EXPECT_EQ(back->bytes, array.bytes);
    }
}

TEST(Npy, HasNoBf16) {
  EXPECT_EQ(formatNpy({DType::BF16, {1}, "\1\2"}).error().text, ".npy has no element type bf16");
}

TEST(Npy, FortranOrderBecomesRowMajor) {
  std::string bytes = *formatNpy(sample());
  bytes.replace(bytes.find("False"), 5, "True ");
  StatusOr<NpyArray> array = parseNpy(bytes, "x");
  ASSERT_TRUE(array);
  const int32_t *v = reinterpret_cast<const int32_t *>(array->bytes.data());
  EXPECT_EQ(std::vector<int32_t>(v, v + 6), (std::vector<int32_t>{1, 3, 5, 2, 4, 6}));
}

TEST(Npy, RefusesWhatIsWrong) {
  const std::string good = *formatNpy(sample());
  const auto message = [&](std::string bytes) { return parseNpy(bytes, "x.npy").error().text; };
  EXPECT_EQ(message("hello"), "x.npy: not an .npy file");
  EXPECT_EQ(message(good.substr(0, 40)), "x.npy: truncated .npy header");
  EXPECT_EQ(message(good.substr(0, good.size() - 1)),
            "x.npy: shape (2, 3) of i32 needs 24 bytes, but got 23");
  std::string other = good;
  other.replace(other.find("<i4"), 3, ">i4");
  EXPECT_EQ(message(other), "x.npy: element type '>i4' is not supported");
  other = good;
  other.replace(other.find("(2, 3)"), 6, "(-2,3)");
  EXPECT_EQ(message(other), "x.npy: bad shape (-2,3)");
  other = good;
  other[6] = 9;
  EXPECT_EQ(message(other), "x.npy: unknown .npy version 9");
  other = good;
  other.replace(other.find("'shape'"), 7, "'shepe'");
  EXPECT_EQ(message(other), "x.npy: malformed .npy header");
  EXPECT_FALSE(formatNpy({DType::BF16, {1}, "ab"}));
  EXPECT_EQ(readNpy("/nonexistent.npy").error().code, ExitCode::Io);
}

TEST(Npz, RoundTripsAndIsDeterministic) {
  const NpzArrays arrays = {{"b", sample()}, {"a.weight", {DType::F32, {}, std::string(4, '\2')}}};
  StatusOr<std::string> bytes = formatNpz(arrays);
  ASSERT_TRUE(bytes);
  EXPECT_EQ(*bytes, *formatNpz(arrays));
  StatusOr<NpzArrays> back = parseNpz(*bytes, "x");
  ASSERT_TRUE(back) << back.error().text;
  ASSERT_EQ(back->size(), 2u);
  EXPECT_EQ((*back)[0].first, "b");
  EXPECT_EQ((*back)[0].second.bytes, sample().bytes);
  EXPECT_EQ((*back)[1].first, "a.weight");
}

TEST(Npz, RefusesWhatIsWrong) {
  const std::string good = *formatNpz({{"b", sample()}});
  const auto message = [&](std::string bytes) { return parseNpz(bytes, "x.npz").error().text; };
  EXPECT_EQ(message("PK"), "x.npz: not an .npz file, or truncated");
  EXPECT_EQ(message(good.substr(0, good.size() - 30)), "x.npz: not an .npz file, or truncated");
  std::string other = good;
  other[other.find("NUMPY") + 130] ^= 1;
  EXPECT_EQ(message(other), "x.npz: b.npy: wrong checksum");
  other = good.substr(40);
  EXPECT_EQ(message(other), "x.npz: malformed zip directory");
  other = good;
  other[other.find("PK\1\2") + 10] = 1;
  EXPECT_EQ(message(other), "x.npz: b.npy: unsupported zip method 1");
}

TEST(Npz, ReadsWhatNumPyCompresses) {
  const std::string dir = scratchFolder() + "gradc_npz";
  std::filesystem::create_directories(dir);
  const std::string command = "/usr/bin/python3 -c \"import numpy as n; n.savez_compressed('" + dir +
                              "/c.npz', x=n.arange(1000,dtype='f4'), y=n.ones((2,2),order='F')); n.savez('" +
                              dir + "/s.npz', x=n.arange(1000,dtype='f4'))\" 2>/dev/null";
  if (std::system(command.c_str()) != 0)
    GTEST_SKIP() << "no numpy here";
  for (const char *file : {"/c.npz", "/s.npz"}) {
    StatusOr<NpzArrays> arrays = readNpz(dir + file);
    ASSERT_TRUE(arrays) << arrays.error().text;
    EXPECT_EQ(reinterpret_cast<const float *>((*arrays)[0].second.bytes.data())[999], 999.0f);
  }
}

} // namespace
