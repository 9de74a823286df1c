#include "codegen/cuda/tile_writer.h"

#include <algorithm>
#include <utility>

#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int kWarp = 32, kVector = 4;

std::string plus(std::string_view a, int64_t b) {
  return b == 0 ? std::string(a) : fmt::format("{} + {}", a, b);
}

} // namespace

CudaTileWriter::CudaTileWriter(CudaStepWriter &w, const ImplicitProduct &product, const CudaTile &tile,
                               int architecture, std::optional<CudaTensorFormat> format, bool inTurn)
    : w_(w), t_(w.text), product_(product), tile_(tile), async_(architecture >= 80), inTurn_(inTurn),
      buffers_(async_ ? 3 : 2), arithmetic_(format ? cudaTensorTile(t_, names_, tile, *format, architecture)
                                                   : cudaFusedTile(t_, names_, tile)) {}

int64_t CudaTileWriter::slabs() const { return ceilDiv(product_.depth, kCudaTileDepth); }

int64_t CudaTileWriter::blocks() const {
  return products() * ceilDiv(product_.rows, tile_.rows) * ceilDiv(product_.columns, tile_.columns);
}

void CudaTileWriter::write(OpId contraction, const std::string &a, const std::string &b, bool packed,
                           const Finish &finish) {
  takeNames();
  findPlace();
  names_.tile = w_.sharedArray("tile", DType::F32,
                               std::max(buffers_ * slabFloats(), arithmetic_->heldRows() * tile_.columns));
  t_.line(
      "const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;"); // CudaText gives these names to nobody
  arithmetic_->begin();
  if (inTurn_)
    multiplyInTurn(contraction, a, b);
  else
    multiplyAll(contraction, a, b, packed);
  finishTile(finish);
}

void CudaTileWriter::multiplyAll(OpId contraction, const std::string &a, const std::string &b, bool packed) {
  TileOperands operands = tileOperands(t_, w_.m.fn, contraction, a, b, number_, packed);
  columns_.operand = std::move(operands.columns);
  rows_.operand = std::move(operands.rows);
  prepare(columns_);
  prepare(rows_);
  if (hasHoles())
    t_.line("unsigned {} = 0; // a bit a slab that holds an absent tap, the latest lowest", holes_);
  if (async_)
    asyncLoop();
  else
    stagedLoop();
}

/// The tree p[j] += p[j + h] for h = 8, 4, 2, 1 while the partial sums come in the order 0, 8, 4, 12, 2, …: each is added to
/// the pending sums of as many levels as its turn ends in ones.
void CudaTileWriter::multiplyInTurn(OpId contraction, const std::string &a, const std::string &b) {
  t_.line("float {}[4][{}];", pending_, sumsOfThread());
  t_.line("#pragma unroll 1");
  t_.open("for (int {0} = 0; {0} < 16; ++{0})", turn_);
  t_.line("#pragma unroll");
  t_.line("for (int j = 0; j < {}; ++j)", sumsOfThread());
  t_.line("  ((float *){})[j] = 0;", names_.sums);
  const std::string batch = std::exchange(
      number_, t_.define("int", "product", fmt::format("{} * 16 + int(__brev({}) >> 28)", number_, turn_)));
  multiplyAll(contraction, a, b, false);
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
  slab_ = t_.name("slab");
  ahead_ = t_.name("ahead");
  buffer_ = t_.name("buffer");
  fill_ = t_.name("fill");
  holes_ = t_.name("holes");
  holey_ = t_.name("is_holey");
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
  columns_.size = tile_.columns;
  columns_.first = define("first_column", across, fmt::format("block % {} * {}", across, tile_.columns));
  rows_.size = tile_.rows;
  rows_.first = define("first_row", down, fmt::format("{} % {} * {}", tiles, down, tile_.rows));
}

// ---- copies

int CudaTileWriter::Side::threads() const {
  return operand.acrossDepth || operand.vectors ? std::min(kVector * size, kCudaTileThreads)
                                                : kCudaTileThreads;
}

/// The thread's indices, and what does not change from slab to slab.
void CudaTileWriter::prepare(Side &side) {
  const TileOperand &operand = side.operand;
  const int64_t last = operand.extent - (side.copiesFour() ? kVector : 1);
  auto addPart = [&](const std::string &inTile) {
    std::string i = side.first == "0" ? inTile : fmt::format("{} + {}", side.first, inTile);
    if (operand.extent % side.size != 0) // beyond the last index, its elements are read again and not used
      i = fmt::format("min({}, {})", i, last);
    side.parts.push_back(operand.index(t_, t_.define("int", "i", i)));
  };
  constexpr int kQuads = kCudaTileThreads / kVector;
  if (operand.acrossDepth)
    for (int j = 0; j < std::max(1, side.size / kQuads); ++j)
      addPart(plus("(int(threadIdx.x) >> 2)", kQuads * j));
  else if (operand.vectors)
    addPart(fmt::format("int(threadIdx.x) % {} * 4", side.size / kVector));
  else
    for (int j = 0; j < side.size / kWarp; ++j)
      addPart(plus("lane", kWarp * j));
}

int CudaTileWriter::copiesOf(const Side &side) const {
  return side.size * kCudaTileDepth / (side.copiesFour() ? kVector : 1) / side.threads();
}

/// The step of the depth at `row` of a slab. Beyond the last, its element is read again and not used, or is zero where
/// all steps of a slab are multiplied.
TilePart CudaTileWriter::step(const Side &side, const std::string &slab, const std::string &row) {
  const std::string k = fmt::format("{} * {} + {}", slab, kCudaTileDepth, row);
  if (left() == 0)
    return side.operand.depth(t_, t_.define("int", "k", k));
  const std::string clamped = t_.define("int", "k", fmt::format("min({}, {})", k, product_.depth - 1));
  TilePart part = side.operand.depth(t_, clamped);
  if (!arithmetic_->keepsHoles())
    part.exists += fmt::format("{}{} < {}", part.exists.empty() ? "" : " && ", k, product_.depth);
  return part;
}

void CudaTileWriter::forEachCopy(const Side &side, const std::string &slab, bool needsSource,
                                 const Copy &copy) {
  auto depth = [&](const std::string &row) { return needsSource ? step(side, slab, row) : TilePart{}; };
  auto place = [&](const std::string &row, const std::string &index) {
    return fmt::format("{} * {} + ({} ^ {})", row, side.size, index, cudaTileSwizzle(row));
  };
  const bool some = side.threads() < kCudaTileThreads;
  if (some)
    t_.open("if (threadIdx.x < {})", side.threads());
  if (side.operand.acrossDepth) {
    copyAcrossDepth(side, depth, copy);
  } else {
    const bool four = side.copiesFour();
    const int across = four ? side.size / kVector : kWarp; // threads
    int number = 0;
    for (int first = 0; first < kCudaTileDepth; first += kCudaTileThreads / across) {
      const std::string row =
          t_.define("int", "line",
                    four ? plus(fmt::format("int(threadIdx.x) / {}", across), first) : plus("warp", first));
      const TilePart k = depth(row);
      for (size_t j = 0; j < side.parts.size(); ++j)
        copy(side, number++,
             place(row, four ? fmt::format("int(threadIdx.x) % {} * 4", across)
                             : fmt::format("({})", plus("lane", static_cast<int64_t>(kWarp * j)))),
             side.parts[j], k);
    }
  }
  if (some)
    t_.close();
}

/// Four lanes have four steps each of one index, which lie side by side in memory.
void CudaTileWriter::copyAcrossDepth(const Side &side,
                                     const std::function<TilePart(const std::string &)> &depth,
                                     const Copy &copy) {
  int number = 0;
  for (int e = 0; e < kVector; ++e) {
    const std::string row = t_.define("int", "line", plus("(lane & 3) * 4", e));
    const TilePart k = depth(row);
    for (size_t j = 0; j < side.parts.size(); ++j)
      copy(side, number++,
           fmt::format("{} * {} + (({}) ^ {})", row, side.size,
                       plus("(int(threadIdx.x) >> 2)", static_cast<int64_t>(kCudaTileThreads / kVector * j)),
                       cudaTileSwizzle(row)),
           side.parts[j], k);
  }
}

std::string CudaTileWriter::source(const Side &side, const TilePart &i, const TilePart &k) const {
  return fmt::format("{} + ({})", side.operand.pointer, side.operand.element(i, k));
}

/// One element, or four, by a copy that runs on; what is not there is written at once.
void CudaTileWriter::copyAsync(const Side &side, const std::string &to, const TilePart &i,
                               const TilePart &k) {
  const bool four = side.copiesFour();
  const std::string zero =
      four ? fmt::format("*(float4 *)({}) = make_float4(0, 0, 0, 0);", to) : fmt::format("*({}) = 0;", to);
  std::string head;
  if (!k.exists.empty()) {
    t_.line("if (!({}))", k.exists);
    t_.line("  " + zero);
    head = "else ";
  }
  const std::string copy =
      fmt::format("{}({}, {});", four ? "copy_async4" : "copy_async", to, source(side, i, k));
  if (!side.operand.present)
    return t_.line(head + copy);
  t_.open("{}if ({})", head, side.operand.present(i, k));
  t_.line(copy);
  t_.close();
  t_.open("else");
  t_.line(arithmetic_->keepsHoles() ? fmt::format("*({}) = hole();", to) : zero);
  if (hasHoles())
    t_.line("{} |= 1;", holes_);
  t_.close();
}

/// One element, or four, into a register.
void CudaTileWriter::fetch(const Side &side, int number, const TilePart &i, const TilePart &k) {
  const bool four = side.copiesFour();
  std::string value = fmt::format("*{}({})", four ? "(const float4 *)" : "", source(side, i, k));
  if (side.operand.present) {
    const std::string present = t_.define("bool", "present", side.operand.present(i, k));
    value = fmt::format("({} ? {} : {})", present, value, arithmetic_->keepsHoles() ? "hole()" : "0");
    if (hasHoles())
      t_.line("{} |= {}!{};", holes_, k.exists.empty() ? "" : k.exists + " && ", present);
  }
  if (!k.exists.empty())
    value = fmt::format("{} ? {} : {}", k.exists, value, four ? "make_float4(0, 0, 0, 0)" : "0");
  t_.line("{}[{}] = {};", side.next, number, value);
}

/// The factor's part of a slab.
std::string CudaTileWriter::slabOf(const Side &side, const std::string &buffer) const {
  return plus(fmt::format("{} + {} * {}", names_.tile, buffer, slabFloats()),
              &side == &rows_ ? static_cast<int64_t>(tile_.columns) * kCudaTileDepth : 0);
}

// ---- the loop over slabs

/// Three slabs: one is read while two are on their way.
void CudaTileWriter::asyncLoop() {
  const int ahead = buffers_ - 1;
  t_.line("int {} = 0, {} = 0;", buffer_, fill_);
  t_.open("for (int {0} = -{1}; {0} < {2}; ++{0})", slab_, ahead, slabs());
  if (hasHoles())
    t_.line("bool {} = false;", holey_);
  t_.open("if ({} >= 0)", slab_);
  t_.line("async_wait<{}>();", ahead - 1);
  if (hasHoles())
    t_.line("{} = __syncthreads_or({} & {}u);", holey_, holes_, 1u << (ahead - 1));
  else
    w_.barrier();
  t_.close();
  if (hasHoles())
    t_.line("{} <<= 1;", holes_);
  t_.open("if ({} + {} < {})", slab_, ahead, slabs());
  fillAsync();
  t_.close();
  t_.line("async_commit();");
  t_.open("if ({} >= 0)", slab_);
  compute(slab_, buffer_);
  t_.line("{0} = {0} == {1} ? 0 : {0} + 1;", buffer_, buffers_ - 1);
  t_.close();
  t_.close();
  t_.line("async_wait<0>();");
  w_.barrier();
}

void CudaTileWriter::fillAsync() {
  t_.line("const int {} = {} + {};", ahead_, slab_, buffers_ - 1);
  for (Side *side : {&columns_, &rows_})
    forEachCopy(*side, ahead_, true,
                [&](const Side &s, int, const std::string &to, const TilePart &i, const TilePart &k) {
                  copyAsync(s, slabOf(s, fill_) + " + " + to, i, k);
                });
  t_.line("{0} = {0} == {1} ? 0 : {0} + 1;", fill_, buffers_ - 1);
}

/// Two slabs: one is read while registers take the next.
void CudaTileWriter::stagedLoop() {
  for (Side *side : {&columns_, &rows_}) {
    side->next = t_.name("next");
    t_.line("{} {}[{}];", side->copiesFour() ? "float4" : "float", side->next, copiesOf(*side));
  }
  if (hasHoles())
    t_.line("bool {} = false;", holey_);
  t_.open("for (int {0} = -1; {0} < {1}; ++{0})", slab_, slabs());
  t_.line("const int {} = {} + 1;", ahead_, slab_);
  t_.open("if ({} < {})", ahead_, slabs());
  if (hasHoles())
    t_.line("{} = 0;", holes_);
  for (Side *side : {&columns_, &rows_})
    forEachCopy(*side, ahead_, true,
                [&](const Side &s, int number, const std::string &, const TilePart &i, const TilePart &k) {
                  fetch(s, number, i, k);
                });
  t_.close();
  t_.open("if ({} >= 0)", slab_);
  compute(slab_, fmt::format("({} & 1)", slab_));
  t_.close();
  t_.open("if ({} < {})", ahead_, slabs());
  for (Side *side : {&columns_, &rows_})
    forEachCopy(*side, "", false,
                [&](const Side &s, int number, const std::string &to, const TilePart &, const TilePart &) {
                  t_.line("*({})({} + {}) = {}[{}];", s.copiesFour() ? "float4 *" : "float *",
                          slabOf(s, fmt::format("({} & 1)", ahead_)), to, s.next, number);
                });
  t_.close();
  if (hasHoles())
    t_.line("{} = __syncthreads_or({});", holey_, holes_);
  else
    w_.barrier();
  t_.close();
}

/// Of all steps without a question where that is right, else step by step.
void CudaTileWriter::compute(const std::string &slab, const std::string &buffer) {
  t_.line("const float *{0} = {1} + {2} * {3}, *{4} = {0} + {5};", names_.x, names_.tile, buffer,
          slabFloats(), names_.y, tile_.columns * kCudaTileDepth);
  const std::string all = fmt::format("{}", kCudaTileDepth);
  const bool shorter = left() != 0 && arithmetic_->keepsHoles();
  if (!shorter && !hasHoles())
    return arithmetic_->multiply(all, true, false);
  const std::string last = fmt::format("{} == {}", slab, slabs() - 1);
  t_.open("if ({})", !hasHoles() ? last : !shorter ? holey_ : fmt::format("{} || {}", holey_, last));
  arithmetic_->multiply(shorter ? fmt::format("({} ? {} : {})", last, left(), all) : all, false, hasHoles());
  t_.close();
  t_.open("else");
  arithmetic_->multiply(all, true, hasHoles());
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
          t_.define("int", "c", fmt::format("{} + int(threadIdx.x) % {}", columns_.first, tile_.columns));
      w_.m.when(
          product_.columns % tile_.columns == 0 ? "" : fmt::format("{} < {}", c, product_.columns), [&] {
            const CudaIndex column = math.counter(c, product_.columns);
            t_.line("#pragma unroll 2");
            w_.m.block(fmt::format("for (int {0} = int(threadIdx.x) / {1}; {0} < {2}; {0} += {3})", line_,
                                   tile_.columns, arithmetic_->heldRows(), kCudaTileThreads / tile_.columns),
                       [&] { finishLine(part, column, finish); });
          });
    });
  }
}

void CudaTileWriter::finishLine(int part, const CudaIndex &column, const Finish &finish) {
  CudaIndexMath &math = w_.m.math;
  const std::string r =
      t_.define("int", "r", fmt::format("{} + {}", rows_.first, arithmetic_->rowOf(line_, part)));
  w_.m.when(product_.rows % tile_.rows == 0 ? "" : fmt::format("{} < {}", r, product_.rows), [&] {
    const std::string sum = t_.define("float", "sum",
                                      fmt::format("{0}[{1} * {2} + (int(threadIdx.x) % {2}{3})]", names_.tile,
                                                  line_, tile_.columns, arithmetic_->turn(line_)));
    finish(products() == 1 ? CudaIndex(0) : math.counter(number_, products()), math.counter(r, product_.rows),
           column, sum);
  });
}

} // namespace gradc
