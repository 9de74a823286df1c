// dense, flatten
#include "frontend/layer.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

std::optional<ValueId> buildDense(LayerContext &c) {
  const Type in = c.type(0);
  if (in.rank() != 2 && in.rank() != 3)
    return c.fail("inputs", "dense expects an input of rank 2, [N, features], but {}{}", c.inputText(0),
                  in.rank() > 3 ? "; put a flatten before it" : "");
  int64_t units = c.integer("units", 1), features = in.shape[in.rank() - 1];
  Fans fans{features, units};
  std::optional<ValueId> weight = c.parameter("weight", {units, features}, fans);
  if (!weight)
    return std::nullopt;
  if (!c.wantsBias())
    return c.op("dense", {c.x[0], *weight});
  std::optional<ValueId> bias = c.parameter("bias", {units}, fans);
  return bias ? c.op("dense", {c.x[0], *weight, *bias}) : std::nullopt;
}

std::optional<ValueId> buildFlatten(LayerContext &c) { return c.op("flatten", {c.x[0]}); }

} // namespace

std::vector<LayerDef> denseLayers() {
  return {
      {.spec = {"dense",
                "y = x Wᵀ + b",
                {
                    {.name = "units",
                     .forms = {Form::Integer},
                     .doc = "outputs",
                     .required = true,
                     .min = 1,
                     .max = kMaxSize},
                    {.name = "weight",
                     .forms = {Form::Object, Form::Name},
                     .doc = "[units, inputs]",
                     .object = parameterSpec},
                    {.name = "bias",
                     .forms = {Form::Bool, Form::Object, Form::Name},
                     .doc = "[units]",
                     .fallback = "true",
                     .object = parameterSpec},
                }},
       .build = buildDense},
      {.spec = {"flatten", "All dimensions but the first as one", {}}, .build = buildFlatten},
  };
}

} // namespace gradc
