#include "runtime/schedule.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

using namespace gradc;

namespace {

using Kind = Schedule::Kind;

ScheduledValue make(double base, Schedule schedule) {
  return ScheduledValue({"learning_rate", base, schedule});
}

TEST(Schedule, ClosedForms) {
  EXPECT_EQ(make(0.1, {}).at(7, 900), 0.1);
  const ScheduledValue step = make(1, {.kind = Kind::Step, .every = 3, .factor = 0.5});
  EXPECT_EQ(step.at(2, 0), 1);
  EXPECT_EQ(step.at(3, 0), 0.5);
  EXPECT_EQ(step.at(6, 0), 0.25);
  const ScheduledValue bySteps =
      make(1, {.kind = Kind::Step, .unit = Schedule::Unit::Step, .every = 100, .factor = 0.5});
  EXPECT_EQ(bySteps.at(50, 99), 1);
  EXPECT_EQ(bySteps.at(0, 100), 0.5);
  const ScheduledValue milestones = make(1, {.kind = Kind::Milestones, .at = {2, 5}, .factor = 0.1});
  EXPECT_EQ(milestones.at(1, 0), 1);
  EXPECT_EQ(milestones.at(2, 0), 0.1);
  EXPECT_NEAR(milestones.at(9, 0), 0.01, 1e-12);
  EXPECT_NEAR(make(2, {.kind = Kind::Exponential, .factor = 0.9}).at(2, 0), 1.62, 1e-12);
  const ScheduledValue cosine = make(1, {.kind = Kind::Cosine, .length = 10, .min = 0.2});
  EXPECT_NEAR(cosine.at(0, 0), 1, 1e-12);
  EXPECT_NEAR(cosine.at(5, 0), 0.6, 1e-12);
  EXPECT_NEAR(cosine.at(10, 0), 0.2, 1e-12);
  EXPECT_NEAR(cosine.at(11, 0), 0.2, 1e-12);
  const ScheduledValue polynomial = make(1, {.kind = Kind::Polynomial, .length = 4, .power = 2});
  EXPECT_NEAR(polynomial.at(2, 0), 0.25, 1e-12);
  EXPECT_EQ(polynomial.at(4, 0), 0);
}

// Values of torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=10).
TEST(Schedule, OneCycleIsPyTorchs) {
  const ScheduledValue cycle = make(9, {.kind = Kind::OneCycle, .length = 10, .max = 1});
  EXPECT_NEAR(cycle.at(0, 0), 0.04, 1e-9);
  EXPECT_NEAR(cycle.at(1, 0), 0.52, 1e-9);
  EXPECT_NEAR(cycle.at(2, 0), 1, 1e-9);
  EXPECT_NEAR(cycle.at(9, 0), 4e-6, 1e-9);
  EXPECT_NEAR(cycle.at(20, 0), 4e-6, 1e-9);
}

TEST(Schedule, WarmupRisesToTheSchedule) {
  const ScheduledValue warm = make(1, {.kind = Kind::Step,
                                       .unit = Schedule::Unit::Step,
                                       .every = 8,
                                       .factor = 0.5,
                                       .warmupLength = 4,
                                       .warmupFrom = 0.2});
  EXPECT_NEAR(warm.at(0, 0), 0.2, 1e-12);
  EXPECT_NEAR(warm.at(0, 2), 0.6, 1e-12);
  EXPECT_EQ(warm.at(0, 4), 1);
  EXPECT_EQ(warm.at(0, 8), 0.5);
}

// The sequence of torch.optim.lr_scheduler.ReduceLROnPlateau(factor=0.1, patience=1, cooldown=1, min_lr=0.002).
TEST(Schedule, PlateauIsPyTorchs) {
  ScheduledValue plateau =
      make(1, {.kind = Kind::Plateau, .factor = 0.1, .min = 0.002, .patience = 1, .cooldown = 1});
  const double losses[] = {1.0, 0.5, 0.49999, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6};
  const double rates[] = {1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.002, 0.002, 0.002};
  for (int epoch = 0; epoch < 12; ++epoch) {
    plateau.endEpoch({{"val_loss", losses[epoch]}});
    EXPECT_NEAR(plateau.at(epoch, 0), rates[epoch], 1e-12) << epoch;
  }
  EXPECT_FALSE(plateau.endEpoch({{"other", 1}}));
}

TEST(Schedule, PlateauStateRoundTrips) {
  const HyperParameter parameter{"lr", 1, {.kind = Kind::Plateau, .patience = 2}};
  ScheduledValue a(parameter);
  a.endEpoch({{"val_loss", 1}});
  a.endEpoch({{"val_loss", 2}});
  ScheduledValue b(parameter);
  b.restore(a.state());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(a.endEpoch({{"val_loss", 2}}), b.endEpoch({{"val_loss", 2}}));
    EXPECT_EQ(a.at(0, 0), b.at(0, 0));
  }
}

TEST(Schedule, AccuracyIsToGrow) {
  ScheduledValue plateau =
      make(1, {.kind = Kind::Plateau, .factor = 0.5, .monitor = "val_accuracy", .patience = 0});
  EXPECT_FALSE(plateau.endEpoch({{"val_accuracy", 0.5}}));
  EXPECT_FALSE(plateau.endEpoch({{"val_accuracy", 0.6}}));
  EXPECT_TRUE(plateau.endEpoch({{"val_accuracy", 0.55}}));
}

TEST(BestTracker, CountsBadEpochs) {
  BestTracker best{.monitor = "val_loss", .minDelta = 0.1};
  EXPECT_TRUE(best.update({{"val_loss", 1}}, 0));
  EXPECT_FALSE(best.update({{"val_loss", 0.95}}, 1));
  EXPECT_FALSE(best.update({{"val_loss", std::nan("")}}, 2));
  EXPECT_EQ(best.badEpochs, 2);
  EXPECT_TRUE(best.update({{"val_loss", 0.8}}, 3));
  EXPECT_EQ(best.bestEpoch, 3);
  EXPECT_EQ(best.badEpochs, 0);
  BestTracker accuracy{.monitor = "val_accuracy"};
  EXPECT_TRUE(accuracy.update({{"val_accuracy", 0.5}}, 0));
  EXPECT_FALSE(accuracy.update({{"val_accuracy", 0.5}}, 1));
  EXPECT_TRUE(accuracy.update({{"val_accuracy", 0.51}}, 2));
  EXPECT_FALSE(accuracy.update({}, 3));
}

} // namespace
