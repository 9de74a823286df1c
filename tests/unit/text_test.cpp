#include "ir/text.h"

#include <gtest/gtest.h>

#include "ir/lexer.h"
#include "ir/verifier.h"

namespace gradc {
namespace {

/// Parses, verifies and prints; or the messages.
std::string reprint(std::string_view text, const PrintOptions &options = {}) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "t.gir", diag);
  if (!module || !verify(*module, diag))
    return diag.render();
  return print(*module, options);
}

/// The text is canonical: it comes back unchanged.
void expectCanonical(std::string_view text) { EXPECT_EQ(reprint(text), text); }

/// Wraps ops into a function of %x : f32[2,3] and %w : f32[3,4] that returns nothing.
std::string withBody(std::string_view ops) {
  return fmt::format("func @f(%x: f32[2,3], %w: f32[3,4]) {{\n{}\n  return\n}}\n", ops);
}

/// The first message of a text that must fail.
std::string firstError(std::string_view text) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "t.gir", diag);
  EXPECT_FALSE(module);
  return diag.all().empty() ? "no error" : diag.render(diag.all()[0]);
}

TEST(Text, CanonicalFormComesBack) {
  expectCanonical(R"(module @lenet {batch = 64, optimizer = {type = sgd, momentum = 0.9}}
param @w : f32[4,3] {init = he_normal, trainable = false, max_norm = 3.0}
buffer @"a b" : f32[2]
slot @w.momentum : f32[4,3] {of = @w}
const @c : i32[3] = [1, 2, 3]

func @f(%x: f32[2,3] {input}, %w: f32[4,3] {var = @w})
    -> (f32[2,4] {output = "y"}, f32[4,3] {var = @w}) attributes {note = 128} {
  %y = matmul(%x, %w) {transpose_b = true} : f32[2,4]
  %c = constant() {value = @c} : i32[3]
  %"r~s t" = relu(%y) : f32[2,4]
  %r~1 = relu(%"r~s t") : f32[2,4]
  return %r~1, %w
}

func @empty() {
  return
}
)");
}

TEST(Text, WideHeadersAreBroken) {
  std::string text = "func @f(";
  for (int i = 0; i < 5; ++i)
    text += fmt::format("{}%x{}: f32[64,28,28] {{input}}", i ? ",\n        " : "", i);
  expectCanonical(text +
                  ")\n    -> (f32[64,28,28] {output = \"y\"}, f32[64,28,28]) {\n  return %x0, %x1\n}\n");
  text += ")\n    -> (";
  for (int i = 0; i < 5; ++i)
    text += fmt::format("{}f32[64,28,28] {{output = \"y{}\"}}", i ? ",\n        " : "", i);
  expectCanonical(text + ") {\n  return %x0, %x1, %x2, %x3, %x4\n}\n");
}

TEST(Text, KernelsAreIndented) {
  expectCanonical(R"(func @f(%x: f32[2,3], %w: f32[3,4]) -> f32[2,4] {
  %y, %z = kernel(%x, %w) {kind = contract, schedule = {tile = [6,4]}, place = [{arena = 0}, {result = 1}]} {
    ^(%x: f32[2,3], %v: f32[3,4]):
      %m = matmul(%x, %v) : f32[2,4]
      %r = relu(%m) : f32[2,4]
      yield %r, %m
  } : f32[2,4], f32[2,4]
  return %y
}
)");
}

TEST(Text, TypesAreInferredAndAttributesNormalized) {
  EXPECT_EQ(reprint("func @f(%x: f32[2,3],%w:f32[3,4]) -> (f32[2,4]) { %y = matmul(%x,%w) "
                    "{transpose_b=false} return %y }"),
            "func @f(%x: f32[2,3], %w: f32[3,4]) -> f32[2,4] {\n"
            "  %y = matmul(%x, %w) : f32[2,4]\n"
            "  return %y\n"
            "}\n");
}

TEST(Text, LiteralsKeepTheirBits) {
  auto constant = [](std::string_view literal, std::string_view type) {
    return fmt::format("func @f() {{\n  %c = constant() {{value = {}}} : {}\n  return\n}}\n", literal, type);
  };
  expectCanonical(constant("[1.0, -0.0, inf, -inf, 1e-45, 3.4028235e+38]", "f32[6]"));
  expectCanonical(constant("[0.1, 5e-324, 1.7976931348623157e+308]", "f64[3]"));
  expectCanonical(constant("splat(0.1)", "f32[100,100]"));
  expectCanonical(constant("splat(-7)", "i64[]"));
  expectCanonical(constant("[[true, false], [false, true]]", "bool[2,2]"));
  expectCanonical(constant("[-9223372036854775808, 9223372036854775807]", "i64[2]"));
  expectCanonical(constant("hex(\"0000c07f010080ff\")", "f32[2]")); // NaNs with payloads
  expectCanonical(constant("[0.5, -65504.0]", "f16[2]"));
  expectCanonical(constant("[-128, 127]", "i8[2]"));
  EXPECT_EQ(reprint(constant("[0x7f800000, 1, 1e-50]", "f32[3]")), constant("[inf, 1.0, 0.0]", "f32[3]"));
}

TEST(Text, StringsAreEscaped) {
  expectCanonical("module @\"a\\\"\\\\\\n\\t\\x01\\x7f/b\" {s = \"\\\"q\\\"\", \"odd key\" = [], e = {}}\n");
}

TEST(Text, PlacesAreThoseOfTheTextOrWritten) {
  PrintOptions options;
  options.locations = true;
  std::string text =
      "func @f(%x: f32[2]) -> f32[2] {\n  %y = relu(%x) : f32[2]\n"
      "  %z = abs(%y) loc(fused[loc(\"m.json\":12:5), loc(\"a\"), loc(unknown)])\n  return %z\n}\n";
  std::string printed = "func @f(%x: f32[2] loc(\"t.gir\":1:9)) -> f32[2] loc(\"t.gir\":1:6) {\n"
                        "  %y = relu(%x) : f32[2] loc(\"t.gir\":2:8)\n"
                        "  %z = abs(%y) : f32[2] loc(fused[loc(\"m.json\":12:5), loc(\"a\"), loc(unknown)])\n"
                        "  return %z loc(\"t.gir\":4:3)\n}\n";
  EXPECT_EQ(reprint(text, options), printed);
  EXPECT_EQ(reprint(printed, options), printed);
}

TEST(Text, ElidesLargeConstantsForReadersOnly) {
  std::string text = "const @c : f32[3] = [1.0, 2.0, 3.0]\n";
  PrintOptions options;
  options.elideAbove = 2;
  EXPECT_EQ(reprint(text, options), "const @c : f32[3] = elided\n");
  EXPECT_EQ(firstError("const @c : f32[3] = elided\n"),
            "t.gir:1:21: error: this literal was left out when the file was written; it cannot be read back\n"
            "const @c : f32[3] = elided\n"
            "                    ^\n");
}

TEST(Text, PrintOpIsOneLine) {
  Diagnostics diag;
  Result<Module> module =
      parseModule("func @f(%x: f32[2]) { %y = kernel(%x) {kind = map} { ^(%a: f32[2]): %b = "
                  "relu(%a) yield %b } return }",
                  "t.gir", diag);
  ASSERT_TRUE(module) << diag.render();
  const Function &fn = *module->functions[0];
  EXPECT_EQ(printOp(fn, fn.body().ops[0]),
            "%y = kernel(%x) {kind = map} { ^(%a: f32[2]): %b = relu(%a) : f32[2] yield %b } : f32[2]");
}

TEST(Text, OneMistakeGivesOneMessage) {
  std::string text =
      withBody("  %a = rellu(%x)\n  %b = add(%a, %x)\n  %c = matmul(%b, %q) {transpose_c}\n"
               "  %d = relu(%x %w)\n  %e = abs(%d) {\n    kind = 3 3\n  }\n  %g = abs(%x) : f32[9]");
  Diagnostics diag;
  EXPECT_FALSE(parseModule(text, "t.gir", diag));
  std::vector<std::string> lines;
  for (const Diagnostic &d : diag.all())
    lines.push_back(fmt::format("{}:{}: {}", d.loc.line, d.loc.column, d.message));
  EXPECT_EQ(fmt::format("{}", fmt::join(lines, "\n")),
            "2:8: no op is called 'rellu'; did you mean 'relu'?\n"
            "4:19: use of %q, which is not defined above\n"
            "4:24: matmul has no attribute 'transpose_c'; did you mean 'transpose_a'?\n"
            "5:16: expected ')' after the operands, but got '%w'\n"
            "7:14: expected '}' after the attributes, but got '3'\n"
            "9:18: abs gives f32[2,3], but f32[9] is written");
}

TEST(Text, AMissingBraceEndsAtTheNextFunction) {
  Diagnostics diag;
  EXPECT_FALSE(parseModule("func @f(%x: f32[2]) {\n  %y = kernel(%x) {kind = map} {\n    ^(%a: f32[2]):\n"
                           "func @g() {\n  return %z\n}\n",
                           "t.gir", diag));
  EXPECT_EQ(diag.errorCount(), 2u) << diag.render();
}

TEST(Text, StopsAfterManyErrors) {
  Diagnostics diag;
  std::string text;
  for (int i = 0; i < 100000; ++i)
    text += "?\n";
  EXPECT_FALSE(parseModule(text, "t.gir", diag));
  EXPECT_EQ(diag.errorCount(), kMaxErrors + 1);
  EXPECT_EQ(diag.all().back().message, "too many errors; the rest of the file was not read");
}

TEST(Text, DeepTextIsRefused) {
  std::string deep(100000, '[');
  EXPECT_NE(firstError("module @m {a = " + deep + "\n").find("attributes are nested more than 64 deep"),
            std::string::npos);
  std::string kernels = "func @f(%x: f32[2]) {\n";
  for (int i = 0; i < 50; ++i)
    kernels += "%y = kernel(%x) {kind = map} { ^(%x: f32[2]):\n";
  EXPECT_NE(firstError(kernels).find("regions are nested more than 16 deep"), std::string::npos);
  std::string locs = "param @w : f32[2] ";
  for (int i = 0; i < 100; ++i)
    locs += "loc(fused[";
  EXPECT_NE(firstError(locs).find("locations are nested more than 64 deep"), std::string::npos);
}

TEST(Text, ManyAttributesAreRefused) {
  std::string text = "module @m {a0";
  for (int i = 1; i < 5000; ++i)
    text += fmt::format(", a{}", i);
  EXPECT_NE(firstError(text + "}").find("a dictionary has more than 1000 entries"), std::string::npos);
}

TEST(Text, ChunksKeepTheirLines) {
  std::string text = "a\n// -----\nb\n// -----  \n";
  std::vector<Chunk> chunks = splitChunks(text);
  ASSERT_EQ(chunks.size(), 3u);
  EXPECT_EQ(chunks[1].text, "b\n");
  EXPECT_EQ(chunks[1].firstLine, 3u);
  EXPECT_EQ(chunks[2].text, "");
  Diagnostics diag;
  EXPECT_FALSE(parseModule(chunks[1].text, "t.gir", diag, chunks[1].firstLine));
  EXPECT_EQ(diag.render(),
            "t.gir:3:1: error: expected module, param, buffer, slot, const or func, but got 'b'\nb\n^\n");
}

} // namespace
} // namespace gradc
