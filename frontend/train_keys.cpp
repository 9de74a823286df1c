// The grammar of "train": optimisers, schedules, groups.
#include "frontend/tables.h"

namespace gradc {
namespace {

const std::vector<KeySpec> &scheduleCommon() {
  static const ObjectSpec warmup{"warmup",
                                 "A linear rise before the schedule",
                                 {
                                     {.name = "length",
                                      .forms = {Form::Integer},
                                      .doc = "in the schedule's unit",
                                      .required = true,
                                      .min = 1,
                                      .max = kMaxSize},
                                     {.name = "from",
                                      .forms = {Form::Number},
                                      .doc = "factor of the base value at the start",
                                      .fallback = "0",
                                      .min = 0,
                                      .max = 1},
                                 }};
  static const std::vector<KeySpec> keys = {
      {.name = "unit",
       .forms = {Form::Word},
       .doc = "what lengths count",
       .fallback = "epoch",
       .words = {"epoch", "step"}},
      {.name = "warmup",
       .forms = {Form::Object},
       .doc = "a linear rise before the schedule",
       .object = []() -> const ObjectSpec & { return warmup; }},
  };
  return keys;
}

const std::vector<ObjectSpec> &scheduleVariants() {
  static const KeySpec length{.name = "length",
                              .forms = {Form::Integer},
                              .doc = "in the schedule's unit",
                              .required = true,
                              .min = 1,
                              .max = kMaxSize};
  static const KeySpec min{
      .name = "min", .forms = {Form::Number}, .doc = "the smallest value", .fallback = "0", .min = 0};
  static const KeySpec factor{.name = "factor",
                              .forms = {Form::Number},
                              .doc = "what the value is multiplied by",
                              .fallback = "0.1",
                              .min = 0};
  static const KeySpec given{.name = "factor",
                             .forms = {Form::Number},
                             .doc = "what the value is multiplied by",
                             .required = true,
                             .min = 0};
  static const std::vector<ObjectSpec> variants = {
      {"constant", "the base value", {}},
      {"step",
       "base * factor^floor(epoch / every)",
       {{.name = "every",
         .forms = {Form::Integer},
         .doc = "in the schedule's unit",
         .required = true,
         .min = 1,
         .max = kMaxSize},
        factor}},
      {"milestones",
       "multiplied by the factor at each of them",
       {{.name = "at",
         .forms = {Form::Integers},
         .doc = "in the schedule's unit, rising",
         .required = true,
         .min = 0},
        factor}},
      {"exponential", "base * factor^epoch", {given}},
      {"cosine", "from base to min along half a cosine", {length, min}},
      {"polynomial",
       "from base to min as (1 - epoch / length)^power",
       {length,
        {.name = "power", .forms = {Form::Number}, .doc = "the exponent", .fallback = "1", .min = 0},
        min}},
      {"one_cycle",
       "up to max and down again",
       {length,
        {.name = "max", .forms = {Form::Number}, .doc = "the largest value", .required = true, .min = 0}}},
      {"plateau",
       "multiplied by the factor when the monitored value stops getting better",
       {
           {.name = "monitor",
            .forms = {Form::String},
            .doc = "a key of the log",
            .fallback = "val_loss, else train_loss"},
           factor,
           {.name = "patience",
            .forms = {Form::Integer},
            .doc = "bad epochs that are borne",
            .fallback = "10",
            .min = 0,
            .max = kMaxSize},
           {.name = "min_delta",
            .forms = {Form::Number},
            .doc = "relative change that counts as better",
            .fallback = "0.0001",
            .min = 0},
           {.name = "cooldown",
            .forms = {Form::Integer},
            .doc = "epochs of rest after a change",
            .fallback = "0",
            .min = 0,
            .max = kMaxSize},
           min,
       }},
  };
  return variants;
}

const UnionSpec &optimizerUnion() {
  static const UnionSpec spec{
      .name = "optimizer",
      .what = "optimizer",
      .tag = "type",
      .common = {{.name = "learning_rate",
                  .forms = {Form::Number, Form::Union},
                  .doc = "the step's length",
                  .required = true,
                  .min = 0,
                  .choice = scheduledNumberUnion},
                 {.name = "weight_decay",
                  .forms = {Form::Number, Form::Union},
                  .doc = "added to the gradient: weight_decay * w, for every trainable parameter",
                  .fallback = "0",
                  .min = 0,
                  .choice = scheduledNumberUnion}},
      .variants = {{"sgd",
                    "v = momentum * v + g; w -= learning_rate * v",
                    {{.name = "momentum",
                      .forms = {Form::Number, Form::Union},
                      .doc = "how much of the last step is kept",
                      .fallback = "0",
                      .min = 0,
                      .max = 1,
                      .choice = scheduledNumberUnion},
                     {.name = "nesterov",
                      .forms = {Form::Bool},
                      .doc = "Nesterov's momentum",
                      .fallback = "false"}}}}};
  return spec;
}

const ObjectSpec &groupSpec() {
  static const ObjectSpec spec{
      "group",
      "Settings of the parameters whose name matches; a later group wins, a parameter's own settings win "
      "over all",
      {
          {.name = "match", .forms = {Form::String}, .doc = "a pattern with * and ?", .required = true},
          {.name = "weight_decay", .forms = {Form::Number}, .doc = "replaces the optimiser's", .min = 0},
          {.name = "learning_rate", .forms = {Form::Number}, .doc = "factor", .min = 0},
          {.name = "max_norm", .forms = {Form::Number}, .doc = "bound of each unit's 2-norm", .min = 0},
          {.name = "trainable", .forms = {Form::Bool}, .doc = "false: never changed by training"},
      }};
  return spec;
}

const ObjectSpec &stopSpec() {
  static const ObjectSpec spec{"stop",
                               "Ends training when the monitored value stops getting better",
                               {
                                   {.name = "monitor",
                                    .forms = {Form::String},
                                    .doc = "a key of the log",
                                    .fallback = "val_loss, else train_loss"},
                                   {.name = "patience",
                                    .forms = {Form::Integer},
                                    .doc = "bad epochs that are borne",
                                    .fallback = "10",
                                    .min = 0,
                                    .max = kMaxSize},
                                   {.name = "min_delta",
                                    .forms = {Form::Number},
                                    .doc = "change that counts as better",
                                    .fallback = "0",
                                    .min = 0},
                               }};
  return spec;
}

} // namespace

const UnionSpec &scheduleUnion() {
  static const UnionSpec spec{.name = "schedule",
                              .what = "schedule",
                              .tag = "type",
                              .common = scheduleCommon(),
                              .variants = scheduleVariants()};
  return spec;
}

const UnionSpec &scheduledNumberUnion() {
  static const UnionSpec spec = [] {
    UnionSpec s = scheduleUnion();
    s.common.push_back(
        {.name = "value", .forms = {Form::Number}, .doc = "the base value", .required = true, .min = 0});
    return s;
  }();
  return spec;
}

const ObjectSpec &trainSpec() {
  static const ObjectSpec spec{
      "train",
      "How to train",
      {
          {.name = "batch_size",
           .forms = {Form::Integer},
           .doc = "examples a step",
           .fallback = "64",
           .min = 1,
           .max = kMaxSize},
          {.name = "epochs",
           .forms = {Form::Integer},
           .doc = "passes over the training data",
           .fallback = "10",
           .min = 1,
           .max = kMaxSize},
          {.name = "seed",
           .forms = {Form::Integer},
           .doc = "of initial weights, shuffling and dropout",
           .fallback = "0",
           .min = 0},
          {.name = "shuffle",
           .forms = {Form::Bool},
           .doc = "a new order of the examples each epoch",
           .fallback = "true"},
          {.name = "shards",
           .forms = {Form::Integer},
           .doc = "parts of a batch whose gradients are summed as a tree; only 1 so far",
           .fallback = "1",
           .min = 1,
           .max = 1},
          {.name = "optimizer",
           .forms = {Form::Union},
           .doc = "the update rule",
           .required = true,
           .choice = optimizerUnion},
          {.name = "schedule",
           .forms = {Form::Union},
           .doc = "of the learning rate",
           .fallback = "constant",
           .choice = scheduleUnion},
          {.name = "groups",
           .forms = {Form::Objects},
           .doc = "settings by parameter name",
           .object = groupSpec},
          {.name = "monitor",
           .forms = {Form::String},
           .doc = "what the best weights are chosen by",
           .fallback = "val_loss, else train_loss"},
          {.name = "stop", .forms = {Form::Object}, .doc = "early stopping", .object = stopSpec},
      }};
  return spec;
}

} // namespace gradc
