#include "passes/pipeline.h"

#include "support/check.h"

namespace gradc {

std::string_view precisionName(Precision precision) {
  switch (precision) {
  case Precision::F32: return "f32";
  case Precision::Bf16: return "bf16";
  case Precision::F16: return "f16";
  case Precision::Tf32: return "tf32";
  case Precision::F32Amx: return "f32-amx";
  }
  return "f32";
}

Pipeline buildPipeline(const PipelineOptions &options) {
  Pipeline pipeline;
  auto add = [&](std::string_view name, Dict passOptions = {}) {
    const PassDef *pass = findPass(name);
    CHECK(pass, "no pass is named '{}'", name);
    pipeline.push_back({pass, std::move(passOptions)});
  };

  // On the graph as the model's author wrote it, where a layer is one op. Before its gradients are made: those of what
  // computes less compute less.
  add("reassociate");

  // The training step, while the graph has the ops that the model's author wrote: composites know gradients that
  // their expansions do not.
  if (options.train) {
    add("autodiff");
    add("optimizer");
  }

  // Primitives only, from here on.
  add("expand");

  // Templates of gradients and expansions leave constants, repetitions and forms with a simpler one.
  // canonicalize first, as it makes equal what only looked different; folding after it, as it brings work on
  // broadcast scalars down to scalars; cse then sees the folded constants; dce last, as all of them leave ops
  // that nothing uses, and layout and fuse count uses.
  add("canonicalize");
  add("constant-fold");
  add("cse");
  add("dce");
  if (options.train)
    add("window-sums");

  // Casts of one value are one after cse; layout has to see which values are stored as bf16. On CUDA values stay f32
  // in memory, row-major, and tensor cores round what they read: schedule-cuda names the algorithm.
  if (options.precision == Precision::Bf16 && !options.cuda)
    add("precision");

  // Layouts before fusion: a kernel's values share one. Several consumers may have asked for the same relayout.
  // A CUDA device has as many threads as there are elements, so it needs no batch in vector lanes.
  if (!options.cuda) {
    Dict layout;
    if (options.pack)
      layout.set("pack", true);
    add("layout", std::move(layout));
    add("cse");
    add("dce");
  }

  // Kernels: fuse decides what runs together, outline makes a kernel of each op that is left, so that code
  // generation sees nothing else.
  Dict fusion;
  if (!options.cuda) {
    fusion.set("reorder", true);
    fusion.set("siblings", true);
  }
  add("fuse", std::move(fusion));
  add("outline");

  // Loops need kernels; places in memory come last, when the set of values that are stored is final.
  Dict schedule = options.schedule, memory;
  if (options.cuda) {
    schedule.set("precision", Keyword{std::string(precisionName(options.precision))});
    add("schedule-cuda", std::move(schedule));
    // Which kernels run at once decides what memory they may share.
    add("launches");
    // Where rows of 128 bytes are read at once, values begin at such.
    memory.set("alignment", int64_t{256});
  } else {
    // The algorithm first: a tile suits one. They need kernels, as what runs together does not decide about bits. Of
    // gradients that are computed by tiles there are no pairs.
    add("winograd");
    add("pixels");
    if (options.precision == Precision::F32)
      add("pair");
    if (options.precision == Precision::F32Amx)
      schedule.set("split", true);
    add("schedule", std::move(schedule));
  }
  add("plan-memory", std::move(memory));
  return pipeline;
}

Pipeline upTo(const Pipeline &pipeline, std::string_view pass) {
  size_t end = 0;
  for (size_t i = 0; i < pipeline.size(); ++i)
    if (pipeline[i].def->name == pass)
      end = i + 1;
  return {pipeline.begin(), pipeline.begin() + static_cast<std::ptrdiff_t>(end)};
}

} // namespace gradc
