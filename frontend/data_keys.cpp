// The grammar of "data".
#include "frontend/tables.h"

namespace gradc {
namespace {

const std::vector<ObjectSpec> &sourceVariants() {
  static const std::vector<ObjectSpec> variants = {
      {"idx",
       "The format of MNIST, gzipped or not; fields image and label",
       {{.name = "images",
         .forms = {Form::File},
         .doc = "a file of unsigned bytes, rank 3 or 4",
         .required = true},
        {.name = "labels",
         .forms = {Form::File},
         .doc = "a file of unsigned bytes, rank 1",
         .required = true}}},
      {"npy",
       "A .npy file for each field",
       {{.name = "fields", .forms = {Form::FieldMap}, .doc = "field to file", .required = true}}},
      {"npz",
       "A .npz file whose arrays are the fields",
       {{.name = "file", .forms = {Form::File}, .doc = "the file", .required = true}}},
      {"synthetic",
       "Made from the seed, a field for each input; for benchmarks and tests",
       {{.name = "examples",
         .forms = {Form::Integer},
         .doc = "how many",
         .required = true,
         .min = 1,
         .max = kMaxSize}}},
  };
  return variants;
}

const UnionSpec &sourceUnion() {
  static const UnionSpec spec{.name = "data source",
                              .what = "data source",
                              .tag = "type",
                              .common = {},
                              .variants = sourceVariants()};
  return spec;
}

const UnionSpec &validationUnion() {
  static const UnionSpec spec = [] {
    UnionSpec s = sourceUnion();
    s.name = "validation";
    s.untagged = "split";
    s.variants.push_back({"split",
                          "The last of the training data",
                          {{.name = "split",
                            .forms = {Form::Number},
                            .doc = "the fraction taken",
                            .required = true,
                            .min = 0,
                            .max = 1}}});
    return s;
  }();
  return spec;
}

const ObjectSpec &normalizeSpec() {
  static const ObjectSpec spec{
      "normalize",
      "(x - mean) / std, compiled into every function",
      {
          {.name = "mean",
           .forms = {Form::Numbers},
           .doc = "one for all or one per channel (axis 1)",
           .required = true},
          {.name = "std",
           .forms = {Form::Numbers},
           .doc = "one for all or one per channel (axis 1)",
           .required = true,
           .min = 1e-30},
          {.name = "input", .forms = {Form::Name}, .doc = "which input, where several are possible"},
      }};
  return spec;
}

} // namespace

const ObjectSpec &dataSpec() {
  static const ObjectSpec spec{
      "data",
      "Where examples come from; files are relative to --data, else to the model file",
      {
          {.name = "train", .forms = {Form::Union}, .doc = "training data", .choice = sourceUnion},
          {.name = "validation",
           .forms = {Form::Union},
           .doc = "a source, or a part of the training data",
           .choice = validationUnion},
          {.name = "test", .forms = {Form::Union}, .doc = "test data", .choice = sourceUnion},
          {.name = "normalize",
           .forms = {Form::Object},
           .doc = "subtracts the mean and divides by the standard deviation",
           .object = normalizeSpec},
          {.name = "feed", .forms = {Form::FieldMap}, .doc = "input to field, where their names differ"},
          {.name = "classes", .forms = {Form::Strings}, .doc = "names of the classes"},
      }};
  return spec;
}

} // namespace gradc
