// gather and scatter_add: each is the other's gradient. Both clamp indices into the dimension.
#include <algorithm>

#include "ir/rules.h"

namespace gradc::ops {
namespace {

// Shapes: x is [outer…, size, inner…], indices [i…], what is gathered [outer…, i…, inner…].
struct Split {
  int64_t outer = 1, count = 1, inner = 1;
};

Split split(const Shape &gathered, int64_t axis, int indexRank) {
  Split s;
  for (int i = 0; i < gathered.rank(); ++i)
    (i < axis ? s.outer : i < axis + indexRank ? s.count : s.inner) *= gathered[i];
  return s;
}

int64_t clampedIndex(const Tensor &indices, int64_t i, int64_t size) {
  return std::clamp<int64_t>(indices.getInt(i), 0, size - 1);
}

Rule<Types> gatherInfer(const InferArgs &args) {
  const Type &x = args.operands[0], &indices = args.operands[1];
  int64_t axis = args.attrs.i64("axis");
  GRADC_REFUSE(notOfDType("indices", indices, DType::I32));
  GRADC_REFUSE(notAnAxis(axis, "x", x));
  std::vector<int64_t> shape(x.shape.begin(), x.shape.begin() + axis);
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), x.shape.begin() + axis + 1, x.shape.end());
  GRADC_REFUSE(notAShape("the result", shape));
  return oneType(x.dtype, Shape(shape));
}

void gatherEval(const EvalArgs &args) {
  const Tensor &x = *args.operands[0], &indices = *args.operands[1];
  int64_t axis = args.attrs.i64("axis"), size = x.type().shape[axis];
  Split s = split(args.results[0].type().shape, axis, indices.type().rank());
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t k = 0; k < s.count; ++k)
      for (int64_t i = 0; i < s.inner; ++i)
        copyElement(args.results[0], (o * s.count + k) * s.inner + i, x,
                    (o * size + clampedIndex(indices, k, size)) * s.inner + i);
}

void gatherGrad(GradArgs &g) {
  int64_t axis = g.attrs().i64("axis");
  g.to(0,
       g.b.create("scatter_add", {g.x(1), g.dy()}, {{"axis", axis}, {"size", g.type(g.x(0)).shape[axis]}}));
}

Rule<Types> scatterInfer(const InferArgs &args) {
  const Type &indices = args.operands[0], &updates = args.operands[1];
  int64_t axis = args.attrs.i64("axis");
  GRADC_REFUSE(notOfDType("indices", indices, DType::I32));
  GRADC_REFUSE(notFloat("updates", updates));
  if (axis + indices.rank() > updates.rank() ||
      !std::equal(indices.shape.begin(), indices.shape.end(), updates.shape.begin() + axis))
    return refuse("indices is {} but updates is {}, which must have that shape from dimension {} on",
                  toString(indices), toString(updates), axis);
  std::vector<int64_t> shape(updates.shape.begin(), updates.shape.begin() + axis);
  shape.push_back(args.attrs.i64("size"));
  shape.insert(shape.end(), updates.shape.begin() + axis + indices.rank(), updates.shape.end());
  GRADC_REFUSE(notAShape("the result", shape));
  return oneType(updates.dtype, Shape(shape));
}

void scatterEval(const EvalArgs &args) {
  const Tensor &indices = *args.operands[0], &updates = *args.operands[1];
  int64_t size = args.attrs.i64("size");
  Split s = split(updates.type().shape, args.attrs.i64("axis"), indices.type().rank());
  std::vector<double> from = toDoubles(updates), sums(args.results[0].elements());
  for (int64_t o = 0; o < s.outer; ++o)
    for (int64_t k = 0; k < s.count; ++k)
      for (int64_t i = 0; i < s.inner; ++i)
        sums[(o * size + clampedIndex(indices, k, size)) * s.inner + i] +=
            from[(o * s.count + k) * s.inner + i];
  fromDoubles(args.results[0], sums);
}

} // namespace
} // namespace gradc::ops

GRADC_OPS(gather) {
  static const OpDef rows[] = {
      {.name = "gather",
       .doc = "picks x's slices at the indices along a dimension, which the indices' dimensions replace; "
              "an index out of range is clamped",
       .operands = {{"x"}, {"indices"}},
       .attrs = {{.name = "axis",
                  .kind = AttrKind::I64,
                  .doc = "the dimension that is indexed",
                  .defaultValue = int64_t{0},
                  .min = 0,
                  .max = kMaxRank - 1}},
       .traits = kMovement,
       .infer = gatherInfer,
       .eval = gatherEval,
       .grad = gatherGrad},
      {.name = "scatter_add",
       .doc = "zeros to which the slices of updates are added at the indices along a dimension; repeated "
              "indices "
              "add up, an index out of range is clamped",
       .operands = {{"indices"}, {"updates"}},
       .attrs = {{.name = "axis",
                  .kind = AttrKind::I64,
                  .doc = "the dimension that is indexed",
                  .defaultValue = int64_t{0},
                  .min = 0,
                  .max = kMaxRank - 1},
                 {.name = "size",
                  .kind = AttrKind::I64,
                  .doc = "size of that dimension in the result",
                  .required = true,
                  .min = 1,
                  .max = double(int64_t{1} << 40)}},
       .infer = scatterInfer,
       .eval = scatterEval,
       .grad =
           [](GradArgs &g) {
             g.to(1, g.b.create("gather", {g.dy(), g.x(0)}, {{"axis", g.attrs().i64("axis")}}));
           }},
  };
  return rows;
}
