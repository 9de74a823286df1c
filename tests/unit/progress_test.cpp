#include "runtime/progress.h"

#include <cmath>

#include <gtest/gtest.h>

#include "runtime/report.h"

using namespace gradc;

namespace {

const EpochRecord kEpoch{.epoch = 3,
                         .epochs = 12,
                         .step = 2814,
                         .values = {{"train_loss", 0.25}, {"val_loss", 0.5}, {"val_accuracy", 0.875}},
                         .learningRate = 0.02,
                         .seconds = 1.5,
                         .examplesPerSecond = 40000,
                         .best = true};
const StepRecord kStep{.epoch = 3,
                       .epochs = 12,
                       .batch = 512,
                       .batches = 938,
                       .step = 2388,
                       .loss = 0.2215,
                       .average = {{"train_loss", 0.2371}},
                       .learningRate = 0.02,
                       .examplesPerSecond = 41200,
                       .secondsPerStep = 1.45e-3,
                       .eta = 7,
                       .elapsed = 31};

std::string shown(ProgressMode mode) {
  char *text = nullptr;
  size_t size = 0;
  std::FILE *file = open_memstream(&text, &size);
  {
    Progress progress(mode, file);
    progress.step(kStep);
    progress.epoch(kEpoch);
    progress.message("done");
  }
  std::fclose(file);
  std::string result(text, size);
  std::free(text);
  return result;
}

TEST(Progress, Plain) {
  EXPECT_EQ(shown(ProgressMode::Plain),
            "epoch=3/12 batch=512/938 step=2388 loss=0.2215 train_loss=0.2371 learning_rate=0.02 "
            "examples_per_second=41200\n"
            "epoch=3/12 step=2814 train_loss=0.2500 val_loss=0.5000 val_accuracy=0.8750 learning_rate=0.02 "
            "seconds=1.50 examples_per_second=40000 best\ndone\n");
  EXPECT_EQ(shown(ProgressMode::Auto), shown(ProgressMode::Plain)); // not a terminal
}

TEST(Progress, JsonAndNone) {
  EXPECT_EQ(shown(ProgressMode::None), "");
  EXPECT_NE(
      shown(ProgressMode::Json)
          .find(
              R"({"kind":"epoch","epoch":3,"step":2814,"train_loss":0.25,"val_loss":0.5,"val_accuracy":0.875,)"
              R"("learning_rate":0.02,"seconds":1.5,"examples_per_second":40000.0,"best":true})"),
      std::string::npos)
      << shown(ProgressMode::Json);
}

TEST(Progress, BarFitsItsLineAndIsCleared) {
  const std::string text = shown(ProgressMode::Bar);
  EXPECT_TRUE(text.starts_with("epoch 3/12  512/938 ▕")) << text;
  EXPECT_NE(text.find("\r\033[K"), std::string::npos);
  EXPECT_TRUE(text.ends_with("done\n"));
}

TEST(Progress, ModesAndDurations) {
  EXPECT_EQ(parseProgressMode("plain"), ProgressMode::Plain);
  EXPECT_FALSE(parseProgressMode("fancy"));
  EXPECT_EQ(duration(7), "0:07");
  EXPECT_EQ(duration(3723), "1:02:03");
}

TEST(Records, EpochLinesRoundTrip) {
  const std::optional<EpochRecord> back = parseEpoch(toJson(kEpoch));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->values, kEpoch.values);
  EXPECT_EQ(back->step, 2814);
  EXPECT_TRUE(back->best);
  EXPECT_FALSE(parseEpoch(toJson(kStep)));
  EXPECT_FALSE(parseEpoch("{"));
  EpochRecord bad = kEpoch;
  bad.values[0].second = std::nan("");
  EXPECT_NE(toJson(bad).find("\"train_loss\":null"), std::string::npos);
}

TEST(Report, ShowsCurvesKernelsAndTheModelEscaped) {
  const std::string html =
      makeReport({.title = "a<b",
                  .summary = "conv1 & relu",
                  .epochs = {kEpoch, kEpoch},
                  .steps = {{.name = "conv1+relu", .runs = 3, .milliseconds = 0.5, .bytes = 2048}}});
  for (const char *text :
       {"<h1>a&lt;b</h1>", "conv1 &amp; relu", "<polyline", "conv1+relu", "2 KiB", "0.8750"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_NE(makeReport({.title = "empty"}).find("No times"), std::string::npos);
}

} // namespace
