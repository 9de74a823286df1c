#include "machine/decoder.h"
#include <algorithm>
#include <fmt/format.h>

namespace cudasim {
namespace {

int64_t alignUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

constexpr std::string_view kSpecials[] = {
    "%tid.x",           "%tid.y",       "%tid.z",       "%ntid.x",
    "%ntid.y",          "%ntid.z",      "%ctaid.x",     "%ctaid.y",
    "%ctaid.z",         "%nctaid.x",    "%nctaid.y",    "%nctaid.z",
    "%laneid",          "%warpid",      "%nwarpid",     "%dynamic_smem_size",
    "%total_smem_size", "%lanemask_eq", "%lanemask_lt", "%lanemask_le",
    "%lanemask_gt",     "%lanemask_ge", "%clock"};
static_assert(std::size(kSpecials) == static_cast<size_t>(Special::Count));

const Family *familyOf(std::string_view opcode, Data data) {
  static const auto *table = [] {
    auto *made = new std::multimap<std::string_view, const Family *>;
    for (const Family &family : allFamilies())
      made->emplace(family.opcode, &family);
    return made;
  }();
  auto [first, last] = table->equal_range(opcode);
  for (auto it = first; it != last; ++it)
    if (it->second->data == Data::Any || it->second->data == data)
      return it->second;
  return nullptr;
}

} // namespace

const std::vector<Family> &allFamilies() {
  static const auto *all = [] {
    auto *made = new std::vector<Family>;
    for (auto list : {integerFamilies, bitFamilies, float32Families, float64Families, halfFamilies,
                      approximateFamilies, compareFamilies, convertFamilies, moveFamilies, memoryFamilies,
                      atomicFamilies, warpFamilies, matrixFamilies, asyncFamilies, controlFamilies})
      for (const Family &family : list())
        made->push_back(family);
    return made;
  }();
  return *all;
}

Decoder::Decoder(const ptx::Kernel &kernel, const Symbols &module, int target)
    : kernel(kernel), target(target), symbols(module) {
  program->kernel = kernel.name;
  program->specials.fill(-1);
  for (const ptx::Register &r : kernel.registers)
    slots.push_back(allocate(r.type == Type::Pred ? 0 : std::max<int64_t>(2, ptx::bytesOf(r.type))));
  for (const ptx::Parameter &p : kernel.parameters)
    symbols[p.name] = {.space = Space::Param, .address = static_cast<uint64_t>(p.offset), .bytes = p.bytes};
  for (const ptx::Variable &v : kernel.variables)
    declare(v);
}

void Decoder::declare(const ptx::Variable &v) {
  Symbol symbol{.space = v.space, .bytes = v.bytes, .align = v.align, .open = v.open, .placed = false};
  place(symbol);
  symbols[v.name] = symbol;
}

void Decoder::place(Symbol &symbol) {
  int64_t &size = symbol.space == Space::Shared ? sharedBytes : localSize;
  symbol.placed = true;
  if (symbol.open)
    return;
  size = alignUp(size, symbol.align);
  symbol.address = static_cast<uint64_t>(size);
  size += symbol.bytes;
}

// A predicate is one word, other registers have a value a lane.
int32_t Decoder::allocate(int64_t bytes) {
  int64_t at = alignUp(nextRegister, bytes ? 64 : 4);
  nextRegister = at + (bytes ? bytes * kLanes : 4);
  return static_cast<int32_t>(at);
}

int32_t Decoder::constant(uint64_t value, int64_t bytes, bool afterStatic) {
  auto [found, isNew] = constants.try_emplace({value, bytes, afterStatic}, 0);
  if (isNew) {
    found->second = allocate(bytes);
    program->constants.push_back({found->second, value, static_cast<int32_t>(bytes), afterStatic});
  }
  return found->second;
}

int32_t Decoder::special(std::string_view name) {
  const auto *found = std::find(std::begin(kSpecials), std::end(kSpecials), name);
  if (found == std::end(kSpecials))
    return -1;
  int32_t &slot = program->specials[static_cast<size_t>(found - std::begin(kSpecials))];
  if (slot < 0)
    slot = allocate(4);
  return slot;
}

const Symbol *Decoder::symbol(std::string_view name) {
  auto found = symbols.find(name);
  if (found == symbols.end())
    return nullptr;
  if (!found->second.placed)
    place(found->second);
  return &found->second;
}

int32_t Decoder::opcodeNumber(const std::string &name, OpClass kind) {
  auto [found, isNew] = opcodes.try_emplace(name, static_cast<int32_t>(program->opcodes.size()));
  if (isNew)
    program->opcodes.push_back({name, kind});
  return found->second;
}

void Decoder::decode(const ptx::Instruction &text) {
  Form form(*this, text);
  const Family *family = familyOf(form.opcode(), dataOf(form.lastType()));
  if (!family)
    return form.fail("unknown opcode");
  form.kind = family->kind;
  family->decode(form);
  if (form.inst.flow == Flow::Branch)
    form.inst.target = static_cast<uint32_t>(text.target); // of the text, until all places are known
  if (!form.failed())
    form.finish();
}

std::expected<std::shared_ptr<Program>, Fault> Decoder::run() {
  for (const ptx::Instruction &text : kernel.code) {
    places.push_back(static_cast<uint32_t>(program->code.size()));
    decode(text);
    if (error)
      return std::unexpected(*error);
  }
  places.push_back(static_cast<uint32_t>(program->code.size()));
  int lastLine = kernel.code.empty() ? 0 : kernel.code.back().line;
  Inst end{.flow = Flow::Exit, .line = lastLine};
  end.opcode = opcodeNumber("ret", OpClass::Branch);
  end.helper = true;
  program->code.push_back(end);
  for (Inst &i : program->code)
    if (i.flow == Flow::Branch)
      i.target = places[i.target];
  program->registerBytes = alignUp(nextRegister, 64);
  return program;
}

} // namespace cudasim
