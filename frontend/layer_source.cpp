// Nodes without inputs: constant, random_uniform
#include "frontend/function_builder.h"
#include "frontend/layer.h"
#include "frontend/tables.h"
#include "frontend/values.h"

namespace gradc {
namespace {

std::optional<ValueId> buildConstant(LayerContext &c) {
  std::optional<DType> dtype = parseDType(c.find("dtype") ? c.find("dtype")->text : "f32");
  const Json &values = *c.find("value");
  std::optional<Shape> shape = shapeOf(values);
  if (!shape)
    return c.fail("value", "'value' of constant expects lists of equal length, none empty, at most {} deep",
                  kMaxRank);
  Tensor tensor(Type{*dtype, *shape});
  fill(tensor, values);
  return c.b.constant(std::move(tensor));
}

std::optional<ValueId> buildRandom(LayerContext &c) {
  return c.op("random_uniform", {c.seed(), c.step(), c.row0()},
              {{"stream", c.name()}, {"shape", sizes(*c.find("shape"), c.batch())}});
}

} // namespace

std::vector<LayerDef> sourceLayers() {
  return {
      {.spec =
           {"constant",
            "The same values always",
            {{.name = "value", .forms = {Form::Values}, .doc = "numbers in nested lists", .required = true},
             {.name = "dtype",
              .forms = {Form::Word},
              .doc = "the element type",
              .fallback = "f32",
              .words = {"f32", "f64", "i32", "i64", "u8", "i8"}}}},
       .minInputs = 0,
       .maxInputs = 0,
       .build = buildConstant},
      {.spec = {"random_uniform",
                "Random numbers in [0, 1), others at each training step",
                {{.name = "shape", .forms = {Form::Shape}, .doc = "sizes", .required = true}}},
       .minInputs = 0,
       .maxInputs = 0,
       .build = buildRandom},
  };
}

} // namespace gradc
