// mma.sync and ldmatrix, with the fragment layouts that the PTX manual draws. g = lane / 4, t = lane % 4.
#include "machine/float.h"
#include "machine/ops/addressing.h"

namespace cudasim {
namespace {

// Products are summed in double and rounded once; how a tensor core rounds is not documented.
template <int kDepth> struct Tiles {
  double a[16][kDepth], b[kDepth][8];
  float c[16][8];
  void multiply() {
    for (int row = 0; row < 16; ++row)
      for (int column = 0; column < 8; ++column) {
        double sum = c[row][column];
        for (int k = 0; k < kDepth; ++k)
          sum += a[row][k] * b[k][column];
        c[row][column] = static_cast<float>(sum);
      }
  }
};

// c and d: register r of a lane is row g (+8 for r >= 2), column 2t + r % 2.
template <class F> void forAccumulator(F f) {
  for (int l = 0; l < kLanes; ++l)
    for (int r = 0; r < 4; ++r)
      f(l, r, l / 4 + (r >> 1) * 8, l % 4 * 2 + (r & 1));
}

template <int kDepth> void finish(Warp &w, const Inst &i, Tiles<kDepth> &tiles, size_t c) {
  forAccumulator([&](int l, int r, int row, int column) {
    tiles.c[row][column] = lanes<float>(w, i.slots[c + static_cast<size_t>(r)])[l];
  });
  tiles.multiply();
  forAccumulator([&](int l, int r, int row, int column) {
    lanes<float>(w, i.slots[static_cast<size_t>(r)])[l] = tiles.c[row][column];
  });
}

float convert(uint32_t bits, bool bfloat) {
  auto narrow = static_cast<uint16_t>(bits);
  return bfloat ? bfloatToFloat(narrow) : halfToFloat(narrow);
}

// m16n8k16 and m16n8k8 of 16-bit numbers, two a register. i.a: bf16.
template <int kDepth> void multiplyHalves(Warp &w, const Inst &i) {
  Tiles<kDepth> tiles;
  constexpr int kA = kDepth / 4, kB = kDepth / 8; // registers a lane
  for (int l = 0; l < kLanes; ++l) {
    int g = l / 4, t = l % 4;
    for (int r = 0; r < kA; ++r)
      for (int half = 0; half < 2; ++half) {
        uint32_t bits = lanes<uint32_t>(w, i.slots[static_cast<size_t>(4 + r)])[l] >> 16 * half;
        tiles.a[g + (r & 1) * 8][t * 2 + (r >> 1) * 8 + half] = convert(bits, i.a);
      }
    for (int r = 0; r < kB; ++r)
      for (int half = 0; half < 2; ++half) {
        uint32_t bits = lanes<uint32_t>(w, i.slots[static_cast<size_t>(4 + kA + r)])[l] >> 16 * half;
        tiles.b[t * 2 + r * 8 + half][g] = convert(bits, i.a);
      }
  }
  finish(w, i, tiles, 4 + kA + kB);
}

// m16n8k8 and m16n8k4 of tf32; the low 13 bits of the operands are ignored.
template <int kDepth> void multiplySingles(Warp &w, const Inst &i) {
  Tiles<kDepth> tiles;
  constexpr int kA = kDepth / 2, kB = kDepth / 4;
  for (int l = 0; l < kLanes; ++l) {
    int g = l / 4, t = l % 4;
    for (int r = 0; r < kA; ++r)
      tiles.a[g + (r & 1) * 8][t + (r >> 1) * 4] =
          toTf32(lanes<float>(w, i.slots[static_cast<size_t>(4 + r)])[l], 2);
    for (int r = 0; r < kB; ++r)
      tiles.b[t + r * 4][g] = toTf32(lanes<float>(w, i.slots[static_cast<size_t>(4 + kA + r)])[l], 2);
  }
  finish(w, i, tiles, 4 + kA + kB);
}

bool wholeWarp(Warp &w) {
  if (w.mask == kAllLanes)
    return true;
  w.fault(kLaunchFailed, std::countr_zero(w.mask), "all 32 lanes must execute this");
  return false;
}

template <auto F> void whole(Warp &w, const Inst &i) {
  if (wholeWarp(w))
    F(w, i);
}

Handler multiplication(int shape, Type type) {
  bool half = type == Type::F16 || type == Type::BF16;
  if (half)
    return shape == 0 ? whole<multiplyHalves<16>> : shape == 1 ? whole<multiplyHalves<8>> : nullptr;
  if (type != Type::TF32)
    return nullptr;
  return shape == 1 ? whole<multiplySingles<8>> : shape == 2 ? whole<multiplySingles<4>> : nullptr;
}

void decodeMultiply(Form &f) {
  if (!f.take("sync") || !f.take("aligned") || !f.take("row") || !f.take("col"))
    f.fail("only mma.sync.aligned with .row.col is supported");
  f.inst.flow = Flow::Sync;
  int shape = f.takeOneOf({"m16n8k16", "m16n8k8", "m16n8k4"});
  Type d = f.takeType(), a = f.takeType(), b = f.takeType(), c = f.takeType();
  f.needs(shape == 1 && a == Type::F16 ? 75 : 80);
  if (d != Type::F32 || c != Type::F32 || a != b)
    f.fail("only accumulation in f32 is supported");
  f.expectOperands(4);
  f.inst.run = shape < 0 ? nullptr : multiplication(shape, a);
  int depth = shape == 0 ? 16 : shape == 1 ? 8 : 4, perRegister = a == Type::TF32 ? 1 : 2;
  size_t counts[] = {4, static_cast<size_t>(depth / 2 / perRegister),
                     static_cast<size_t>(depth / 4 / perRegister), 4},
         slot = 0;
  for (size_t k = 0; k < 4; ++k) {
    const auto &elements = f.operand(k).elements;
    if (elements.size() != counts[k])
      return f.fail("a fragment has the wrong number of registers");
    for (const ptx::Operand &element : elements)
      f.inst.slots[slot++] = k == 0 ? f.destination(element, Type::B32) : f.source(element, Type::B32);
  }
  f.inst.a = a == Type::BF16;
}

constexpr size_t kSite = 10, kWide = 11;

// Lane r of the k-th eight lanes has the address of row r of matrix k; each lane gets two neighbours of a row, or of a
// column with .trans.
void loadMatrix(Warp &w, const Inst &i) {
  uint32_t count = i.a, addressing = count == 4 ? kAllLanes : (1U << 8 * count) - 1;
  Addresses addresses = addressesOf(w, i.slots[0], i.slots[kWide] != 0, i.immediate);
  addresses.mask = addressing;
  for (int l = 0; l < kLanes; ++l)
    addresses.relative[l] *= addressing >> l & 1;
  w.mask = addressing;
  access(w, i.slots[kSite], i.slots[12] ? Space::Shared : Space::Generic, std::move(addresses), 16,
         Mode::Load, [&](const Resolved &r, uint32_t) {
           for (uint32_t matrix = 0; matrix < count; ++matrix) {
             uint32_t *d = lanes<uint32_t>(w, i.slots[1 + matrix]);
             uint16_t rows[8][8];
             for (size_t row = 0; row < 8; ++row)
               std::memcpy(rows[row], r.base + r.pattern->relative[matrix * 8 + row], 16);
             for (int l = 0; l < kLanes; ++l) {
               int x = l / 4, y = l % 4 * 2;
               uint16_t low = i.b ? rows[y][x] : rows[x][y], high = i.b ? rows[y + 1][x] : rows[x][y + 1];
               d[l] = low | static_cast<uint32_t>(high) << 16;
             }
           }
         });
  w.mask = kAllLanes;
}

void decodeLoadMatrix(Form &f) {
  if (!f.take("sync") || !f.take("aligned") || !f.take("m8n8"))
    f.fail("only ldmatrix.sync.aligned.m8n8 is supported");
  f.inst.flow = Flow::Sync;
  int count = 1 << std::max(0, f.takeOneOf({"x1", "x2", "x4"}));
  f.inst.b = f.take("trans");
  Space space = takeSpace(f);
  f.takeType({Type::B16});
  f.expectOperands(2);
  Form::Address address = f.address(f.operand(1));
  const ptx::Operand &vector = f.operand(0);
  if (static_cast<int>(vector.elements.size()) != count ||
      (space != Space::Shared && space != Space::Generic))
    return f.fail("no such ldmatrix");
  f.inst.a = static_cast<uint8_t>(count);
  f.inst.slots[0] = address.slot;
  f.inst.immediate = address.offset;
  for (size_t k = 0; k < vector.elements.size(); ++k)
    f.inst.slots[1 + k] = f.destination(vector.elements[k], Type::B32);
  f.inst.slots[kSite] = f.newSite();
  f.inst.slots[kWide] = address.wide;
  f.inst.slots[12] = space == Space::Shared;
  f.inst.run = whole<loadMatrix>;
}

} // namespace

std::span<const Family> matrixFamilies() {
  static constexpr Family kFamilies[] = {
      {"mma", Data::Any, OpClass::Matrix, decodeMultiply},
      {"ldmatrix", Data::Any, OpClass::Matrix, decodeLoadMatrix},
  };
  return kFamilies;
}

} // namespace cudasim
