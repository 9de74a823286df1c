// Every op against the values that PyTorch gave it (tests/golden/make_golden.py): results and gradients of the
// interpreter, an oracle that shares nothing with us.
#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ir/builder.h"
#include "ir/interpreter.h"
#include "ir/op.h"
#include "passes/pass.h"

namespace gradc {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kFolder = std::filesystem::path(GRADC_SOURCE_DIR) / "tests/golden";

/// Made by passes, or without a value of its own to compare.
const std::set<std::string_view> kWithoutGolden = {"kernel", "relayout"};

double numberOf(const Json &value) {
  if (!value.is_string())
    return value.is_boolean() ? value.get<bool>() : value.get<double>();
  return value == "nan" ? NAN : value == "inf" ? INFINITY : -INFINITY;
}

Tensor tensorOf(const Json &json) {
  std::string text = json["type"];
  size_t bracket = text.find('[');
  Type type{*parseDType(text.substr(0, bracket)), {}, {}};
  for (size_t at = bracket; text[at] != ']' && text[at + 1] != ']'; at = text.find_first_of(",]", at + 1))
    type.shape.push(std::stoll(text.substr(at + 1)));
  Tensor tensor(type);
  for (size_t i = 0; i < json["data"].size(); ++i) {
    const Json &value = json["data"][i];
    value.is_number_integer() && !isFloat(type.dtype) ? tensor.setInt(i, value.get<int64_t>())
                                                      : tensor.set(i, numberOf(value));
  }
  return tensor;
}

Attr attrOf(const AttrSpec &spec, const Json &value) {
  switch (spec.kind) {
  case AttrKind::Bool: return value.get<bool>();
  case AttrKind::I64: return value.get<int64_t>();
  case AttrKind::F64: return value.get<double>();
  case AttrKind::DType: return *parseDType(value.get<std::string>());
  case AttrKind::Ints: return value.get<std::vector<int64_t>>();
  case AttrKind::Dense: return tensorOf(value);
  case AttrKind::Keyword: return Keyword{value.get<std::string>()};
  default: return value.get<std::string>();
  }
}

/// PyTorch's exp, erf, … and ours may differ in the last bits; conversions to the storage types may not.
double toleranceOf(DType dtype) { return dtype == DType::F64 ? 1e-11 : dtype == DType::F32 ? 1e-6 : 0; }

void expectEqual(const Tensor &got, const Tensor &want, const std::string &what) {
  ASSERT_EQ(toString(got.type()), toString(want.type())) << what;
  double tolerance = toleranceOf(want.type().dtype);
  for (int64_t i = 0; i < want.elements(); ++i) {
    if (!isFloat(want.type().dtype)) {
      EXPECT_EQ(got.getInt(i), want.getInt(i)) << what << ", element " << i;
      continue;
    }
    double a = got.get(i), b = want.get(i);
    bool equal = std::isnan(b) ? std::isnan(a) : a == b || std::fabs(a - b) <= tolerance * (1 + std::fabs(b));
    EXPECT_TRUE(equal) << what << ", element " << i << ": we have " << a << ", PyTorch has " << b;
  }
}

class Golden : public testing::TestWithParam<std::string> {
protected:
  void check(const Json &json, const std::string &what) {
    const OpDef &def = opDef(GetParam());
    Dict attrs;
    for (const auto &[name, value] : json["attrs"].items())
      attrs.set(name, attrOf(*def.attr(name), value));
    std::vector<Tensor> operands;
    for (const Json &operand : json["operands"])
      operands.push_back(tensorOf(operand));

    Module module;
    Function &fn = module.addFunction("f");
    std::vector<ValueId> args;
    for (size_t i = 0; i < operands.size(); ++i)
      args.push_back(fn.addArg(Function::kBody, operands[i].type(), fmt::format("x{}", i)));
    Builder b(fn);
    const OpId op = b.named("y").createOp(def.name, args, attrs);
    fn.body().yields = fn[op].results;
    const std::vector<Tensor> results = interpret(module, fn, operands);
    for (size_t i = 0; i < json["results"].size(); ++i)
      expectEqual(results[i], tensorOf(json["results"][i]), fmt::format("{}, result {}", what, i));
    const ValueId y = fn[op].results[0];
    if (json.contains("gradients"))
      checkGradients(module, b, y, operands, json, what);
  }

private:
  void checkGradients(Module &module, Builder &b, ValueId y, const std::vector<Tensor> &operands,
                      const Json &json, const std::string &what) {
    ValueId product = b.mul(y, b.constant(tensorOf(json["cotangent"])));
    std::vector<int64_t> axes;
    for (int axis = 0; axis < b.type(y).rank(); ++axis)
      axes.push_back(axis);
    b.function().body().yields = {b.reduceSum(product, axes)};
    std::vector<std::string> wrt;
    std::vector<Tensor> want;
    for (size_t i = 0; i < operands.size(); ++i)
      if (!json["gradients"][i].is_null()) {
        wrt.push_back(fmt::format("%x{}", i));
        want.push_back(tensorOf(json["gradients"][i]));
      }
    Diagnostics diag;
    auto pipeline = parsePipeline(fmt::format("autodiff{{of=@f, wrt=[{}]}}", fmt::join(wrt, ", ")), diag);
    PassManager manager({});
    ASSERT_TRUE(pipeline && manager.run(module, *pipeline, diag)) << what << ": " << diag.render();
    std::vector<Tensor> got = interpret(module, *module.function("f.grad"), operands);
    for (size_t k = 0; k < want.size(); ++k)
      expectEqual(got[k + 1], want[k], what + ", gradient of " + wrt[k]);
  }
};

TEST_P(Golden, AgreesWithPyTorch) {
  std::ifstream file(kFolder / (GetParam() + ".json"));
  ASSERT_TRUE(file) << "tests/golden/make_golden.py has no case of " << GetParam();
  Json cases = Json::parse(file);
  ASSERT_FALSE(cases.empty());
  for (size_t i = 0; i < cases.size(); ++i)
    check(cases[i], fmt::format("{}.json:{}, {}", GetParam(), i + 2, cases[i]["attrs"].dump()));
}

std::vector<std::string> opsWithValues() {
  std::vector<std::string> names;
  for (const OpDef *def : allOps())
    if (!kWithoutGolden.contains(def->name))
      names.emplace_back(def->name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(OpTable, Golden, testing::ValuesIn(opsWithValues()),
                         [](const auto &info) { return info.param; });

} // namespace
} // namespace gradc
