#include "ir/verifier.h"

#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/text.h"

namespace gradc {
namespace {

std::string messages(const Diagnostics &diag) {
  std::vector<std::string> lines;
  for (const Diagnostic &d : diag.all())
    lines.push_back(d.message);
  return fmt::format("{}", fmt::join(lines, "\n"));
}

/// What the verifier says of a text that parses.
std::string verified(std::string_view text) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "t.gir", diag);
  if (!module)
    return "does not parse: " + diag.render();
  bool good = verify(*module, diag).has_value();
  EXPECT_EQ(good, diag.all().empty());
  return messages(diag);
}

/// A function of a : f32[2,3] with %b = relu(%a), to break by hand.
struct Broken {
  Broken() : fn(module.addFunction("f")), b(fn) {
    a = fn.addArg(Function::kBody, {DType::F32, {2, 3}, {}}, "a");
    r = b.named("b").create("relu", {a});
  }
  OpId op() const { return fn.body().ops[0]; }
  std::string verified() {
    Diagnostics diag;
    bool good = verify(module, diag).has_value();
    EXPECT_EQ(good, diag.all().empty());
    return messages(diag);
  }
  Module module;
  Function &fn;
  Builder b;
  ValueId a, r;
};

std::string kernel(std::string_view kind, std::string_view ops, std::string_view yields = "%r") {
  return fmt::format("func @f(%x: f32[2,3], %w: f32[3,4]) {{\n  %k = kernel(%x, %w) {{kind = {}}} {{\n"
                     "    ^(%x: f32[2,3], %w: f32[3,4]):\n{}\n      yield {}\n  }}\n  return\n}}\n",
                     kind, ops, yields);
}

TEST(Verifier, AcceptsWhatTheBuilderMakes) { EXPECT_EQ(Broken().verified(), ""); }

TEST(Verifier, VariablesOfArgumentsAndResults) {
  std::string head = "param @w : f32[4]\nbuffer @m : f32[4]\n";
  EXPECT_EQ(verified(head + "func @f(%w: f32[4] {var = @w}) -> (f32[4] {var = @w}) { return %w }"), "");
  EXPECT_EQ(verified(head + "func @f(%w: f32[5] {var = @w}) { return }"),
            "in @f: argument %w is f32[5], but variable @w is f32[4]");
  EXPECT_EQ(verified(head + "func @f(%w: f32[4] {var = @v}) { return }"),
            "in @f: argument %w has var = @v, but no variable is called so");
  EXPECT_EQ(verified(head + "func @f(%w: f32[4] {var = 3}) { return }"),
            "in @f: argument %w has var = 3, but a variable's @name is expected");
  EXPECT_EQ(verified(head + "func @f(%w: f32[4] {var = @w}, %v: f32[4] {var = @w}) { return }"),
            "in @f: argument %v has var = @w, which another one has too");
  EXPECT_EQ(verified(head + "func @f(%x: f32[3]) -> (f32[3] {var = @w}) { return %x }"),
            "in @f: result 0 is f32[3], but variable @w is f32[4]");
  EXPECT_EQ(verified("param @w : f32[32,4]<n16>\nfunc @f(%w: f32[32,4] {var = @w}) { return }"),
            "in @f: argument %w is f32[32,4], but variable @w is f32[32,4]<n16>");
}

TEST(Verifier, SlotsBelongToParams) {
  EXPECT_EQ(verified("param @w : f32[4]\nslot @w.m : f32[4] {of = @w}\n"), "");
  EXPECT_EQ(verified("buffer @w : f32[4]\nslot @w.m : f32[4] {of = @w}\n"),
            "slot @w.m has of = @w, which is no param");
  EXPECT_EQ(verified("slot @w.m : f32[4] {of = 3}\n"), "slot @w.m has of = 3, which is no param");
}

TEST(Verifier, NamesAreUnique) {
  Broken broken;
  broken.module.variables.resize(2);
  broken.module.variables[0].name = broken.module.variables[1].name = "w";
  broken.module.constants.push_back({"w", std::make_shared<const Tensor>(Tensor::scalar(DType::F32, 1)), {}});
  broken.module.functions.push_back(std::make_unique<Function>("f"));
  EXPECT_EQ(broken.verified(), "@w is declared twice\n@w is declared twice\nfunction @f is defined twice");

  Broken values;
  values.fn[values.r].name = "a";
  EXPECT_EQ(values.verified(), "in @f: %a names two values of one region");
}

TEST(Verifier, DeclaredLayoutsAreLegal) {
  Broken broken;
  broken.module.variables.push_back({VarKind::Param, "w", {DType::F32, {15}, "n16"}, {}, {}});
  broken.fn[broken.a].type.layout = "n17";
  EXPECT_EQ(broken.verified(), "@w: layout n16 needs rank 2 or more, but got f32[15]<n16>\n"
                               "in @f: %a: unknown layout 'n17'; known is 'n16'\n"
                               "in @f: relu gives f32[2,3]<n17>, but f32[2,3] is written");
}

TEST(Verifier, UsesFollowDefinitions) {
  Broken broken;
  ValueId s = broken.b.named("s").create("abs", {broken.r});
  std::swap(broken.fn.body().ops[0], broken.fn.body().ops[1]);
  EXPECT_EQ(broken.verified(), "in @f: abs uses %b, which is not defined above");
  broken.fn.unlink(broken.op()); // the abs
  broken.fn.body().yields = {s};
  EXPECT_EQ(broken.verified(), "in @f: return uses %s, which is not defined above");
  broken.fn.body().yields = {ValueId{1000}};
  EXPECT_EQ(broken.verified(), "in @f: return uses a value that does not exist");
}

TEST(Verifier, RegionsAreIsolated) {
  Broken broken;
  OpId k = broken.fn.makeOp(Function::kBody, &opDef("kernel"), {broken.a}, {},
                            std::vector{broken.b.type(broken.a)}, std::vector<std::string>{"k"}, {});
  broken.fn[k].attrs.set("kind", Keyword{"map"});
  RegionId region = broken.fn.addRegion(k);
  broken.fn.addArg(region, broken.b.type(broken.a), "a");
  broken.fn[region].yields = {broken.r};
  broken.b.append(k);
  EXPECT_EQ(broken.verified(), "in @f: yield uses %b of another region");
}

TEST(Verifier, AnOpIsLinkedOnce) {
  Broken broken;
  broken.b.append(broken.op());
  EXPECT_EQ(broken.verified(), "in @f: %b names two values of one region\n"
                               "in @f: %b is not linked where it is defined");
}

TEST(Verifier, ShapesAreLegal) {
  Broken broken;
  broken.fn[broken.a].type.shape[0] = broken.fn[broken.r].type.shape[0] = 0;
  EXPECT_EQ(broken.verified(),
            "in @f: %a: dimension 0 in [0,3] is below 1\nin @f: %b: dimension 0 in [0,3] is below 1");
}

TEST(Verifier, TypesFollowTheRule) {
  Broken broken;
  broken.fn[broken.r].type.dtype = DType::F64;
  EXPECT_EQ(broken.verified(), "in @f: relu gives f32[2,3], but f64[2,3] is written");
  broken.fn[broken.op()].operands.push_back(broken.a);
  EXPECT_EQ(broken.verified(), "in @f: relu takes 1 operand, but got 2");
}

TEST(Verifier, ResultsAreCounted) {
  Broken broken;
  broken.fn[broken.op()].results.clear();
  EXPECT_EQ(broken.verified(), "in @f: relu has 1 result, but 0 types are written");
}

TEST(Verifier, AttributesAreNormalized) {
  Broken broken;
  broken.fn[broken.op()].attrs.set("slope", 1.0);
  EXPECT_EQ(broken.verified(), "in @f: relu has no attribute 'slope'");
  broken.fn[broken.op()].attrs = {};
  broken.fn[broken.op()].def = &opDef("leaky_relu");
  broken.fn[broken.op()].attrs.set("slope", 0.01);
  EXPECT_EQ(broken.verified(),
            "in @f: leaky_relu's attributes are {slope = 0.01}, but the row's order without defaults is {}");
}

TEST(Verifier, RegionsAreCounted) {
  Broken broken;
  broken.fn.addRegion(broken.op());
  EXPECT_EQ(broken.verified(), "in @f: relu has 0 regions, but got 1");
}

TEST(Verifier, ResultAttributesAreCounted) {
  Broken broken;
  broken.fn.resultAttrs.resize(2);
  EXPECT_EQ(broken.verified(), "in @f: 0 results are returned, but 2 have attributes");
}

TEST(Verifier, ElementwiseOpsHaveOneLayout) {
  EXPECT_EQ(verified("func @f(%a: f32[32,4]<n16>) -> f32[32,4]<n16> { %r = relu(%a) return %r }"), "");
  EXPECT_EQ(
      verified("func @f(%a: f32[32,4]<n16>, %b: f32[32,4]) { %r = add(%a, %b) return }"),
      "in @f: add is elementwise, but its operands f32[32,4]<n16> and f32[32,4] have different layouts");
  EXPECT_EQ(verified("func @f(%a: f32[32,4], %b: f32[4,4]) { %r = matmul(%a, %b) : f32[32,4]<n16> return }"),
            "");
}

TEST(Verifier, KernelsOfEachKind) {
  EXPECT_EQ(verified(kernel("map", "%t = transpose(%x) {permutation = [1,0]}\n%r = relu(%t)")), "");
  EXPECT_EQ(verified(kernel("rows", "%r = reduce_sum(%x) {axes = [1]}")), "");
  EXPECT_EQ(verified(kernel("contract", "%m = matmul(%x, %w)\n%r = relu(%m)")), "");
  EXPECT_EQ(verified(kernel("map", "%r = reduce_sum(%x) {axes = [1]}")),
            "in @f: a kernel of kind map may not contain reduce_sum: it is a reduction");
  EXPECT_EQ(verified(kernel("multi", "%r = reduce_sum(%x) {axes = [1]}")),
            "in @f: a kernel of kind multi may not contain reduce_sum: it is a reduction");
  EXPECT_EQ(verified(kernel("rows", "%r = matmul(%x, %w)")),
            "in @f: a kernel of kind rows may not contain matmul: it is a contraction");
  EXPECT_EQ(verified(kernel("contract", "%r = relu(%x)")),
            "in @f: a kernel of kind contract contains one contraction, but got 0");
  EXPECT_EQ(verified(kernel("contract", "%m = matmul(%x, %w)\n%r = matmul(%x, %w)")),
            "in @f: a kernel of kind contract contains one contraction, but got 2");
  EXPECT_EQ(verified(kernel("map", "%r = softmax(%x)")),
            "in @f: a kernel of kind map may not contain softmax: it must be expanded first");
  EXPECT_EQ(
      verified(kernel("map", "%r = kernel(%x) {kind = map} {\n^(%x: f32[2,3]):\n%y = relu(%x)\nyield %y\n}")),
      "in @f: a kernel of kind map may not contain kernel: kernels do not nest");
}

/// Both gradients of a dense layer.
std::string pairKernel(std::string_view body, std::string_view attrs = "") {
  return fmt::format("func @f(%dy: f32[16,32]<n16>, %w: f32[32,8]<n16>, %x: f32[16,8]<n16>) {{\n"
                     "%a, %b = kernel(%dy, %w, %x) {{kind = pair{}}} {{\n"
                     "^(%dy: f32[16,32]<n16>, %w: f32[32,8]<n16>, %x: f32[16,8]<n16>):\n{}\n"
                     "yield %dx, %dw }} : f32[16,8]<n16>, f32[32,8]<n16>\nreturn }}",
                     attrs, body);
}

TEST(Verifier, PairsOfGradients) {
  const std::string dx = "%dx = matmul(%dy, %w) : f32[16,8]<n16>\n",
                    dw = "%dw = matmul(%dy, %x) {transpose_a = true} : f32[32,8]<n16>\n";
  EXPECT_EQ(verified(pairKernel(dx + dw)), "");
  EXPECT_EQ(verified(pairKernel(dx + dw, ", schedule = {algorithm = direct, tile = [8,1]}")), "");
  EXPECT_EQ(verified(pairKernel(dx + dw, ", schedule = {algorithm = amx6}")),
            "in @f: a kernel of kind pair has algorithm = direct, but got amx6");
  const std::string objection =
      "in @f: a kernel of kind pair contains the two gradients of a dense layer, matmul(%dy, %w) and "
      "matmul(%dy, %x) {transpose_a = true}, of arguments in n16, and each result is made of one of them";
  EXPECT_EQ(verified(pairKernel(dw + dx)), objection);
  EXPECT_EQ(verified(pairKernel(dx + "%dw = relu(%w)")), objection);
  // A result of neither product, and one of both.
  EXPECT_EQ(verified(pairKernel("%gx = matmul(%dy, %w) : f32[16,8]<n16>\n%dx = relu(%x)\n" + dw)), objection);
  EXPECT_EQ(verified("func @f(%dy: f32[16,16]<n16>, %w: f32[16,16]<n16>, %x: f32[16,16]<n16>) {\n"
                     "%a, %b = kernel(%dy, %w, %x) {kind = pair} {\n"
                     "^(%dy: f32[16,16]<n16>, %w: f32[16,16]<n16>, %x: f32[16,16]<n16>):\n"
                     "%dx = matmul(%dy, %w) : f32[16,16]<n16>\n"
                     "%dw = matmul(%dy, %x) {transpose_a = true} : f32[16,16]<n16>\n"
                     "%w1 = sub(%dx, %dw)\nyield %dx, %w1 } : f32[16,16]<n16>, f32[16,16]<n16>\nreturn }"),
            objection);
  EXPECT_EQ(verified(pairKernel("%t = relu(%w)\n%dx = matmul(%dy, %t) : f32[16,8]<n16>\n" + dw)), objection);
}

TEST(Verifier, KernelArgumentsAreTheOperands) {
  EXPECT_EQ(verified("func @f(%x: f32[2]) { %k = kernel(%x) {kind = map} { ^(): %c = constant() {value = "
                     "splat(1.0)} : f32[2] yield %c } return }"),
            "in @f: kernel has 1 operands, but its region has 0 arguments");
  EXPECT_EQ(
      verified("func @f(%x: f32[2]) { %k = kernel(%x) {kind = map} { ^(%a: f32[3]): %r = relu(%a) yield %r } "
               "return }"),
      "in @f: kernel's operand %x is f32[2], but the region's argument %a is f32[3]");
  EXPECT_EQ(verified("func @f(%x: f32[2]) { kernel(%x) {kind = map} { ^(%a: f32[2]): yield } return }"),
            "in @f: a kernel yields at least one value");
}

} // namespace
} // namespace gradc
