// What a stand-alone executable carries of its model survives the way through its text.
#include "runtime/model_image.h"
#include "runtime/packed.h"

#include <cmath>

#include <gtest/gtest.h>

namespace gradc {
namespace {

ModelImage example() {
  ModelImage image;
  image.facts.name = "n\"ame";
  image.facts.hasLoss = true;
  image.facts.train = {
      .batchSize = 48, .epochs = 3, .seed = UINT64_MAX, .shuffle = false, .monitor = "val_accuracy"};
  image.facts.train.stop = {.enabled = true, .patience = 7, .minDelta = 0.1};
  image.facts.train.hyper = {
      {"learning_rate", 0.1, {.kind = Schedule::Kind::Milestones, .at = {3, 5}, .factor = 1.0 / 3}}};
  image.facts.train.metrics = {"accuracy"};
  image.facts.data.train = {
      .kind = DataSource::Kind::Csv, .files = {{"file", "a.csv"}}, .fields = {{"x", {"a", "b"}}}};
  image.facts.data.inputs = {{"x", {2, 3}, "f32", "x", 10}};
  image.facts.data.classNames = {"ä", "b"};
  image.facts.variables = {
      {.name = "w", .shape = {4, 2}, .init = {.kind = InitSpec::Kind::Values, .values = {1e-300, -0.0}}}};
  image.slots = {{.kind = VariableSpec::Kind::Slot, .name = "w.momentum", .shape = {4, 2}}};
  image.identity = "func @f() {\n}\n";
  image.summary = "w 8";
  return image;
}

TEST(ModelImage, ReadsWhatItWrote) {
  const ModelImage image = example();
  const StatusOr<ModelImage> read = parseModelImage(toJson(image));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(toJson(*read), toJson(image));
  EXPECT_EQ(read->facts.train.seed, UINT64_MAX);
  EXPECT_EQ(read->facts.train.hyper.at(0).schedule.factor, 1.0 / 3);
  EXPECT_TRUE(std::signbit(read->facts.variables.at(0).init.values.at(1)));
  EXPECT_EQ(read->facts.data.train.fields.at("x").at(1), "b");
}

TEST(ModelImage, UnpacksWhatItPacked) {
  const std::string text = toJson(example()), packed = pack(text);
  EXPECT_LT(packed.size(), text.size() / 2);
  EXPECT_EQ(unpack(packed, text.size()), text);
  EXPECT_EQ(unpack(packed, text.size() - 1), "");
  EXPECT_EQ(unpack(packed, text.size() + 1), "");
  EXPECT_EQ(unpack(packed.substr(0, packed.size() / 2), text.size()), "");
}

TEST(ModelImage, RefusesDamage) {
  std::string text = toJson(example());
  for (const char *damaged : {"", "{}", "[1]", "{\"facts\":3}"})
    EXPECT_FALSE(parseModelImage(damaged)) << damaged;
  text.replace(text.find("\"epochs\":3"), 10, "\"epochs\":\"\"");
  const StatusOr<ModelImage> read = parseModelImage(text);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().text, "the description of the model in this executable is damaged");
}

} // namespace
} // namespace gradc
