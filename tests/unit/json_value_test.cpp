// The JSON that programs exchange: what is read, what is refused and why, what is written.
#include "support/json_value.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace gradc {
namespace {

std::string refusal(std::string_view text) {
  const auto value = parseJsonValue(text, 3);
  return value ? "" : value.error();
}

TEST(JsonValue, ReadsEveryKind) {
  const auto value = parseJsonValue(
      " {\"a\" : [1, -2.5e3, true, false, null], \"b\": {}, \"c\": \"x\\ty\\u00e4\\ud83d\\ude00\"}\n");
  ASSERT_TRUE(value) << value.error();
  const std::vector<JsonValue> &a = value->find("a")->items;
  EXPECT_EQ(a.at(0).integer(), 1);
  EXPECT_EQ(a.at(1).number(), -2500);
  EXPECT_EQ(a.at(1).integer(), std::nullopt);
  EXPECT_TRUE(a.at(2).boolean);
  EXPECT_TRUE(a.at(3).is(JsonValue::Kind::Bool) && !a.at(3).boolean);
  EXPECT_TRUE(a.at(4).is(JsonValue::Kind::Null));
  EXPECT_TRUE(std::isnan(a.at(4).number()));
  EXPECT_TRUE(value->find("b")->is(JsonValue::Kind::Object));
  EXPECT_TRUE(value->find("c")->isString("x\ty\u00e4\U0001f600"));
  EXPECT_EQ(value->find("d"), nullptr);
  EXPECT_EQ(parseJsonValue("18446744073709551615")->natural(), UINT64_MAX);
  EXPECT_EQ(parseJsonValue("18446744073709551615")->integer(), std::nullopt);
}

TEST(JsonValue, SaysWhatItRefuses) {
  EXPECT_EQ(refusal(""), "expected a value at byte 0");
  EXPECT_EQ(refusal("{"), "expected \" at byte 1");
  EXPECT_EQ(refusal("[1 2]"), "expected a comma at byte 3");
  EXPECT_EQ(refusal("[1,]"), "expected a value at byte 3");
  EXPECT_EQ(refusal("{\"a\" 1}"), "expected a colon at byte 5");
  EXPECT_EQ(refusal("1 2"), "expected the end at byte 2");
  EXPECT_EQ(refusal(std::string_view("1\0", 2)), "expected the end at byte 1");
  EXPECT_EQ(refusal("01"), "a number begins with 0");
  EXPECT_EQ(refusal("1."), "expected a digit at byte 2");
  EXPECT_EQ(refusal("-"), "expected a digit at byte 1");
  EXPECT_EQ(refusal("\"a\nb\""), "expected a character at byte 2");
  EXPECT_EQ(refusal("\"a"), "expected a character at byte 2");
  EXPECT_EQ(refusal("\"\\x\""), "expected an escape at byte 2");
  EXPECT_EQ(refusal("\"\\u12\""), "expected four hexadecimal digits at byte 3");
  for (const char *half : {"\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\ud83d\""})
    EXPECT_TRUE(refusal(half).starts_with("expected the other half of a character")) << half;
  EXPECT_EQ(refusal("{\"a\":1,\"b\":2,\"a\":3}"), "'a' stands twice");
  EXPECT_EQ(refusal("[[[]]]"), "");
  EXPECT_EQ(refusal("[[[[]]]]"), "it is nested too deeply");
  for (const char *bytes : {"\"\x80\"", "\"\xc0\x80\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
                            "\"\xf5\x80\x80\x80\"", "\"\xe4\xb8\""})
    EXPECT_EQ(refusal(bytes), "expected a character at byte 1");
}

TEST(JsonValue, WritesWhatItReads) {
  const std::string text = JsonObject()
                               .add("number", 0.1)
                               .add("whole", 3.0)
                               .add("large", 1e300)
                               .add("none", std::numeric_limits<double>::infinity())
                               .add("count", int64_t{-7})
                               .add("yes", true)
                               .add("list", std::vector<std::string>{"a\"", "\x01\n", "\xff"})
                               .addText("empty", JsonObject().text())
                               .text();
  EXPECT_EQ(text, "{\"number\":0.1,\"whole\":3.0,\"large\":1e+300,\"none\":null,\"count\":-7,\"yes\":true,"
                  "\"list\":[\"a\\\"\",\"\\u0001\\n\",\"\ufffd\"],\"empty\":{}}");
  EXPECT_TRUE(parseJsonValue(text));
  EXPECT_EQ(JsonObject().add("a", 1).add("b", "x").lines(), "{\n  \"a\":1,\n  \"b\":\"x\"\n}");
}

} // namespace
} // namespace gradc
