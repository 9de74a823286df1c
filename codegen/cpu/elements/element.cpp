#include "codegen/cpu/elements/element.h"

#include <algorithm>

#include "codegen/cpu/lanes_apart.h"
#include "ir/layout.h"
#include "ir/op.h"
#include "support/check.h"

namespace gradc {
namespace {

const ElementRule *findRule(std::string_view op) {
  for (std::span<const ElementRule> rules : {movementEmitters(), generatorEmitters(), windowEmitters(),
                                             reductionEmitters(), contractionEmitters()})
    for (const ElementRule &rule : rules)
      if (rule.op == op)
        return &rule;
  return nullptr;
}

bool needsWideLanes(const Function &fn, RegionId region) {
  auto large = [&](ValueId value) { return fn.type(value).elements() >= int64_t{1} << 31; };
  if (std::ranges::any_of(fn[region].args, large))
    return true;
  return std::ranges::any_of(fn[region].ops,
                             [&](OpId op) { return std::ranges::any_of(fn[op].results, large); });
}

} // namespace

ElementEmitter::ElementEmitter(Emit &e, const Function &fn, RegionId region) : e(e), math(e), fn(fn) {
  memo_.resize(fn.numValues());
  math.wide = needsWideLanes(fn, region);
}

void ElementEmitter::bindBuffer(ValueId arg, llvm::Value *pointer) { buffers_[arg] = pointer; }

void ElementEmitter::bindVector(ValueId value, llvm::Value *lanes) {
  bindValue(value, [lanes](const LaneIndex &) { return lanes; });
}

void ElementEmitter::bindValue(ValueId value, ValueAt at) {
  if (bound_.insert_or_assign(value, std::move(at)).second)
    return; // what is remembered does not come from a former binding
  for (auto &entries : memo_)
    entries.clear();
}

void ElementEmitter::unbind(ValueId value) {
  bound_.erase(value);
  for (auto &entries : memo_)
    entries.clear();
}

llvm::Value *ElementEmitter::emit(ValueId value, const LaneIndex &index) {
  for (const auto &[at, result] : memo_[gradc::index(value)])
    if (at == index)
      return result;
  llvm::Value *result = compute(value, index);
  memo_[gradc::index(value)].emplace_back(index, result);
  return result;
}

llvm::Value *ElementEmitter::compute(ValueId value, const LaneIndex &index) {
  if (auto bound = bound_.find(value); bound != bound_.end())
    return bound->second(index);
  if (auto buffer = buffers_.find(value); buffer != buffers_.end())
    return load(fn.type(value), buffer->second, index);
  OpId op = fn[value].def;
  CHECK(op != kNoOp, "no memory is bound to %{}", fn[value].name);
  const Emit::At at(e, fn[op].loc);
  if (fn[op].def->scalar)
    return elementwise(op, index);
  const ElementRule *rule = findRule(fn[op].def->name);
  CHECK(rule, "no code is known for {}", fn[op].def->name);
  return rule->emit(*this, op, index);
}

LaneValue ElementEmitter::address(const Type &type, const LaneIndex &index) {
  if (type.layout.empty())
    return linear(type.shape, index);
  // [N/16][rest][16]: the position within the block is the innermost dimension.
  CHECK(type.layout == kLayoutN16, "layout {}", type.layout);
  LaneIndex split = index;
  if (split.groups[0].count != 1) {
    split.groups.clear();
    for (LaneValue dim : dims(type.shape, index))
      split.groups.push_back({1, dim});
  }
  LaneValue number = split.groups[0].at;
  LaneValue block = math.div(number, kLanes), position = math.mod(number, kLanes);
  split.groups[0].at = block;
  Shape blocks = type.shape;
  blocks[0] = laneBlocks(blocks[0]);
  return math.add(math.mul(linear(blocks, split), kLanes), position);
}

namespace {

/// The lanes are a block of n16, whose last one is filled up with zeros: no mask is needed to stay in memory.
bool fillsBlock(const Type &type, const LaneIndex &index) {
  const LaneIndex::Group &first = index.groups.empty() ? LaneIndex::Group{} : index.groups[0];
  return hasPadding(type) && first.count == 1 && first.at.affine() && first.at.step == 1 &&
         first.at.multiple % kLanes == 0;
}

/// How many lanes a mask lets through where these are the first ones and known; else 0.
int lanesOfPrefix(const llvm::Value *mask) {
  if (!mask)
    return kVectorLanes;
  const auto *constant = llvm::dyn_cast<llvm::Constant>(mask);
  int lanes = 0;
  while (constant && lanes < kVectorLanes && constant->getAggregateElement(lanes)->isOneValue())
    ++lanes;
  for (int lane = lanes; constant && lane < kVectorLanes; ++lane)
    if (constant->getAggregateElement(lane)->isOneValue())
      return 0;
  return lanes;
}

/// Lanes `step` elements apart; memory behind the last of them is not touched.
llvm::Value *loadSteps(Emit &e, llvm::FixedVectorType *type, llvm::Value *base, int64_t step, int lanes) {
  const auto size = static_cast<int64_t>(type->getScalarSizeInBits() / 8);
  const llvm::Align align(static_cast<uint64_t>(size));
  return emitLanesApart(e, type, step, lanes, [&](int64_t first) -> llvm::Value * {
    const int64_t count = (lanes - 1) * step + 1 - first;
    llvm::Value *address = e.offset(base, first * size);
    if (count >= kVectorLanes)
      return e.b.CreateAlignedLoad(type, address, align);
    return e.b.CreateMaskedLoad(type, address, align, e.laneMask(static_cast<int>(count)),
                                llvm::Constant::getNullValue(type));
  });
}

} // namespace

llvm::Value *ElementEmitter::pointerTo(const Type &type, llvm::Value *memory, const LaneValue &at) {
  return e.offset(memory, e.mul(at.base, static_cast<int64_t>(dtypeSize(type.dtype))));
}

llvm::Value *ElementEmitter::load(const Type &type, llvm::Value *pointer, const LaneIndex &index) {
  LaneValue at = address(type, index);
  auto size = static_cast<int64_t>(dtypeSize(type.dtype));
  llvm::Align align(static_cast<uint64_t>(size));
  llvm::Type *element = e.memoryType(type.dtype);
  auto *vector = llvm::FixedVectorType::get(element, kVectorLanes);
  llvm::Value *result = nullptr;
  llvm::Value *base = at.affine() ? pointerTo(type, pointer, at) : pointer;
  if (at.uniform())
    result = e.splat(e.b.CreateAlignedLoad(element, base, align));
  else if (at.affine() && at.step == 1)
    result = index.mask && !fillsBlock(type, index)
                 ? static_cast<llvm::Value *>(e.b.CreateMaskedLoad(vector, base, align, index.mask,
                                                                   llvm::Constant::getNullValue(vector)))
                 : e.b.CreateAlignedLoad(vector, base, align);
  else if (at.affine() && at.step == -1 && !index.mask)
    result = e.b.CreateVectorReverse(
        e.b.CreateAlignedLoad(vector, e.offset(base, -(kVectorLanes - 1) * size), align));
  else if (at.affine() && at.step >= 2 && at.step <= kMostApart && lanesOfPrefix(index.mask) > 0)
    result = loadSteps(e, vector, base, at.step, lanesOfPrefix(index.mask));
  else {
    llvm::Value *lanes = math.lanes(at.affine() ? LaneValue{e.i64(0), at.step} : at);
    llvm::Value *pointers = e.b.CreateGEP(element, base, lanes);
    result =
        e.b.CreateMaskedGather(vector, pointers, align, index.mask, llvm::Constant::getNullValue(vector));
  }
  if (type.dtype == DType::Bool)
    return e.b.CreateICmpNE(result, llvm::Constant::getNullValue(vector));
  return result;
}

namespace {

void storeVector(Emit &e, llvm::Value *value, llvm::Value *at, llvm::Align align, bool streams) {
  if (!streams) {
    e.b.CreateAlignedStore(value, at, align);
    return;
  }
  llvm::LLVMContext &context = e.module.getContext();
  llvm::StoreInst *store = e.b.CreateAlignedStore(value, at, llvm::Align(kCacheLine));
  store->setMetadata(llvm::LLVMContext::MD_nontemporal,
                     llvm::MDNode::get(context, llvm::ConstantAsMetadata::get(e.b.getInt32(1))));
}

} // namespace

void ElementEmitter::store(const Type &type, llvm::Value *pointer, const LaneIndex &index,
                           llvm::Value *value) {
  LaneValue at = address(type, index);
  auto size = static_cast<int64_t>(dtypeSize(type.dtype));
  llvm::Align align(static_cast<uint64_t>(size));
  llvm::Type *element = e.memoryType(type.dtype);
  if (type.dtype == DType::Bool)
    value = e.b.CreateZExt(value, llvm::FixedVectorType::get(element, kVectorLanes));
  llvm::Value *base = at.affine() ? pointerTo(type, pointer, at) : pointer;
  const bool wholeBlock = at.affine() && at.step == 1 && fillsBlock(type, index);
  if (wholeBlock)
    value = e.b.CreateSelect(math.lessThan(index.groups[0].at, type.shape[0]), value,
                             llvm::Constant::getNullValue(value->getType()));
  if (at.uniform())
    e.b.CreateAlignedStore(e.b.CreateExtractElement(value, uint64_t{0}), base, align);
  else if (wholeBlock || (at.affine() && at.step == 1 && !index.mask))
    storeVector(e, value, base, align, streams && at.multiple * size % kCacheLine == 0);
  else if (at.affine() && at.step == 1)
    e.b.CreateMaskedStore(value, base, align, index.mask);
  else {
    llvm::Value *lanes = math.lanes(at.affine() ? LaneValue{e.i64(0), at.step} : at);
    llvm::Value *pointers = e.b.CreateGEP(element, base, lanes);
    e.b.CreateMaskedScatter(value, pointers, align, index.mask);
  }
}

void ElementEmitter::storeNeighbours(const Type &type, llvm::Value *pointer, const LaneIndex &index,
                                     const Values &values) {
  if (values.size() == 1)
    return store(type, pointer, index, values[0]);
  const auto count = static_cast<int64_t>(values.size());
  const LaneValue at = address(type, index);
  const int64_t lanes = lanesOfPrefix(index.mask);
  CHECK(at.affine() && at.step == count && lanes > 0, "lanes are not as far apart as there are values");
  auto *vector = llvm::FixedVectorType::get(e.memoryType(type.dtype), kVectorLanes);
  const auto size = static_cast<int64_t>(dtypeSize(type.dtype));
  for (int64_t first = 0; first < lanes * count; first += kVectorLanes) {
    llvm::Value *piece = llvm::Constant::getNullValue(vector);
    for (int64_t v = 0; v < count; ++v) {
      std::vector<int> order;
      for (int lane = 0; lane < kVectorLanes; ++lane) {
        const int64_t element = first + lane;
        order.push_back(element % count == v ? kVectorLanes + static_cast<int>(element / count) : lane);
      }
      llvm::Value *value = type.dtype == DType::Bool ? e.b.CreateZExt(values[v], vector) : values[v];
      piece = e.b.CreateShuffleVector(piece, value, order);
    }
    llvm::Value *to = e.offset(pointerTo(type, pointer, at), first * size);
    const llvm::Align align(static_cast<uint64_t>(size));
    if (const int64_t left = lanes * count - first; left < kVectorLanes)
      e.b.CreateMaskedStore(piece, to, align, e.laneMask(static_cast<int>(left)));
    else
      e.b.CreateAlignedStore(piece, to, align);
  }
}

std::vector<LaneValue> ElementEmitter::dims(const Shape &shape, const LaneIndex &index) {
  std::vector<LaneValue> result;
  int axis = 0;
  for (const LaneIndex::Group &group : index.groups) {
    std::vector<LaneValue> inner(group.count);
    LaneValue rest = group.at;
    for (int i = group.count - 1; i > 0; --i) {
      inner[i] = math.mod(rest, shape[axis + i]);
      rest = math.div(rest, shape[axis + i]);
    }
    inner[0] = rest;
    result.insert(result.end(), inner.begin(), inner.end());
    axis += group.count;
  }
  CHECK(axis == shape.rank(), "an index of {} dimensions for {}", axis, toString(shape));
  return result;
}

LaneValue ElementEmitter::linear(const Shape &shape, const LaneIndex &index) {
  std::vector<int64_t> sizes;
  int axis = 0;
  for (const LaneIndex::Group &group : index.groups) {
    int64_t size = 1;
    for (int i = 0; i < group.count; ++i)
      size *= shape[axis++];
    sizes.push_back(size);
  }
  CHECK(axis == shape.rank(), "an index of {} dimensions for {}", axis, toString(shape));
  LaneValue result = math.constant(0);
  int64_t stride = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    result = math.add(math.mul(index.groups[i].at, stride), result);
    stride *= sizes[i];
  }
  return result;
}

LaneIndex ElementEmitter::reshaped(const Shape &from, const LaneIndex &index, const Shape &to) {
  LaneIndex result;
  result.mask = index.mask;
  int source = 0, target = 0;
  size_t group = 0;
  auto groupSize = [&] {
    int64_t size = 1;
    for (int i = 0; i < index.groups[group].count; ++i)
      size *= from[source++];
    return size;
  };
  // Takes groups and dimensions until they cover the same elements. No index is ever cut.
  while (target < to.rank()) {
    if (group == index.groups.size()) { // only dimensions of size 1 are left
      result.groups.push_back({1, math.constant(0)});
      ++target;
      continue;
    }
    LaneValue at = index.groups[group].at;
    int64_t have = groupSize(), want = to[target++];
    ++group;
    int count = 1;
    while (have != want) {
      if (have < want) {
        LaneValue next = index.groups[group].at;
        int64_t size = groupSize();
        ++group;
        at = math.add(math.mul(at, size), next);
        have *= size;
      } else {
        want *= to[target++];
        ++count;
      }
    }
    result.groups.push_back({count, at});
  }
  return result;
}

LaneValue ElementEmitter::asIndex(llvm::Value *lanes, bool uniform) {
  if (uniform)
    return math.uniform(e.b.CreateSExt(e.b.CreateExtractElement(lanes, uint64_t{0}), e.b.getInt64Ty()));
  llvm::Type *type = e.vectorType(math.wide ? DType::I64 : DType::I32);
  return math.vector(e.b.CreateSExtOrTrunc(lanes, type));
}

void Condition::require(Emit &e, llvm::Value *condition) {
  llvm::Value *&slot = condition->getType()->isVectorTy() ? lanes : uniform;
  slot = slot ? e.b.CreateAnd(slot, condition) : condition;
}

llvm::Value *Condition::vector(Emit &e) const {
  llvm::Value *spread = uniform ? e.splat(uniform) : nullptr;
  return spread && lanes ? e.b.CreateAnd(spread, lanes) : spread ? spread : lanes;
}

void Condition::requireBelow(LaneMath &math, LaneValue &value, int64_t bound) {
  llvm::Value *below = math.lessThan(value, bound);
  if (value.uniform())
    value = math.uniform(math.e.b.CreateSelect(below, value.base, math.e.i64(0)));
  require(math.e, below);
}

llvm::Value *Condition::select(Emit &e, llvm::Value *value, llvm::Value *otherwise) const {
  return always() ? value : e.b.CreateSelect(vector(e), value, otherwise);
}

llvm::Value *Condition::mask(Emit &e, llvm::Value *given) const {
  return lanes && given ? e.b.CreateAnd(given, lanes) : lanes ? lanes : given;
}

} // namespace gradc
