// The steps of a gradient towards the weights by Winograd's algorithm: see codegen/cpu/winograd/winograd_weight_nest.h.
#include <algorithm>

#include <fmt/format.h>

#include "codegen/cpu/contract/panel.h"
#include "codegen/cpu/elements/reduction.h"
#include "codegen/cpu/winograd/winograd_fetch.h"
#include "codegen/cpu/winograd/winograd_weight_nest.h"

namespace gradc {
namespace {

constexpr int64_t kFloat = 4, kVector = kVectorLanes * kFloat;
/// Of one round of products in the whole nest: so many, and the sums that wait, stay in L1.
constexpr int64_t kPartTiles = 8;

/// Tiles, and where what belongs to them begins.
struct Slab {
  llvm::Value *first, *end; // tiles
  llvm::Value *image, *gradient, *products;
};
struct Panels {
  llvm::Value *first, *end;
};
/// What products do to M.
enum class Into {
  Start,    // are all of it
  Continue, // go on with its chains
  Add       // are added to it, chains of their own
};
constexpr std::string_view name(Into into) {
  return into == Into::Start ? "start" : into == Into::Continue ? "continue" : "add";
}

class ProductsEmitter {
public:
  ProductsEmitter(TileKernels &tiles, const WinogradWeightNest &nest)
      : tiles_(tiles), e(tiles.e), nest_(nest), fetch_(e, nest) {}

  int64_t imageBytes() const { return nest_.points() * nest_.imagePlane(); }
  int64_t gradientBytes() const { return nest_.points() * nest_.gradientPlane(); }
  int64_t productBytes() const { return nest_.points() * nest_.productPlane(); } // of one M
  int64_t patchBytes() const { return nest_.points() * kVector; } // what emitWinogradOperand needs
  int64_t transformScratch() const { return patchBytes() + nest_.gradientScratch(); }
  /// The sums of a panel, of all segments, in the whole nest.
  int64_t segmentScratch() const {
    return nest_.whole && nest_.segments > 1 ? nest_.segments * nest_.depth() * nest_.tile.vectors * kVector
                                             : 0;
  }
  int64_t panels() const { return countTiles(nest_.panelRuns()); }

  llvm::Value *firstTile(llvm::Value *segment) {
    return e.div(e.mul(segment, nest_.image.tiles()), nest_.segments);
  }
  Panels all() { return {e.i64(0), e.i64(panels())}; }
  Panels partOf(llvm::Value *part) {
    llvm::Value *first = e.mul(part, nest_.partPanels());
    return {first, e.atMost(e.add(first, e.i64(nest_.partPanels())), e.i64(panels()))};
  }

  /// V, and U of some panels, of some tiles of a slab that begins at `start`.
  void transform(const Slab &slab, const Panels &panels, llvm::Value *start, llvm::Value *x, llvm::Value *dy,
                 llvm::Value *scratch) {
    llvm::Value *at = e.mul(e.b.CreateSub(slab.first, start), nest_.depth() * kVector);
    emitWinogradOperand(tiles_, nest_.image,
                        {.images = x,
                         .target = e.offset(slab.image, at),
                         .patch = scratch,
                         .first = slab.first,
                         .end = slab.end,
                         .firstChannel = e.i64(0),
                         .endChannel = e.i64(nest_.depth())});
    emitWinogradGradient(tiles_, nest_,
                         {.gradient = dy,
                          .target = slab.gradient,
                          .scratch = e.offset(scratch, patchBytes()),
                          .firstTile = slab.first,
                          .endTile = slab.end,
                          .slabStart = start,
                          .firstPanel = panels.first,
                          .endPanel = panels.end});
  }

  /// V·U of one point; in the whole nest, of all segments, which start M. `next` is null unless fetches pay.
  void multiply(const Slab &slab, const Panels &panels, llvm::Value *point, Into into,
                const WinogradWeightFetch::Next *next = nullptr) {
    forPanels(panels, [&](llvm::Value *panel, llvm::Value *group, const TileRun &run) {
      Product all = productOf(slab, point, group, run, nest_.rowRuns());
      all.sums = e.offset(all.sums, e.mul(group, nest_.depth() * kVector));
      all.next = next;
      all.number = e.add(e.mul(point, nest_.partPanels()), e.b.CreateSub(panel, panels.first));
      if (nest_.whole)
        multiplySegments(all);
      else
        multiplyTiles(all, into);
    });
  }

  /// The whole nest's M of a block of rows and a panel at `products`, and the results made of it.
  void finishBlock(const Slab &slab, llvm::Value *panel, llvm::Value *block, llvm::Value *scratch) {
    llvm::Value *firstRow = e.mul(block, nest_.blockRows);
    emitPanelSwitch(e, block, nest_.depth(), nest_.blockRows, [&](int64_t rows) {
      emitTileSwitch(e, nest_.panelRuns(), panel, [&](llvm::Value *group, const TileRun &run) {
        e.count(nest_.points(), [&](llvm::Value *point) {
          Product part = productOf(slab, point, group, run, balancedTiles(rows, nest_.tile.rows));
          part.image = e.offset(part.image, e.mul(firstRow, kVector));
          multiplyTiles(part, Into::Start);
        });
        e.count(ceilDiv(rows, kVectorLanes), [&](llvm::Value *part) {
          e.count(run.size, [&](llvm::Value *j) {
            llvm::Value *sum = e.add(e.mul(part, kVectorLanes * run.size), j);
            emitWinogradWeightResults(tiles_, nest_,
                                      {e.offset(slab.products, e.mul(sum, kVector)), scratch, run.size,
                                       e.add(group, j), e.add(e.div(firstRow, kVectorLanes), part)});
          });
        });
      });
    });
  }

private:
  void forPanels(const Panels &panels,
                 const std::function<void(llvm::Value *panel, llvm::Value *group, const TileRun &)> &f) {
    e.loop(panels.first, panels.end, 1, [&](llvm::Value *panel) {
      emitTileSwitch(e, nest_.panelRuns(), panel,
                     [&](llvm::Value *group, const TileRun &run) { f(panel, group, run); });
    });
  }

  /// Of some channels of the image and a panel of the gradient's.
  struct Product {
    llvm::Value *image, *gradient, *sums, *tiles;
    int64_t vectors;
    std::vector<TileRun> runs; // of the rows
    const WinogradWeightFetch::Next *next = nullptr;
    llvm::Value *number = nullptr; // of the point and panel
  };

  /// Of a point, from the image's first channel and the panel's first group on.
  Product productOf(const Slab &slab, llvm::Value *point, llvm::Value *group, const TileRun &run,
                    std::vector<TileRun> runs) {
    llvm::Value *u = e.offset(slab.gradient, e.mul(point, nest_.gradientPlane()));
    return {.image = e.offset(slab.image, e.mul(point, nest_.imagePlane())),
            .gradient = e.offset(u, e.mul(group, nest_.slab * kVectorLanes * kVector)),
            .sums = e.offset(slab.products, e.mul(point, nest_.productPlane())),
            .tiles = e.b.CreateSub(slab.end, slab.first),
            .vectors = run.size,
            .runs = std::move(runs)};
  }

  void multiplyTiles(const Product &p, Into into) {
    e.count(countTiles(p.runs), [&](llvm::Value *tile) {
      emitTileSwitch(e, p.runs, tile, [&](llvm::Value *row, const TileRun &rows) {
        TileKernels::Args args{e.offset(p.image, e.mul(row, kVector)),
                               p.gradient,
                               e.argument(1),
                               {p.tiles},
                               e.offset(p.sums, e.mul(row, p.vectors * kVector))};
        if (p.next) {
          const Values share = fetch_.share(*p.next, e.add(e.mul(p.number, countTiles(p.runs)), tile));
          args.numbers.insert(args.numbers.end(), share.begin(), share.end());
        }
        tiles_.call(fmt::format("{}{}x{}", name(into), rows.size, p.vectors), args,
                    [&](const TileKernels::Args &inner) { tileBody(inner, rows.size, p.vectors, into); });
      });
    });
  }

  /// Segment by segment, a few tiles at a time, whose operands stay in L1 for all rows; then the segments' tree.
  void multiplySegments(const Product &p) {
    const int64_t bytes = nest_.depth() * p.vectors * kVector;
    const bool tree = nest_.segments > 1;
    e.count(nest_.segments, [&](llvm::Value *segment) {
      llvm::Value *first = firstTile(segment), *end = firstTile(e.add(segment, e.i64(1)));
      llvm::Value *sums = tree ? e.offset(e.scratch(), e.mul(segment, bytes)) : p.sums;
      auto part = [&](llvm::Value *start, Into into) {
        llvm::Value *partEnd = e.atMost(e.add(start, e.i64(kPartTiles)), end);
        multiplyTiles({e.offset(p.image, e.mul(start, nest_.depth() * kVector)),
                       e.offset(p.gradient, e.mul(start, kVectorLanes * p.vectors * kVector)), sums,
                       e.b.CreateSub(partEnd, start), p.vectors, p.runs},
                      into);
      };
      part(first, Into::Start);
      e.loop(e.add(first, e.i64(kPartTiles)), end, kPartTiles,
             [&](llvm::Value *start) { part(start, Into::Continue); });
    });
    if (tree)
      tiles_.call(fmt::format("tree{}", p.vectors), {e.scratch(), p.sums, e.argument(1), {}},
                  [&](const TileKernels::Args &inner) { treeBody(inner, bytes); });
  }

  void treeBody(const TileKernels::Args &args, int64_t bytes) {
    e.count(bytes / kVector, [&](llvm::Value *i) {
      Values parts;
      for (int64_t s = 0; s < nest_.segments; ++s)
        parts.push_back(e.b.CreateAlignedLoad(e.vectorType(DType::F32),
                                              e.offset(e.offset(args.row, e.mul(i, kVector)), s * bytes),
                                              llvm::Align(64)));
      e.b.CreateAlignedStore(emitTree(e, Leaf::Add, DType::F32, std::move(parts)),
                             e.offset(args.column, e.mul(i, kVector)), llvm::Align(64));
    });
  }

  void tileBody(const TileKernels::Args &args, int64_t rows, int64_t vectors, Into into) {
    RegisterTileShape shape;
    for (int64_t i = 0; i < rows; ++i)
      shape.rowOffsets.push_back(i * kVector);
    for (int64_t j = 0; j < vectors; ++j)
      shape.columnOffsets.push_back(j * kVector);
    const Reduction images = Reduction::loop(kVectorLanes, kFloat, vectors * kVector, Reduction::step());
    const Reduction depth =
        Reduction::runtimeLoop(0, false, nest_.depth() * kVector, kVectorLanes * vectors * kVector, images);
    if (fetch_.pays())
      shape.alongside = [&](llvm::Value *tile, int64_t) {
        fetch_.emit({args.numbers.begin() + 1, args.numbers.end()}, tile);
        if (into != Into::Continue) // else its loads bring M
          fetch_.emitSums(args.partials, rows * vectors, tile);
      };
    Values sums = zeroAccumulators(e, shape);
    auto place = [&](size_t i) { return e.offset(args.partials, static_cast<int64_t>(i) * kVector); };
    auto load = [&](size_t i) {
      return e.b.CreateAlignedLoad(e.vectorType(DType::F32), place(i), llvm::Align(64));
    };
    for (size_t i = 0; into == Into::Continue && i < sums.size(); ++i)
      sums[i] = load(i);
    sums = emitRegisterTile(e, shape, depth, args.row, args.column, {args.numbers[0]}, std::move(sums));
    for (size_t i = 0; i < sums.size(); ++i)
      e.b.CreateAlignedStore(into == Into::Add ? e.b.CreateFAdd(load(i), sums[i]) : sums[i], place(i),
                             llvm::Align(64));
  }

  TileKernels &tiles_;
  Emit &e;
  const WinogradWeightNest &nest_;
  const WinogradWeightFetch fetch_;
};

/// Seconds at 100 billion operations a second.
double seconds(double operations) { return 1e-11 * operations; }

class StepsEmitter {
public:
  StepsEmitter(KernelContext &k, TileKernels &tiles, const WinogradWeightNest &nest, int image, int gradient)
      : k_(k), e(k.e), nest_(nest), products_(tiles, nest), image_(image), gradient_(gradient) {}

  /// One step: an item is a part of a segment, or of several that it adds.
  KernelStep nearStep() {
    const KernelStep step{.symbol = k_.symbol,
                          .items = nest_.sums() * nest_.parts,
                          .scratchBytes = products_.imageBytes() + products_.gradientBytes() +
                                          products_.transformScratch(),
                          .work = productWork()};
    e.beginKernel(step.symbol);
    llvm::Value *x = e.buffer(image_), *dy = e.buffer(gradient_), *workspace = e.buffer(k_.workspaceBuffer());
    llvm::Value *image = e.scratch(), *gradient = e.offset(image, products_.imageBytes());
    llvm::Value *scratch = e.offset(gradient, products_.gradientBytes());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      llvm::Value *sum = e.div(item, nest_.parts), *part = e.mod(item, nest_.parts);
      const Panels panels = products_.partOf(part);
      llvm::Value *products = e.offset(workspace, e.mul(sum, products_.productBytes()));
      llvm::Value *afterItem = products_.firstTile(e.div(e.add(item, e.i64(1)), nest_.parts));
      llvm::Value *channels = e.div(e.mul(part, nest_.channels), nest_.parts);
      WinogradWeightFetch::Next next{x, e.offset(dy, e.mul(channels, nest_.channel())), nullptr};
      for (int64_t i = 0; i < nest_.joined; ++i) {
        llvm::Value *segment = e.add(sum, e.i64(i * nest_.sums()));
        llvm::Value *first = products_.firstTile(segment),
                    *end = products_.firstTile(e.add(segment, e.i64(1)));
        llvm::Value *after =
            i + 1 < nest_.joined ? products_.firstTile(e.add(segment, e.i64(nest_.sums()))) : afterItem;
        auto slab = [&](llvm::Value *start, Into into) {
          const Slab tiles{start, e.atMost(e.add(start, e.i64(nest_.slab)), end), image, gradient, products};
          next.first = e.b.CreateSelect(e.b.CreateICmpSLT(tiles.end, end), tiles.end, after);
          products_.transform(tiles, panels, start, x, dy, scratch);
          e.count(nest_.points(),
                  [&](llvm::Value *point) { products_.multiply(tiles, panels, point, into, &next); });
        };
        slab(first, i == 0 ? Into::Start : Into::Add);
        if (!nest_.oneSlab())
          e.loop(e.add(first, e.i64(nest_.slab)), end, nest_.slab,
                 [&](llvm::Value *start) { slab(start, Into::Continue); });
      }
    });
    e.endFunction();
    return step;
  }

  /// Two steps for each slab.
  std::vector<KernelStep> farSteps() {
    if (nest_.blockRows)
      return {transformStep(0, 0, nest_.slab), finishStep()};
    if (nest_.whole)
      return {transformStep(0, 0, nest_.slab), multiplyStep(0, 0, nest_.slab, Into::Start)};
    std::vector<KernelStep> steps;
    for (int64_t segment = 0; segment < nest_.segments; ++segment)
      for (int64_t first = nest_.firstTile(segment), end = nest_.firstTile(segment + 1), start = first;
           start < end; start += nest_.slab) {
        const int64_t count = std::min(nest_.slab, end - start);
        steps.push_back(transformStep(segment, start, count));
        steps.push_back(multiplyStep(segment, start, count, start > first ? Into::Continue : Into::Start));
      }
    return steps;
  }

  int64_t workspaceBytes() const {
    const int64_t products = sumBytes();
    return nest_.near ? products : products + products_.imageBytes() + products_.gradientBytes();
  }

private:
  /// Of all M in the workspace.
  int64_t sumBytes() const { return nest_.blockRows ? 0 : nest_.sums() * products_.productBytes(); }

  double productWork() const {
    return seconds(2.0 * kVectorLanes * static_cast<double>(nest_.points() * nest_.image.tiles()) *
                   static_cast<double>(nest_.depth() * nest_.channels));
  }

  Slab slabInWorkspace(int64_t segment, int64_t start, int64_t count) {
    llvm::Value *workspace = e.buffer(k_.workspaceBuffer());
    llvm::Value *image = e.offset(workspace, sumBytes());
    return {e.i64(start), e.i64(start + count), image, e.offset(image, products_.imageBytes()),
            e.offset(workspace, segment * products_.productBytes())};
  }

  /// An item is a few neighbouring tiles.
  KernelStep transformStep(int64_t segment, int64_t start, int64_t count) {
    constexpr int64_t kEnoughItems = 32, kMost = 4;
    const int64_t tiles = std::clamp<int64_t>(count / kEnoughItems, 1, kMost);
    const KernelStep step{.symbol = fmt::format("{}.operands{}", k_.symbol, start),
                          .items = ceilDiv(count, tiles),
                          .scratchBytes = products_.transformScratch(),
                          .work = 1e-7 * static_cast<double>(count * (nest_.depth() + nest_.channels))};
    e.beginKernel(step.symbol);
    llvm::Value *x = e.buffer(image_), *dy = e.buffer(gradient_);
    Slab slab = slabInWorkspace(segment, start, count);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      Slab some = slab;
      some.first = e.add(slab.first, e.mul(item, tiles));
      some.end = e.atMost(e.add(some.first, e.i64(tiles)), slab.end);
      products_.transform(some, products_.all(), slab.first, x, dy, e.scratch());
    });
    e.endFunction();
    return step;
  }

  /// An item is a part of a point's products.
  KernelStep multiplyStep(int64_t segment, int64_t start, int64_t count, Into into) {
    const KernelStep step{.symbol = start == 0 ? k_.symbol : fmt::format("{}.products{}", k_.symbol, start),
                          .items = nest_.points() * nest_.parts,
                          .scratchBytes = products_.segmentScratch(),
                          .work = productWork() * static_cast<double>(count) /
                                  static_cast<double>(nest_.image.tiles())};
    e.beginKernel(step.symbol);
    const Slab slab = slabInWorkspace(segment, start, count);
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      products_.multiply(slab, products_.partOf(e.mod(item, nest_.parts)), e.div(item, nest_.parts), into);
    });
    e.endFunction();
    return step;
  }

  /// Products and results: an item is a block of rows of a panel, whose U stays near from one to the next.
  KernelStep finishStep() {
    const int64_t blocks = ceilDiv(nest_.depth(), nest_.blockRows);
    const KernelStep step{.symbol = k_.symbol,
                          .items = products_.panels() * blocks,
                          .scratchBytes = products_.productBytes() + winogradResultsScratch(nest_),
                          .work = productWork()};
    e.beginKernel(step.symbol);
    Slab slab = slabInWorkspace(0, 0, nest_.slab);
    slab.products = e.scratch();
    llvm::Value *scratch = e.offset(slab.products, products_.productBytes());
    e.loop(e.itemBegin(), e.itemEnd(), 1, [&](llvm::Value *item) {
      products_.finishBlock(slab, e.div(item, blocks), e.mod(item, blocks), scratch);
    });
    e.endFunction();
    return step;
  }

  KernelContext &k_;
  Emit &e;
  const WinogradWeightNest &nest_;
  ProductsEmitter products_;
  int image_, gradient_;
};

} // namespace

KernelCode emitWinogradWeight(KernelContext &k, TileStore &store, const WinogradWeightNest &nest, int image,
                              int gradient) {
  TileKernels tiles(k.e, store, k.symbol);
  StepsEmitter emitter(k, tiles, nest, image, gradient);
  KernelCode code{.workspaceBytes = emitter.workspaceBytes()};
  if (nest.near)
    code.steps.push_back(emitter.nearStep());
  else
    code.steps = emitter.farSteps();
  if (!nest.blockRows)
    code.steps.push_back(emitWinogradWeightResults(k, tiles, nest));
  return code;
}

} // namespace gradc
