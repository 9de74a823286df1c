// The top of a model file, inputs, parameters and blocks.
#include "frontend/tables.h"

namespace gradc {
namespace {

const std::vector<KeySpec> &parameterKeys() {
  static const std::vector<KeySpec> keys = {
      {.name = "init",
       .forms = {Form::Union},
       .doc = "how it starts",
       .fallback = "uniform within 1/sqrt(fan_in)",
       .choice = initUnion},
      {.name = "trainable",
       .forms = {Form::Bool},
       .doc = "false: never changed by training",
       .fallback = "true"},
      {.name = "max_norm",
       .forms = {Form::Number},
       .doc = "bound of the 2-norm of each unit's incoming weights, kept after every update; 0: none",
       .fallback = "0",
       .min = 0},
      {.name = "weight_decay",
       .forms = {Form::Number},
       .doc = "replaces the optimiser's weight decay",
       .min = 0},
      {.name = "learning_rate",
       .forms = {Form::Number},
       .doc = "factor of the learning rate",
       .fallback = "1",
       .min = 0},
  };
  return keys;
}

} // namespace

const ObjectSpec &modelSpec() {
  static const ObjectSpec spec{
      "model",
      "A network, and how to train it",
      {
          {.name = "format",
           .forms = {Form::Word},
           .doc = "the format's version",
           .required = true,
           .words = {"gradc/1"}},
          {.name = "name",
           .forms = {Form::String},
           .doc = "letters, digits and '_'; the prefix of compiled functions",
           .required = true},
          {.name = "inputs",
           .forms = {Form::Map},
           .doc = "what the network takes",
           .required = true,
           .object = inputSpec},
          {.name = "params",
           .forms = {Form::Map},
           .doc = "parameters that belong to no layer, or to several",
           .object = freeParameterSpec},
          {.name = "blocks",
           .forms = {Form::Map},
           .doc = "groups of nodes to be used several times",
           .object = blockSpec},
          {.name = "nodes",
           .forms = {Form::Objects},
           .doc = "the network's layers and operations, in any order",
           .required = true,
           .choice = nodeUnion,
           .deferred = true},
          {.name = "outputs", .forms = {Form::Strings}, .doc = "what the network gives"},
          {.name = "loss",
           .forms = {Form::Union, Form::Objects},
           .doc = "what training makes small; of several, the sum of weight times mean",
           .choice = lossUnion},
          {.name = "metrics",
           .forms = {Form::Objects},
           .doc = "what is measured beside the loss",
           .choice = metricUnion},
          {.name = "train", .forms = {Form::Object}, .doc = "how to train", .object = trainSpec},
          {.name = "data", .forms = {Form::Object}, .doc = "where examples come from", .object = dataSpec},
      }};
  return spec;
}

const ObjectSpec &inputSpec() {
  static const ObjectSpec spec{"input",
                               "A tensor that the network takes",
                               {
                                   {.name = "shape",
                                    .forms = {Form::Shape},
                                    .doc = "sizes; \"N\" first is the batch",
                                    .required = true},
                                   {.name = "dtype",
                                    .forms = {Form::Word},
                                    .doc = "the element type",
                                    .fallback = "f32",
                                    .words = {"f32", "f64", "i32", "i64", "u8", "i8", "bool"}},
                               }};
  return spec;
}

const ObjectSpec &parameterSpec() {
  static const ObjectSpec spec{"parameter", "A layer's parameter", parameterKeys()};
  return spec;
}

const ObjectSpec &freeParameterSpec() {
  static const ObjectSpec spec = [] {
    ObjectSpec s{"parameter",
                 "A parameter of its own",
                 {{.name = "shape", .forms = {Form::Shape}, .doc = "sizes", .required = true}}};
    s.keys.insert(s.keys.end(), parameterKeys().begin(), parameterKeys().end());
    return s;
  }();
  return spec;
}

const ObjectSpec &blockSpec() {
  static const ObjectSpec spec{
      "block",
      "Nodes to be used several times; \"$c\" in them stands for the argument c",
      {
          {.name = "inputs",
           .forms = {Form::Strings},
           .doc = "names by which the nodes refer to what the block is given",
           .required = true},
          {.name = "args", .forms = {Form::AnyMap}, .doc = "arguments and their defaults"},
          {.name = "nodes",
           .forms = {Form::Objects},
           .doc = "as the model's nodes",
           .required = true,
           .choice = nodeUnion,
           .deferred = true},
          {.name = "outputs", .forms = {Form::Strings}, .doc = "the block's results", .required = true},
      }};
  return spec;
}

const UnionSpec &initUnion() {
  static const KeySpec std{
      .name = "std", .forms = {Form::Number}, .doc = "standard deviation", .fallback = "1", .min = 0};
  static const UnionSpec spec{
      .name = "init",
      .what = "initialiser",
      .tag = "type",
      .common = {},
      .variants =
          {
              {"zeros", "all 0", {}},
              {"ones", "all 1", {}},
              {"constant",
               "one value",
               {{.name = "value", .forms = {Form::Number}, .doc = "the value", .required = true}}},
              {"normal",
               "normally distributed",
               {{.name = "mean", .forms = {Form::Number}, .doc = "mean", .fallback = "0"}, std}},
              {"uniform",
               "uniformly distributed",
               {{.name = "low", .forms = {Form::Number}, .doc = "lower bound", .fallback = "0"},
                {.name = "high", .forms = {Form::Number}, .doc = "upper bound", .fallback = "1"}}},
              {"glorot_uniform", "uniform within sqrt(6 / (fan_in + fan_out))", {}},
              {"glorot_normal", "normal, variance 2 / (fan_in + fan_out)", {}},
              {"he_uniform", "uniform within sqrt(6 / fan_in)", {}},
              {"he_normal", "normal, variance 2 / fan_in", {}},
              {"lecun_normal", "normal, variance 1 / fan_in", {}},
              {"orthogonal", "orthonormal rows or columns", {}},
              {"sparse_normal",
               "normal where kept, else 0",
               {{.name = "density",
                 .forms = {Form::Number},
                 .doc = "the fraction kept",
                 .fallback = "0.1",
                 .min = 0,
                 .max = 1},
                {.name = "std",
                 .forms = {Form::Number},
                 .doc = "standard deviation",
                 .fallback = "0.01",
                 .min = 0}}},
              {"values",
               "the values themselves",
               {{.name = "values",
                 .forms = {Form::Values},
                 .doc = "numbers in nested lists of the parameter's shape",
                 .required = true}}},
              {"npy",
               "from a file",
               {{.name = "file", .forms = {Form::File}, .doc = "a .npy file", .required = true}}},
          },
      .shorthand = true};
  return spec;
}

} // namespace gradc
