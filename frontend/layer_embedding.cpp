// embedding: rows of a table, picked by integers
#include "frontend/layer.h"
#include "frontend/tables.h"

namespace gradc {
namespace {

std::optional<ValueId> buildEmbedding(LayerContext &c) {
  if (!isInteger(c.type(0).dtype))
    return c.fail("inputs", "embedding expects integers, but {}", c.inputText(0));
  const Shape table{c.integer("count", 1), c.integer("size", 1)};
  std::optional<ValueId> weight = c.parameter("weight", table, {}, "normal");
  if (!weight)
    return std::nullopt;
  ValueId indices = c.type(0).dtype == DType::I32 ? c.x[0] : c.b.cast(c.x[0], DType::I32);
  return c.op("gather", {*weight, indices});
}

KeySpec size(std::string_view name, std::string_view doc) {
  return {.name = name, .forms = {Form::Integer}, .doc = doc, .required = true, .min = 1, .max = kMaxSize};
}

} // namespace

std::vector<LayerDef> embeddingLayers() {
  return {{.spec = {"embedding",
                    "A row of a trained table for each integer; one out of range is clamped",
                    {size("count", "rows of the table"),
                     size("size", "columns of the table"),
                     {.name = "weight",
                      .forms = {Form::Object, Form::Name},
                      .doc = "[count, size], normally distributed",
                      .object = parameterSpec}}},
           .build = buildEmbedding}};
}

} // namespace gradc
