// Reductions whose chains are long, or walk along memory: of short rows, of statistics over the batch and the pixels, of
// columns. A tile of terms goes into shared memory, computed side by side; one thread per chain adds those of its chain.
// Where a chain takes several tiles, half of the block computes the next one while the other half adds: what a chain
// waits for is then its additions, or memory, and not the one after the other.
//
// Rows: neighbours in memory belong to one chain. A gap in shared memory wherever rows of the tile begin at bank 0 again
// keeps both the lines that are written and the columns that are read free of bank conflicts.
//   f32[N,10] over axis 1:        64 rows a block, a chain each
//   f32[N,C,H,W] over N, H, W:    a channel a block, 16 chains each for the lanes along N; 256 pixels at a time
// Columns: neighbours in memory belong to neighbouring sums.
//   f32[N,D] over N:              4 or 8 columns a block, 16 chains each for the lanes along N
//   f32[N,T,D] over N, T:         4 or 8 columns a block, a chain for each of the order's segments; 128 rows at a time
#include <limits>

#include "codegen/cuda/reduction.h"
#include "codegen/cuda/row_writer.h"
#include "codegen/cuda/staged_form.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

constexpr int64_t kTogether = 4; // groups of neighbours that a thread loads before it stores
constexpr int kUnrolledTerms = 16;

class StagedChains {
public:
  StagedChains(const CudaKernelContext &k, const CudaRowPlan &plan, const CudaStagedForm &form)
      : w_(k), m_(w_.m), k_(k), plan_(plan), form_(form), pipelined_(form.tiles() > 1) {
    thread_ = m_.math.counter("thread", kCudaThreads);
    const bool wide = m_.math.indexType() != "int";
    block_ = m_.math.counter(wide ? w_.text.define(m_.math.indexType(), "wide_block", "block") : "block",
                             blocks());
    lane_ = m_.math.lanes(form.width);
    adder_ = thread_;
  }

  int64_t blocks() const { return ceilDiv(form_.sums, form_.sumsPerBlock); }

  CudaStep write() {
    w_.text.line("const int thread = threadIdx.x;");
    if (pipelined_)
      adder_ = m_.math.counter(w_.text.define("int", "adder", fmt::format("thread ^ {}", kStagedLoaders)),
                               kCudaThreads);
    for (const std::vector<OpId> &ops : plan_.levels)
      reduceLevel(ops);
    storeFull();
    storeKept();
    CudaStep step = std::move(w_).finish(blocks());
    step.readsAhead = pipelined_;
    return step;
  }

private:
  struct Reduction {
    OpId op;
    ValueId operand;
    DType dtype;
    bool argmax;
    std::string name;
    std::string tile;        // the terms, in shared memory; of the next tile behind them where there is one
    std::string sum, number; // of the chain
    std::string results;     // by sum, in shared memory
  };
  /// A term of the tile.
  struct Term {
    CudaIndex sum, part, step; // of the block, of the sum, of the chain's piece
  };

  std::vector<Reduction> declare(const std::vector<OpId> &ops) {
    std::vector<Reduction> reductions;
    for (OpId op : ops) {
      const OpData &data = k_.fn[op];
      Reduction r{op,
                  data.operands[0],
                  k_.fn.type(data.operands[0]).dtype,
                  isArgmax(k_.fn, op),
                  k_.fn[data.results[0]].name,
                  {},
                  {},
                  {},
                  {}};
      const double start =
          r.argmax ? -std::numeric_limits<double>::infinity() : cudaReductionStart(data.def->name);
      r.tile = tileOf(r, reductions.size());
      r.results = w_.sharedArray(r.name + "_sums", k_.fn.type(data.results[0]).dtype,
                                 form_.columns ? form_.chains() : form_.sumsPerBlock);
      r.sum = m_.variable(r.dtype, r.name + "_part", cudaLiteral(r.dtype, start));
      if (r.argmax)
        r.number = m_.variable(DType::I32, r.name + "_at", kNoNumber);
      reductions.push_back(std::move(r));
    }
    return reductions;
  }

  /// The place of a level's n-th reduction, which those of later levels take over.
  std::string tileOf(const Reduction &r, size_t n) {
    if (n == areas_.size()) {
      const int64_t bytes = (pipelined_ ? 2 : 1) * form_.tileWithGaps() * cudaTermBytes(k_, plan_);
      const auto size = static_cast<int64_t>(dtypeSize(r.dtype));
      areas_.push_back(w_.sharedArray(r.name + "_terms", r.dtype, ceilDiv(bytes, size)));
      return areas_[n];
    }
    const std::string name = w_.text.name(r.name + "_terms");
    w_.text.line("{0} *{1} = ({0} *){2};", cudaMemoryType(r.dtype), name, areas_[n]);
    return name;
  }

  void reduceLevel(const std::vector<OpId> &ops) {
    const std::vector<Reduction> reductions = declare(ops);
    if (pipelined_)
      pipeline(reductions);
    else {
      stage(reductions, 0, kCudaThreads);
      w_.barrier();
      m_.when(m_.math.below(thread_, form_.chains()), [&] { add(reductions, 0); });
      w_.barrier();
    }
    for (const Reduction &r : reductions)
      form_.columns ? combineParts(r) : combineLanes(r);
    w_.barrier();
    for (const Reduction &r : reductions)
      m_.bindValue(k_.fn[r.op].results[0], [this, r](const CudaIndices &at) {
        const Type &type = k_.fn.type(k_.fn[r.op].results[0]);
        const CudaIndex sum = m_.math.linear(type.shape, at);
        const CudaIndex local = m_.math.add(sum, m_.math.mul(block_, -form_.sumsPerBlock));
        return w_.text.define(cudaType(type.dtype), r.name,
                              fmt::format("{}[{}]", r.results, m_.math.text(local)));
      });
  }

  /// One half of the block computes a tile while the other adds the one before.
  void pipeline(const std::vector<Reduction> &reductions) {
    const std::string tile = w_.text.name("tile");
    const int64_t tiles = form_.tiles();
    const std::string_view type = m_.math.indexType();
    m_.block(fmt::format("for ({2} {0} = 0; {0} <= {1}; ++{0})", tile, tiles, type), [&] {
      m_.block(fmt::format("if (thread < {})", kStagedLoaders), [&] {
        m_.when(fmt::format("{} < {}", tile, tiles),
                [&] { stage(reductions, m_.math.counter(tile, tiles), kStagedLoaders); });
      });
      CudaCondition adds;
      adds.require(fmt::format("{} > 0", tile));
      adds.require(m_.math.below(adder_, form_.chains()));
      m_.block(fmt::format("else if ({})", adds.text()), [&] {
        add(reductions, m_.math.counter(w_.text.define(type, "before", fmt::format("{} - 1", tile)), tiles));
      });
      w_.barrier();
    });
  }

  /// The index of the full shape. A row of memory has all sums.
  CudaIndices indexOf(const CudaIndex &row, const CudaIndex &sum, const CudaIndex &place) {
    const CudaIndex number = m_.math.add(m_.math.mul(row, form_.sums), sum);
    return m_.math.dims(plan_.shape,
                        form_.columns ? number : m_.math.add(m_.math.mul(number, form_.run), place));
  }
  CudaIndex rowOf(const CudaIndex &part, const CudaIndex &example, const CudaIndex &place) {
    if (!form_.columns)
      return exampleOf(example, part);
    return form_.interleaved ? m_.math.add(m_.math.mul(place, form_.parts), part)
                             : m_.math.add(m_.math.mul(part, form_.run), place);
  }
  CudaIndex globalSum(const CudaIndex &local) {
    return m_.math.add(m_.math.mul(block_, form_.sumsPerBlock), local);
  }
  CudaIndex exampleOf(const CudaIndex &example, const CudaIndex &part) {
    return form_.columns ? CudaIndex(0) : m_.math.add(m_.math.mul(example, form_.parts), part);
  }

  /// Which term an element of the tile is; elements are numbered as memory has them.
  Term termOf(const CudaIndex &element) {
    CudaIndexMath &math = m_.math;
    if (!form_.columns) {
      const CudaIndex row = math.div(element, form_.steps);
      return {math.mod(row, form_.sumsPerBlock), math.div(row, form_.sumsPerBlock),
              math.mod(element, form_.steps)};
    }
    const CudaIndex row = math.div(element, form_.sumsPerBlock);
    return {math.mod(element, form_.sumsPerBlock), math.mod(row, form_.parts), math.div(row, form_.parts)};
  }
  CudaIndex elementOf(const Term &term) {
    CudaIndexMath &math = m_.math;
    if (!form_.columns)
      return math.add(math.mul(math.add(math.mul(term.part, form_.sumsPerBlock), term.sum), form_.steps),
                      term.step);
    return math.add(math.mul(math.add(math.mul(term.step, form_.parts), term.part), form_.sumsPerBlock),
                    term.sum);
  }
  /// Where an element of tile number `tile` lies.
  std::string slotOf(const CudaIndex &element, const CudaIndex &tile) {
    CudaIndexMath &math = m_.math;
    CudaIndex slot = element;
    if (!form_.columns)
      slot = math.add(slot, math.mul(math.div(element, form_.gap()), form_.width));
    return math.text(math.add(slot, math.mul(math.mod(tile, 2), form_.tileWithGaps())));
  }

  CudaIndex elementOfGroup(const CudaIndex &number, int64_t groups) {
    const std::string name = w_.text.define(m_.math.indexType(), "group", m_.math.text(number));
    return m_.math.add(m_.math.mul(m_.math.counter(name, groups), form_.width), lane_);
  }

  /// body(j, element) for all of `count`, in groups of `width` neighbours, spread over the threads. The element is the
  /// one at the group's lane; j numbers the groups of a thread.
  void forElements(int64_t count, int64_t threads,
                   const std::function<void(const CudaIndex &, const CudaIndex &)> &body) {
    const int64_t groups = count / form_.width;
    auto group = [&](const CudaIndex &j) {
      const CudaIndex number = m_.math.add(m_.math.mul(j, threads), m_.math.counter("thread", threads));
      m_.when(m_.math.below(number, groups), [&] { body(j, elementOfGroup(number, groups)); });
    };
    m_.loop("j", ceilDiv(groups, threads), group, true);
  }

  /// Computes the terms of a tile: all of a thread first, so that their loads are in flight together.
  void stage(const std::vector<Reduction> &reductions, const CudaIndex &tile, int64_t threads) {
    const int64_t held = ceilDiv(form_.tile(), form_.width * threads); // by a thread
    m_.lanes = form_.width;
    std::vector<std::string> terms;
    for (const Reduction &r : reductions) {
      terms.push_back(w_.text.name(r.name + "_term"));
      w_.text.line("{} {}[{}];", termType(r), terms.back(), held);
    }
    forElements(form_.tile(), threads, [&](const CudaIndex &j, const CudaIndex &element) {
      whereTermExists(element, tile, [&](const CudaIndices &index) {
        for (size_t r = 0; r < reductions.size(); ++r)
          w_.text.line("{}[{}] = {};", terms[r], m_.math.text(j), termAt(reductions[r], index));
      });
    });
    forElements(form_.tile(), threads, [&](const CudaIndex &j, const CudaIndex &element) {
      whereTermExists(element, tile, [&](const CudaIndices &) {
        const std::string slot = slotOf(m_.math.withoutLane(element), tile);
        for (size_t r = 0; r < reductions.size(); ++r) {
          const std::string own = fmt::format("{}[{}]", terms[r], m_.math.text(j)),
                            &array = reductions[r].tile;
          if (form_.width == 1)
            w_.text.line("{}[{}] = {};", array, slot, own);
          else
            w_.text.line("put4({} + {}, {});", array, slot, own);
        }
      });
    });
    m_.lanes = 1;
  }

  /// Of a term, or of as many as lie side by side.
  std::string_view termType(const Reduction &r) const {
    return form_.width == 1 ? cudaType(r.dtype) : "float4";
  }
  std::string termAt(const Reduction &r, const CudaIndices &index) {
    std::vector<std::string> values;
    for (m_.math.lane = 0; m_.math.lane < form_.width; ++m_.math.lane)
      values.push_back(m_.emit(r.operand, index));
    m_.math.lane = 0;
    return form_.width == 1 ? values[0] : fmt::format("make_float4({})", fmt::join(values, ", "));
  }

  /// Where a step of a tile lies in the run.
  CudaIndex placeOf(const CudaIndex &tile, const CudaIndex &step) {
    return m_.math.add(m_.math.mul(m_.math.mod(tile, form_.chunks()), form_.steps), step);
  }

  /// A place that arithmetic knows to be less than the run, and that rows of the shape cut between groups of neighbours.
  CudaIndex insideRun(const CudaIndex &place) {
    const int64_t last = plan_.shape[plan_.shape.rank() - 1];
    const bool fits = last % form_.steps == 0 || form_.steps % last == 0;
    if (form_.columns || (place.most() < form_.run && (fits || form_.width == 1)))
      return place;
    CudaIndexMath &math = m_.math;
    const std::string group =
        w_.text.define(math.indexType(), "place", math.text(math.div(place, form_.width)));
    return math.add(math.mul(math.counter(group, form_.run / form_.width), form_.width), lane_);
  }

  void whereTermExists(const CudaIndex &element, const CudaIndex &tile,
                       const std::function<void(const CudaIndices &)> &body) {
    CudaIndexMath &math = m_.math;
    const Term term = termOf(element);
    const CudaIndex example = math.div(tile, form_.chunks()), sum = globalSum(term.sum),
                    place = placeOf(tile, term.step);
    CudaCondition exists;
    exists.require(math.below(exampleOf(example, term.part), form_.batch));
    exists.require(math.below(math.withoutLane(sum), form_.sums));
    exists.require(math.below(math.withoutLane(place), form_.run));
    m_.when(exists.text(), [&] {
      const CudaIndices index = indexOf(rowOf(term.part, example, place), sum, insideRun(place));
      CHECK(form_.width == 1 || math.laneFactor(index.back()) == 1, "neighbours are not side by side");
      body(index);
    });
  }

  /// Adds the terms of a tile to the thread's chain.
  void add(const std::vector<Reduction> &reductions, const CudaIndex &tile) {
    CudaIndexMath &math = m_.math;
    const CudaIndex chain = math.counter(pipelined_ ? "adder" : "thread", form_.chains());
    const Term first = form_.columns
                           ? Term{math.mod(chain, form_.sumsPerBlock), math.div(chain, form_.sumsPerBlock), 0}
                           : Term{math.div(chain, form_.parts), math.mod(chain, form_.parts), 0};
    CudaCondition exists;
    exists.require(math.below(exampleOf(math.div(tile, form_.chunks()), first.part), form_.batch));
    exists.require(math.below(globalSum(first.sum), form_.sums));
    const int together = form_.columns ? 1 : form_.width; // terms that lie side by side
    m_.when(exists.text(), [&] {
      if (form_.steps / together > 1)
        w_.text.line("#pragma unroll {}", kUnrolledTerms / together);
      m_.loop("t", form_.steps / together, [&](const CudaIndex &t) {
        const CudaIndex step = math.mul(t, together), place = placeOf(tile, step);
        m_.when(math.below(place, form_.run), [&] {
          addTerms(reductions, slotOf(elementOf({first.sum, first.part, step}), tile), place, together);
        });
      });
    });
  }

  void addTerms(const std::vector<Reduction> &reductions, const std::string &slot, const CudaIndex &place,
                int together) {
    for (const Reduction &r : reductions) {
      const std::string four = together == 1
                                   ? ""
                                   : w_.text.define("float4", r.name + "_terms",
                                                    fmt::format("*(const float4 *)({} + {})", r.tile, slot));
      for (int i = 0; i < together; ++i) {
        const std::string x =
            together == 1 ? fmt::format("{}[{}]", r.tile, slot) : fmt::format("{}.{}", four, "xyzw"[i]);
        if (r.argmax)
          w_.text.line("argmax_take({}, {}, {}, {});", x, m_.math.text(m_.math.add(place, i)), r.sum,
                       r.number);
        else
          w_.text.line("{} = {};", r.sum, cudaCombine(k_.fn[r.op].def->name, r.dtype, r.sum, x));
      }
    }
  }

  /// The tree over the lanes of rows, which are neighbours in a warp; all threads take part in the shuffles.
  void combineLanes(const Reduction &r) {
    std::string result = r.argmax ? r.number : r.sum;
    if (form_.parts == kLanes && r.argmax)
      result = fmt::format("argmax16({}, {})", r.sum, r.number);
    else if (form_.parts == kLanes)
      result = fmt::format("tree16({0}, []({1} a, {1} b) {{ return {2}; }})", r.sum, cudaType(r.dtype),
                           combined(r, "a", "b"));
    const DType dtype = k_.fn.type(k_.fn[r.op].results[0]).dtype;
    const std::string sum = w_.text.define(cudaType(dtype), r.name, result);
    CudaCondition owner;
    owner.require(m_.math.below(adder_, form_.chains()));
    owner.require(m_.math.equals(m_.math.mod(adder_, form_.parts), 0));
    m_.when(owner.text(), [&] {
      w_.text.line("{}[{}] = {};", r.results, m_.math.text(m_.math.div(adder_, form_.parts)), sum);
    });
  }

  /// The tree over the parts of columns, which meet in shared memory.
  void combineParts(const Reduction &r) {
    m_.when(m_.math.below(adder_, form_.chains()),
            [&] { w_.text.line("{}[{}] = {};", r.results, m_.math.text(adder_), r.sum); });
    if (form_.parts == 1)
      return;
    w_.barrier();
    m_.when(m_.math.below(thread_, form_.sumsPerBlock), [&] {
      std::vector<std::string> tree;
      for (int64_t part = 0; part < form_.parts; ++part)
        tree.push_back(w_.text.define(
            cudaType(r.dtype), r.name + "_part",
            fmt::format("{}[{}]", r.results, m_.math.text(m_.math.add(thread_, part * form_.sumsPerBlock)))));
      for (size_t half = tree.size() / 2; half > 0; half /= 2)
        for (size_t j = 0; j < half; ++j)
          tree[j] = w_.text.define(cudaType(r.dtype), r.name, combined(r, tree[j], tree[j + half]));
      w_.text.line("{}[{}] = {};", r.results, m_.math.text(thread_), tree[0]);
    });
  }

  std::string combined(const Reduction &r, const std::string &a, const std::string &b) {
    return cudaCombine(k_.fn[r.op].def->name, r.dtype, a, b);
  }

  /// Results of the full shape: several groups of neighbours a thread, whose loads come before their stores, as a result
  /// may lie on an operand.
  void storeFull() {
    if (plan_.fullResults.empty())
      return;
    CudaIndexMath &math = m_.math;
    const int64_t rows = form_.columns ? form_.parts * form_.run : form_.batch;
    const int64_t groups = rows * form_.sumsPerBlock * (form_.columns ? 1 : form_.run) / form_.width;
    const bool even = form_.sums % form_.sumsPerBlock == 0 && groups % (kTogether * kCudaThreads) == 0;
    const int64_t together = even ? kTogether : 1;
    m_.lanes = form_.width;
    m_.loop("j", ceilDiv(groups, kCudaThreads * together), [&](const CudaIndex &j) {
      auto groupOf = [&](int64_t i) {
        return math.add(math.mul(math.add(math.mul(j, together), i), kCudaThreads), thread_);
      };
      m_.when(math.below(groupOf(0), groups), [&] {
        std::vector<CudaStepWriter::Store> stores;
        CudaCondition exists;
        for (int64_t i = 0; i < together; ++i) {
          const CudaIndex element = elementOfGroup(groupOf(i), groups);
          const CudaIndex run = form_.columns ? CudaIndex(0) : math.mod(element, form_.run);
          const CudaIndex row = form_.columns ? element : math.div(element, form_.run);
          const CudaIndex sum = globalSum(math.mod(row, form_.sumsPerBlock));
          exists.require(math.below(math.withoutLane(sum), form_.sums));
          for (int result : plan_.fullResults)
            stores.push_back({result, indexOf(math.div(row, form_.sumsPerBlock), sum, run)});
        }
        m_.when(exists.text(), [&] { w_.storeAll(stores); });
      });
    });
    m_.lanes = 1;
  }

  void storeKept() {
    if (plan_.keptResults.empty())
      return;
    CudaIndexMath &math = m_.math;
    const CudaIndex sum =
        globalSum(math.counter("thread", std::min<int64_t>(form_.sumsPerBlock, kCudaThreads)));
    CudaCondition exists;
    exists.require(math.below(thread_, form_.sumsPerBlock));
    exists.require(math.below(sum, form_.sums));
    m_.when(exists.text(), [&] {
      const CudaIndices kept = math.dims(plan_.keptShape, sum);
      std::vector<CudaStepWriter::Store> stores;
      for (int result : plan_.keptResults)
        stores.push_back(
            {result, math.reshaped(plan_.keptShape, kept,
                                   k_.fn.type(k_.body().yields[static_cast<size_t>(result)]).shape)});
      w_.storeAll(stores);
    });
  }

  CudaStepWriter w_;
  CudaElements &m_;
  const CudaKernelContext &k_;
  const CudaRowPlan &plan_;
  CudaStagedForm form_;
  bool pipelined_;
  CudaIndex thread_, block_, lane_;
  std::vector<std::string> areas_; // of tiles, in shared memory
  CudaIndex adder_;                // the number of the chain that the thread adds, where there is one
};

} // namespace

std::optional<CudaKernelCode> emitCudaStagedChains(const CudaKernelContext &k, const CudaRowPlan &plan) {
  const std::optional<CudaStagedForm> form = cudaStagedForm(k, plan);
  if (!form)
    return std::nullopt;
  CudaKernelCode code;
  code.steps.push_back(StagedChains(k, plan, *form).write());
  return code;
}

} // namespace gradc
