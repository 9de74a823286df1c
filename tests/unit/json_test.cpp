#include "frontend/json.h"

#include <cmath>

#include <gtest/gtest.h>

namespace gradc {
namespace {

std::string place(const Json &value) { return fmt::format("{}:{}", value.place.line, value.place.column); }

JsonDocument parsed(const std::string &text) {
  Diagnostics diag;
  Result<JsonDocument> document = parseJson(text, "f.json", diag);
  EXPECT_TRUE(document) << diag.render();
  return document ? std::move(*document) : JsonDocument{};
}

std::string errors(const std::string &text) {
  Diagnostics diag;
  EXPECT_FALSE(parseJson(text, "f.json", diag));
  std::string all;
  for (const Diagnostic &d : diag.all())
    all += fmt::format("{}:{} {}\n", d.loc.line, d.loc.column, d.message);
  return all;
}

TEST(Json, EveryKindOfValueKnowsItsPlace) {
  JsonDocument d = parsed("// first\n{\"a\": [1, -2.5e3 , \"s\\n\\\"\"],\n  // between\n\t\"b\" : {\"c\": "
                          "true},\"d\":null}\n// end");
  EXPECT_EQ(place(d.root), "2:1");
  const Json &a = *d.root.find("a");
  EXPECT_EQ(place(a), "2:7");
  EXPECT_EQ(place(a.items[0]), "2:8");
  EXPECT_EQ(place(a.items[1]), "2:11");
  EXPECT_EQ(a.items[1].number, -2500);
  EXPECT_EQ(place(a.items[2]), "2:20");
  EXPECT_EQ(a.items[2].text, "s\n\"");
  EXPECT_EQ(d.root.findKey("b")->place.line, 4u);
  EXPECT_EQ(d.root.findKey("b")->place.column, 2u);
  EXPECT_EQ(place(*d.root.find("b")->find("c")), "4:14");
  EXPECT_EQ(place(*d.root.find("d")), "4:24");
  EXPECT_EQ(d.root.findKey("d")->place.column, 20u);
}

TEST(Json, NumbersKeepTheirText) {
  JsonDocument d =
      parsed("[9223372036854775807, 9223372036854775808, 18446744073709551616, -0, -0.0, 1e2, 0.1]");
  EXPECT_EQ(d.root.items[0].integer(), 9223372036854775807);
  EXPECT_EQ(d.root.items[1].integer(), std::nullopt);
  EXPECT_EQ(d.root.items[2].text, "18446744073709551616");
  EXPECT_EQ(d.root.items[3].integer(), 0);
  EXPECT_TRUE(std::signbit(d.root.items[4].number));
  EXPECT_EQ(d.root.items[5].integer(), std::nullopt);
  EXPECT_EQ(d.root.items[5].number, 100);
  EXPECT_EQ(d.root.items[6].number, 0.1);
}

TEST(Json, NumbersAtTheEdgesOfTokens) {
  EXPECT_EQ(parsed("12").root.text, "12");
  EXPECT_EQ(parsed("12 // x").root.text, "12");
  JsonDocument d = parsed("[[1],{\"a\":2}]");
  EXPECT_EQ(place(d.root.items[1]), "1:6");
  EXPECT_EQ(place(*d.root.items[1].find("a")), "1:11");
}

TEST(Json, AByteOrderMarkCountsAsColumns) { EXPECT_EQ(place(parsed("\xEF\xBB\xBF[1]").root), "1:4"); }

TEST(Json, SyntaxErrorsPointAtTheToken) {
  EXPECT_EQ(errors("{\"a\": 1,\n \"b\" 2}"),
            "2:6 syntax error while parsing object separator - unexpected number literal; expected ':'\n");
  EXPECT_EQ(errors("[1,,2]"),
            "1:4 syntax error while parsing value - unexpected ','; expected '[', '{', or a literal\n");
  EXPECT_EQ(
      errors(""),
      "1:1 syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal\n");
  EXPECT_EQ(errors("[1] 2"),
            "1:5 syntax error while parsing value - unexpected number literal; expected end of input\n");
  EXPECT_EQ(errors("[\"\xff\"]").substr(0, 4), "1:2 ");
  EXPECT_EQ(errors("[true, trux]").substr(0, 4), "1:8 ");
  EXPECT_EQ(errors("{\"a\": }").substr(0, 4), "1:7 ");
  EXPECT_EQ(errors("[1").substr(0, 4), "1:3 ");
}

TEST(Json, DuplicateKeysAreAllReported) {
  EXPECT_EQ(errors("{\"a\": 1, \"b\": 2, \"a\": 3,\n\"b\": {\"c\": 1, \"c\": 2}}"),
            "2:15 key 'c' is given twice\n1:18 key 'a' is given twice\n2:1 key 'b' is given twice\n");
}

TEST(Json, DepthIsLimited) {
  EXPECT_EQ(errors(std::string(100000, '[')), "1:65 nesting is limited to 64 levels\n");
  EXPECT_TRUE(parsed(std::string(64, '[') + std::string(64, ']')).root.isArray());
}

std::string changed(const std::string &text, const std::vector<std::string> &overrides,
                    std::string_view key) {
  JsonDocument d = parsed(text);
  Diagnostics diag;
  if (!applyOverrides(d, overrides, diag))
    return fmt::format("{}:{}:{} {}", diag.all()[0].loc.file, diag.all()[0].loc.line,
                       diag.all()[0].loc.column, diag.all()[0].message);
  const Json *value = d.root.find(key);
  return value ? describe(*value) : "nothing";
}

TEST(Json, OverridesChangeAndAddValues) {
  EXPECT_EQ(changed("{\"a\": 1}", {"/a=2"}, "a"), "2");
  EXPECT_EQ(changed("{\"a\": 1}", {"/a=word"}, "a"), "\"word\"");
  EXPECT_EQ(changed("{\"a\": 1}", {"/a=[1,2]"}, "a"), "a list of 2");
  EXPECT_EQ(changed("{}", {"/b/c=2"}, "b"), "an object");
  EXPECT_EQ(changed("{\"x/y\": 1}", {"/x~1y=5"}, "x/y"), "5");
  EXPECT_EQ(changed("{}", {"/a=1", "/a=2"}, "a"), "2");
}

TEST(Json, OverridesStepIntoListsByIndexAndName) {
  JsonDocument d = parsed("{\"n\": [{\"name\": \"p\", \"k\": 1}, {\"name\": \"q\", \"k\": 1}]}");
  Diagnostics diag;
  EXPECT_TRUE(applyOverrides(d, std::vector<std::string>{"/n/0/k=2", "/n/q/k=3"}, diag));
  EXPECT_EQ(d.root.find("n")->items[0].find("k")->number, 2);
  EXPECT_EQ(d.root.find("n")->items[1].find("k")->number, 3);
  EXPECT_EQ(d.loc(*d.root.find("n")->items[1].find("k")).file, "--set");
  EXPECT_EQ(place(*d.root.find("n")->items[1].find("k")), "2:8");
}

TEST(Json, WrongOverridesSayWhere) {
  EXPECT_EQ(changed("{}", {"/a=1", "b=1"}, "a"), "--set:2:1 expects /json/pointer=value");
  EXPECT_EQ(changed("{\"a\": [1]}", {"/a/7/b=1"}, "a"), "--set:1:4 no element '7' in a list of 1");
  EXPECT_EQ(changed("{\"a\": 1}", {"/a/b=1"}, "a"), "--set:1:4 'b' stands below 1, which has no parts");
  EXPECT_EQ(changed("{\"a\": 1}", {"/a=[1,"}, "a").substr(0, 9), "--set:1:7");
}

} // namespace
} // namespace gradc
