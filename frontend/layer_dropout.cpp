// dropout: absent outside training
#include "frontend/layer.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

std::optional<ValueId> buildDropout(LayerContext &c) {
  if (!c.training())
    return c.x[0];
  return c.op("dropout", {c.x[0], c.hyper("rate"), c.seed(), c.step(), c.row0()}, {{"stream", c.name()}});
}

} // namespace

std::vector<LayerDef> dropoutLayers() {
  return {
      {.spec =
           {"dropout",
            "Sets a random part of the elements to 0 in training and scales the rest up by 1 / (1 - rate)",
            {{.name = "rate",
              .forms = {Form::Number, Form::Union},
              .doc = "the part that is set to 0; may be a schedule",
              .fallback = "0.5",
              .min = 0,
              .max = 0.999,
              .choice = scheduledNumberUnion}}},
       .build = buildDropout}};
}

} // namespace gradc
