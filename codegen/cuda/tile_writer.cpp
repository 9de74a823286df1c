#include "codegen/cuda/tile_writer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "support/tiling.h"

namespace gradc {

CudaTileWriter::CudaTileWriter(CudaStepWriter &w, const ImplicitProduct &product, const CudaTile &tile,
                               const CudaTarget &target, std::optional<CudaTensorFormat> format, bool inTurn,
                               int64_t split, int64_t launchBlocks)
    : w_(w), t_(w.text), product_(product), tile_(tile), async_(target.hasAsyncCopies()), inTurn_(inTurn),
      split_(split), groups_(groupsOf(target, format.has_value(), std::max(launchBlocks, blocks()))),
      arithmetic_(format ? cudaTensorTile(t_, names_, tile, *format, target.architecture)
                         : cudaFusedTile(t_, names_, tile)),
      steps_(t_) {}

int64_t CudaTileWriter::slabs() const { return ceilDiv(product_.depth, kCudaTileDepth); }

int64_t CudaTileWriter::blocks() const {
  return products() * ceilDiv(product_.rows, tile_.rows) * ceilDiv(product_.columns, tile_.columns);
}

int64_t CudaTileWriter::sharedFloats() const {
  return std::max(groups_.count * groups_.slabs * slabFloats(), arithmetic_->heldRows() * tile_.columns);
}

void CudaTileWriter::write(OpId contraction, const TileFactors &factors, const std::string &shared,
                           const Finish &finish) {
  takeNames();
  findPlace();
  names_.tile = shared;
  t_.line(
      "const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;"); // CudaText gives these names to nobody
  arithmetic_->begin();
  if (inTurn_)
    multiplyInTurn(contraction, factors);
  else if (product_.depth > 0)
    multiplyAll(contraction, factors);
  finishTile(finish);
}

void CudaTileWriter::multiplyAll(OpId contraction, TileFactors factors) {
  factors.product = split_ == 1 ? number_ : t_.define("int", "whole", cudaQuotient(number_, split_));
  factors.whole = !arithmetic_->keepsHoles();
  TileOperands operands = tileOperands(t_, w_.m.fn, contraction, factors);
  const bool flags =
      arithmetic_->keepsHoles() && operands.columns.present && !cudaHasTapMasks(operands.columns);
  const bool holes = arithmetic_->keepsHoles() && !cudaHasTapMasks(operands.columns);
  steps_.begin(beginSegment());
  columns_.emplace(t_, steps_, std::move(operands.columns), tile_.columns, firstColumn_,
                   CudaAbsence{holes ? "hole()" : "0", flags ? whole_ : ""}, async_);
  rows_.emplace(t_, steps_, std::move(operands.rows), tile_.rows, firstRow_, CudaAbsence{}, async_);
  columns_->prepare(names_.tile);
  rows_->prepare(fmt::format("{} + {}", names_.tile, columnFloats()));
  if (lacksTaps())
    columns_->writeTapMasks(arithmetic_->columns(), taps_);
  if (flags && async_)
    t_.line("unsigned {} = 0; // a bit a slab that holds an absent tap, the latest lowest", holes_);
  if (async_)
    asyncLoop();
  else
    stagedLoop();
}

/// Which slabs are the block's; returns the first step of them, nothing where they are all. The last segment may have fewer,
/// or none.
std::string CudaTileWriter::beginSegment() {
  slabs_ = std::to_string(slabs());
  if (split_ == 1)
    return "";
  const int64_t each = ceilDiv(slabs(), split_);
  const std::string first =
      t_.define("int", "first_slab", fmt::format("{} * {}", cudaRemainder(number_, split_), each));
  slabs_ = t_.define("int", "slabs", fmt::format("min({}, {} - {})", each, slabs(), first));
  return t_.define("int", "first_step", fmt::format("{} * {}", first, kCudaTileDepth));
}

/// The tree p[j] += p[j + h] for h = 8, 4, 2, 1 while the partial sums come in the order 0, 8, 4, 12, 2, …: each is added to
/// the pending sums of as many levels as its turn ends in ones.
void CudaTileWriter::multiplyInTurn(OpId contraction, const TileFactors &factors) {
  t_.line("float {}[4][{}];", pending_, sumsOfThread());
  t_.line("#pragma unroll 1");
  t_.open("for (int {0} = 0; {0} < 16; ++{0})", turn_);
  t_.line("#pragma unroll");
  t_.line("for (int j = 0; j < {}; ++j)", sumsOfThread());
  t_.line("  ((float *){})[j] = 0;", names_.sums);
  const std::string batch = std::exchange(
      number_, t_.define("int", "product", fmt::format("{} * 16 + int(__brev({}) >> 28)", number_, turn_)));
  multiplyAll(contraction, factors);
  number_ = batch;
  combine(0);
  t_.close();
}

void CudaTileWriter::combine(int level) {
  constexpr int kLevels = 4;
  if (level == kLevels)
    return;
  auto forSums = [&](const std::string &line) {
    t_.line("#pragma unroll");
    t_.line("for (int j = 0; j < {}; ++j)", sumsOfThread());
    t_.line("  " + line);
  };
  t_.open("if ({} & {})", turn_, 1 << level);
  forSums(fmt::format("((float *){0})[j] = {1}[{2}][j] + ((float *){0})[j];", names_.sums, pending_, level));
  combine(level + 1);
  t_.close();
  t_.open("else");
  forSums(fmt::format("{}[{}][j] = ((float *){})[j];", pending_, level, names_.sums));
  t_.close();
}

void CudaTileWriter::takeNames() {
  names_.x = t_.name("x");
  names_.y = t_.name("y");
  names_.sums = t_.name("sums");
  names_.column = t_.name("column");
  names_.row = t_.name("row");
  names_.present = t_.name("present");
  taps_ = t_.name("taps");
  group_ = t_.name("group");
  slab_ = t_.name("slab");
  part_ = t_.name("part");
  buffer_ = t_.name("buffer");
  fill_ = t_.name("fill");
  holes_ = t_.name("holes");
  holey_ = t_.name("is_holey");
  whole_ = t_.name("is_whole");
  line_ = t_.name("line");
  turn_ = t_.name("turn");
  pending_ = t_.name("pending");
}

/// Which product the block works on, and where its tile begins.
void CudaTileWriter::findPlace() {
  const int64_t across = ceilDiv(product_.columns, tile_.columns), down = ceilDiv(product_.rows, tile_.rows);
  auto define = [&](const char *name, int64_t count, const std::string &value) {
    return count == 1 ? "0" : t_.define("int", name, value);
  };
  const std::string tiles = across == 1 ? "block" : fmt::format("block / {}", across);
  number_ =
      define("product", products(), across * down == 1 ? "block" : fmt::format("block / {}", across * down));
  firstColumn_ = define("first_column", across, fmt::format("block % {} * {}", across, tile_.columns));
  firstRow_ = define("first_row", down, fmt::format("{} % {} * {}", tiles, down, tile_.rows));
}

// ---- the loop over slabs

/// A barrier and the wait for copies cost a slab of a small tile more than its multiply-adds do, the more so where each
/// block has a multiprocessor for itself: so they come once for several slabs. Tensor cores are through with one so soon
/// that it pays for all tiles; else as far as other blocks find room.
CudaTileWriter::Groups CudaTileWriter::groupsOf(const CudaTarget &target, bool tensorCores,
                                                int64_t blocks) const {
  constexpr int kAlone = 56 << 10,
                kBesideOthers = 36 << 10; // bytes: two such blocks are on any multiprocessor
  if (!async_)
    return {1, 2};
  const int slabBytes = 4 * slabFloats();
  if (tensorCores)
    return {2, 2};
  if (blocks <= target.multiprocessors && 8 * slabBytes <= kAlone)
    return {4, 2};
  return 4 * slabBytes <= kBesideOthers ? Groups{2, 2} : Groups{1, 3};
}

/// One group of slabs is read while others are on their way.
void CudaTileWriter::asyncLoop() {
  const int ahead = groups_.count - 1, floats = groups_.slabs * slabFloats();
  const std::string count = numberOfGroups();
  t_.line("int {} = 0, {} = 0; // a number of floats, and of bytes", buffer_, fill_);
  t_.open("for (int {0} = -{1}; {0} < {2}; ++{0})", group_, ahead, count);
  if (hasHoles())
    t_.line("bool {} = false;", holey_);
  t_.open("if ({} >= 0)", group_);
  t_.line("async_wait<{}>();", ahead - 1);
  if (hasHoles())
    t_.line("{} = __syncthreads_or({} & {}u);", holey_, holes_, 1u << (ahead - 1));
  else
    w_.barrier();
  t_.close();
  if (hasHoles())
    t_.line("int {} = 1;", whole_);
  t_.open("if ({} + {} < {})", group_, ahead, count);
  forSlabs(fmt::format("{} + {}", group_, ahead), [&] {
    const std::string place =
        groups_.slabs == 1 ? fill_ : fmt::format("{} + {} * {}", fill_, part_, 4 * slabFloats());
    columns_->copyAsync(place);
    rows_->copyAsync(place);
    steps_.advance();
  });
  t_.line("{0} = {0} == {1} ? 0 : {0} + {2};", fill_, 4 * ahead * floats, 4 * floats);
  t_.close();
  t_.line("async_commit();");
  if (hasHoles())
    t_.line("{0} = {0} << 1 | !{1};", holes_, whole_);
  t_.open("if ({} >= 0)", group_);
  forSlabs(group_, [&] {
    compute(groups_.slabs == 1 ? buffer_ : fmt::format("{} + {} * {}", buffer_, part_, slabFloats()));
  });
  t_.line("{0} = {0} == {1} ? 0 : {0} + {2};", buffer_, ahead * floats, floats);
  t_.close();
  t_.close();
  t_.line("async_wait<0>();");
  w_.barrier();
}

/// Of a segment without slabs it may be negative.
std::string CudaTileWriter::numberOfGroups() {
  if (groups_.slabs == 1)
    return slabs_;
  if (split_ == 1)
    return std::to_string(ceilDiv(slabs(), groups_.slabs));
  return t_.define("int", "groups", fmt::format("({} + {}) / {}", slabs_, groups_.slabs - 1, groups_.slabs));
}

/// Each slab of a group; the last group may have fewer.
void CudaTileWriter::forSlabs(const std::string &group, const std::function<void()> &write) {
  if (groups_.slabs == 1)
    return w_.m.block("", [&] {
      slab_ = t_.define("int", "slab", group);
      write();
    });
  t_.line("#pragma unroll{}", arithmetic_->keepsHoles() ? " 1" : ""); // code of f32 is long already
  t_.open("for (int {0} = 0; {0} < {1}; ++{0})", part_, groups_.slabs);
  slab_ = t_.define("int", "slab", fmt::format("({}) * {} + {}", group, groups_.slabs, part_));
  const bool full = slabs() % (split_ * groups_.slabs) == 0;
  w_.m.when(full ? "" : fmt::format("{} < {}", slab_, slabs_), write);
  t_.close();
}

/// Two slabs: one is read while registers take the next.
void CudaTileWriter::stagedLoop() {
  if (hasHoles())
    t_.line("bool {} = false;", holey_);
  t_.open("for (int {0} = -1; {0} < {1}; ++{0})", slab_, slabs_);
  if (hasHoles())
    t_.line("int {} = 1;", whole_);
  t_.open("if ({} + 1 < {})", slab_, slabs_);
  columns_->fetch();
  rows_->fetch();
  steps_.advance();
  t_.close();
  t_.open("if ({} >= 0)", slab_);
  compute(fmt::format("({} & 1) * {}", slab_, slabFloats()));
  t_.close();
  t_.open("if ({} + 1 < {})", slab_, slabs_);
  t_.line("float *{} = {} + ({} + 1 & 1) * {};", fill_, names_.tile, slab_, slabFloats());
  columns_->put(fill_);
  rows_->put(fmt::format("{} + {}", fill_, columnFloats()));
  t_.close();
  if (hasHoles())
    t_.line("{} = __syncthreads_or(!{});", holey_, whole_);
  else
    w_.barrier();
  t_.close();
}

/// A slab with holes, or of fewer steps, is multiplied under predicates.
void CudaTileWriter::compute(const std::string &buffer) {
  t_.line("const float *{0} = {1} + {2}, *{3} = {0} + {4};", names_.x, names_.tile, buffer, names_.y,
          columnFloats());
  if (lacksTaps()) {
    const std::string tap =
        t_.define("unsigned", "tap", fmt::format("1u << {}", cudaQuotient(slab_, columns_->slabsOfTap())));
    std::string present;
    for (int j = 0; j < tile_.threadColumns; ++j)
      present += (j == 0 ? "" : ", ") + columns_->inMask(taps_, j, tap);
    t_.line("const unsigned {}[] = {{{}}};", names_.present, present);
    return arithmetic_->multiply(CudaAbsent::Columns);
  }
  if (!arithmetic_->keepsHoles() || (left() == 0 && !hasHoles()))
    return arithmetic_->multiply(CudaAbsent::None);
  // Beyond the last step there are holes, too.
  t_.open("if ({})", hasHoles() ? holey_ : fmt::format("{} == {}", slab_, slabs() - 1));
  arithmetic_->multiply(CudaAbsent::Holes);
  t_.close();
  t_.open("else");
  arithmetic_->multiply(CudaAbsent::None);
  t_.close();
}

// ---- the sums

/// They go through shared memory, so that neighbours in memory are finished by neighbours in a warp, whatever the shape.
void CudaTileWriter::finishTile(const Finish &finish) {
  CudaIndexMath &math = w_.m.math;
  for (int part = 0; part < arithmetic_->parts(); ++part) {
    if (part > 0)
      w_.barrier();
    arithmetic_->put(part);
    w_.barrier();
    w_.m.block("", [&] {
      const std::string c =
          t_.define("int", "c", fmt::format("{} + int(threadIdx.x) % {}", firstColumn_, tile_.columns));
      w_.m.when(
          product_.columns % tile_.columns == 0 ? "" : fmt::format("{} < {}", c, product_.columns), [&] {
            const CudaIndex column = math.counter(c, product_.columns);
            const int64_t atOnce = arithmetic_->keepsHoles() ? 1 : kLinesAtOnce;
            t_.line("#pragma unroll 1");
            w_.m.block(
                fmt::format("for (int {0} = int(threadIdx.x) / {1}; {0} < {2}; {0} += {3})", line_,
                            tile_.columns, arithmetic_->heldRows(), atOnce * linesOfBlock()),
                [&] { atOnce == 1 ? finishLine(part, column, finish) : finishLines(part, column, finish); });
          });
    });
  }
}

void CudaTileWriter::finishLine(int part, const CudaIndex &column, const Finish &finish) {
  const std::string r = defineRow(line_, part);
  w_.m.when(rowExists(r), [&] { finish(std::array{sumOf(line_, r, column)}); });
}

/// Reads of memory that follow a write of it wait for it, so several lines read together. In place of one that is not there
/// the first is read again: what is another thread's may change meanwhile.
void CudaTileWriter::finishLines(int part, const CudaIndex &column, const Finish &finish) {
  const std::string first = defineRow(line_, part);
  w_.m.when(rowExists(first), [&] {
    std::vector sums{sumOf(line_, first, column)};
    for (int i = 1; i < kLinesAtOnce; ++i) {
      const std::string line = t_.define("int", "line", fmt::format("{} + {}", line_, i * linesOfBlock()));
      const std::string r = defineRow(line, part), exists = rowExists(r);
      const std::string row =
          exists.empty() ? r : t_.define("int", "row", fmt::format("{} ? {} : {}", exists, r, first));
      sums.push_back(sumOf(line, row, column));
      sums.back().exists = exists;
    }
    finish(sums);
  });
}

std::string CudaTileWriter::defineRow(const std::string &line, int part) {
  return t_.define("int", "r", fmt::format("{} + {}", firstRow_, arithmetic_->rowOf(line, part)));
}

std::string CudaTileWriter::rowExists(const std::string &row) const {
  return product_.rows % tile_.rows == 0 ? "" : fmt::format("{} < {}", row, product_.rows);
}

CudaTileSum CudaTileWriter::sumOf(const std::string &line, const std::string &row, const CudaIndex &column) {
  CudaIndexMath &math = w_.m.math;
  const std::string sum = t_.define("float", "sum",
                                    fmt::format("{0}[{1} * {2} + (int(threadIdx.x) % {2}{3})]", names_.tile,
                                                line, tile_.columns, arithmetic_->turn(line)));
  return {products() == 1 ? CudaIndex(0) : math.counter(number_, products()),
          math.counter(row, product_.rows), column, sum, ""};
}

} // namespace gradc
