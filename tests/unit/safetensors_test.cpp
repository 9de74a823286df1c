#include "support/safetensors.h"

#include <cstring>

#include <gtest/gtest.h>

#include "support/files.h"
#include "tests/unit/scratch_folder.h"

using namespace gradc;

namespace {

std::string file(std::string header, std::string data) {
  const uint64_t length = header.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + header + data;
}

std::string message(std::string header, std::string data) {
  StatusOr<SafeTensors> tensors = SafeTensors::parse(file(header, data), "w");
  return tensors ? "" : tensors.error().text;
}

TEST(SafeTensors, RoundTripsSortedAndDeterministic) {
  const std::string path = scratchFolder() + "gradc_w.safetensors", again = path + "2";
  const std::vector<TensorView> tensors = {{"fc.weight", DType::F32, {2, 1}, "abcdefgh"},
                                           {"bias", DType::U8, {3}, "xyz"},
                                           {"scalar", DType::F64, {}, "12345678"},
                                           {"empty", DType::I64, {0}, ""}};
  ASSERT_TRUE(writeSafeTensors(path, tensors, {{"format", "gradc/1"}}).ok());
  ASSERT_TRUE(writeSafeTensors(again, {tensors.rbegin(), tensors.rend()}, {{"format", "gradc/1"}}).ok());
  EXPECT_EQ(*readFile(path), *readFile(again));
  StatusOr<SafeTensors> back = SafeTensors::read(path);
  ASSERT_TRUE(back) << back.error().text;
  ASSERT_EQ(back->tensors().size(), 4u);
  EXPECT_EQ(back->tensors()[0].name, "bias");
  EXPECT_EQ(back->find("fc.weight")->bytes, "abcdefgh");
  EXPECT_EQ(back->find("fc.weight")->shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(back->find("scalar")->dtype, DType::F64);
  EXPECT_EQ(back->find("nothing"), nullptr);
  EXPECT_EQ(back->metadata().at("format"), "gradc/1");
}

TEST(SafeTensors, RefusesWhatIsWrong) {
  const std::string a = R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  EXPECT_EQ(message("{" + a + "}", "xy"), "");
  EXPECT_EQ(message("{" + a + "}", "xyz"), "w: 3 bytes of data, but the tensors end at 2");
  EXPECT_EQ(message("{" + a + "," + a + "}", "xy"), "w: malformed safetensors header: 'a' stands twice");
  EXPECT_EQ(message("[]", ""), "w: malformed safetensors header: it is not a JSON object");
  EXPECT_EQ(message("{", ""), "w: malformed safetensors header: expected \" at byte 1");
  EXPECT_EQ(message(R"({"a":{"b":[[[[[]]]]]}})", ""),
            "w: malformed safetensors header: it is nested too deeply");
  EXPECT_EQ(message(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,3]}})", "xyz"),
            "w: tensor 'a': data_offsets [0, 3] do not fit shape [2] of U8 in 3 bytes of data");
  EXPECT_EQ(message(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "xyz"),
            "w: tensors leave a hole or overlap at byte 0 of the data");
  EXPECT_EQ(message("{" + a + R"(,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "xyz"),
            "w: tensors leave a hole or overlap at byte 1 of the data");
  EXPECT_EQ(message(R"({"a":{"dtype":"Q4","shape":[2],"data_offsets":[0,2]}})", "xy"),
            "w: tensor 'a': element type Q4 is not supported");
  EXPECT_EQ(message(R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", "xy"),
            "w: tensor 'a': bad shape or data_offsets");
  EXPECT_EQ(message(R"({"a":3})", "xy"), "w: tensor 'a': expected dtype, shape and data_offsets");
  EXPECT_EQ(
      message(R"({"a":{"dtype":"F32","shape":[281474976710656,281474976710656],"data_offsets":[0,0]}})", ""),
      "w: tensor 'a': data_offsets [0, 0] do not fit shape [281474976710656,281474976710656] of F32 in 0 "
      "bytes "
      "of data");
  EXPECT_EQ(message(R"({"__metadata__":{"a":1}})", ""), "w: __metadata__ 'a' is not a string");
  EXPECT_EQ(message(R"({"__metadata__":1})", ""), "w: __metadata__ is not an object");
  EXPECT_EQ(SafeTensors::parse("abc", "w").error().text, "w: not a safetensors file: shorter than 8 bytes");
  EXPECT_EQ(SafeTensors::parse(std::string(8, '\xff'), "w").error().text,
            "w: not a safetensors file, or truncated: a header of 18446744073709551615 bytes in a file of 8");
  EXPECT_EQ(SafeTensors::read("/nonexistent").error().code, ExitCode::Io);
}

TEST(SafeTensors, MapsFilesWithWholeCacheLinesInFront) {
  const std::string path = scratchFolder() + "mapped.safetensors", line(64, 'x');
  ASSERT_TRUE(writeSafeTensors(path, {{"a", DType::U8, {3}, "abc"}, {"b", DType::F32, {16}, line}}, {}).ok());
  StatusOr<SafeTensors> mapped = SafeTensors::map(path);
  ASSERT_TRUE(mapped) << mapped.error().text;
  EXPECT_TRUE(mapped->isMapped());
  EXPECT_EQ(mapped->tensors()[0].name, "a");
  EXPECT_EQ(mapped->find("a")->bytes, "abc");
  EXPECT_EQ(mapped->find("b")->bytes, line);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(mapped->find("b")->bytes.data()) % 64, 0u);
  const SafeTensors moved = std::move(*mapped);
  EXPECT_EQ(moved.find("b")->bytes, line);
  EXPECT_FALSE(SafeTensors::read(path)->isMapped());
  EXPECT_EQ(SafeTensors::map("/nonexistent").error().text,
            "cannot open '/nonexistent': No such file or directory");
  EXPECT_EQ(SafeTensors::map("/dev/null").error().text, "cannot map '/dev/null': Invalid argument");
}

} // namespace
