#include "codegen/cuda/cubin.h"

#include <algorithm>
#include <cstring>

#include <elf.h>

#include <fmt/format.h>

namespace gradc {
namespace {

// .nv.info: entries of a format, an attribute, two bytes and, for the format "sized", so many bytes more.
constexpr uint8_t kSized = 4;
constexpr uint8_t kRegisters = 0x2f, kFrame = 0x11; // payload: a symbol's number, a value
constexpr int64_t kInstructionBytes = 16;

template <class T> bool get(std::string_view bytes, size_t at, T &value) {
  if (at > bytes.size() || bytes.size() - at < sizeof value)
    return false;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return true;
}

class Reader {
public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  bool read() {
    Elf64_Ehdr header;
    if (!bytes_.starts_with(ELFMAG) || !get(bytes_, 0, header))
      return false;
    for (int i = 0; i < header.e_shnum; ++i) {
      Elf64_Shdr &section = sections_.emplace_back();
      if (!get(bytes_, header.e_shoff + static_cast<size_t>(i) * header.e_shentsize, section))
        return false;
    }
    if (header.e_shstrndx >= sections_.size())
      return false;
    names_ = content(sections_[header.e_shstrndx]);
    for (const Elf64_Shdr &section : sections_)
      if (nameOf(section).starts_with(".text."))
        addKernel(section);
    for (const Elf64_Shdr &section : sections_)
      if (nameOf(section) == ".nv.info")
        addInfo(content(section));
    return true;
  }

  std::vector<CubinKernel> kernels;

private:
  std::string_view content(const Elf64_Shdr &section) const {
    if (section.sh_type == SHT_NOBITS || section.sh_offset > bytes_.size() ||
        section.sh_size > bytes_.size() - section.sh_offset)
      return {};
    return bytes_.substr(section.sh_offset, section.sh_size);
  }
  static std::string_view text(std::string_view table, size_t at) {
    if (at >= table.size())
      return {};
    const std::string_view rest = table.substr(at);
    return rest.substr(0, rest.find('\0'));
  }
  std::string_view nameOf(const Elf64_Shdr &section) const { return text(names_, section.sh_name); }
  const Elf64_Shdr *find(std::string_view name) const {
    const auto found =
        std::ranges::find_if(sections_, [&](const Elf64_Shdr &section) { return nameOf(section) == name; });
    return found == sections_.end() ? nullptr : &*found;
  }

  void addKernel(const Elf64_Shdr &section) {
    CubinKernel &kernel = kernels.emplace_back();
    kernel.name = nameOf(section).substr(std::string_view(".text.").size());
    const std::string_view code = content(section);
    for (size_t at = 0; at + kInstructionBytes <= code.size(); at += kInstructionBytes) {
      uint16_t word = 0;
      get(code, at, word);
      ++kernel.opcodes[word & 0xfffu];
      ++kernel.instructions;
    }
    if (const Elf64_Shdr *shared = find(".nv.shared." + kernel.name))
      kernel.sharedBytes = static_cast<int64_t>(shared->sh_size);
  }

  std::string_view symbolName(uint32_t number) const {
    const Elf64_Shdr *symbols = find(".symtab");
    Elf64_Sym symbol;
    if (!symbols || symbols->sh_link >= sections_.size() ||
        !get(content(*symbols), size_t{number} * sizeof symbol, symbol))
      return {};
    return text(content(sections_[symbols->sh_link]), symbol.st_name);
  }

  void addInfo(std::string_view info) {
    for (size_t at = 0; at + 4 <= info.size();) {
      const auto format = static_cast<uint8_t>(info[at]), attribute = static_cast<uint8_t>(info[at + 1]);
      uint16_t size = 0;
      get(info, at + 2, size);
      uint32_t symbol = 0, value = 0;
      if (format == kSized && get(info, at + 4, symbol) && get(info, at + 8, value)) {
        const std::string_view name = symbolName(symbol);
        for (CubinKernel &kernel : kernels)
          if (kernel.name == name && attribute == kRegisters)
            kernel.registers = static_cast<int>(value);
          else if (kernel.name == name && attribute == kFrame)
            kernel.stackBytes = value;
      }
      at += 4 + (format == kSized ? size : 0);
    }
  }

  std::string_view bytes_, names_;
  std::vector<Elf64_Shdr> sections_;
};

int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

int64_t CubinKernel::count(std::initializer_list<uint32_t> kind) const {
  int64_t sum = 0;
  for (uint32_t opcode : kind)
    if (const auto found = opcodes.find(opcode); found != opcodes.end())
      sum += found->second;
  return sum;
}

StatusOr<std::vector<CubinKernel>> readCubin(std::string_view bytes) {
  Reader reader(bytes);
  if (!reader.read())
    return failure(ExitCode::Internal, "what NVRTC made is no ELF file, or one that is cut off");
  return std::move(reader.kernels);
}

// As cuda_occupancy.h computes it: a warp's registers come in units of 256, the warps of a multiprocessor lie in four
// parts; from Ampere on the system keeps 1 KiB of each block's shared memory, which is in a cubin's sizes from Hopper on.
int residentBlocks(const CudaTarget &target, const CubinKernel &kernel, int threads,
                   int64_t dynamicSharedBytes) {
  constexpr int64_t kRegisterUnit = 256, kParts = 4, kReserved = 1024;
  const int64_t warps = (threads + 31) / 32;
  const int64_t perWarp = roundUp(int64_t{kernel.registers} * 32, kRegisterUnit);
  const int64_t byRegisters = perWarp == 0
                                  ? target.blocksPerMultiprocessor
                                  : target.registersPerMultiprocessor / perWarp / kParts * kParts / warps;
  const int64_t reserved = target.architecture >= 80 ? kReserved : 0;
  const int64_t included = target.architecture >= 90 ? std::min(kernel.sharedBytes, reserved) : 0;
  const int64_t asked = kernel.sharedBytes - included + dynamicSharedBytes;
  const int64_t shared = roundUp(asked + reserved, target.architecture >= 80 ? 128 : 256);
  if (asked > target.sharedPerBlock)
    return 0;
  const int64_t byShared =
      shared == 0 ? target.blocksPerMultiprocessor : target.sharedPerMultiprocessor / shared;
  return static_cast<int>(std::min({byRegisters, byShared, target.warpsPerMultiprocessor / warps,
                                    int64_t{target.blocksPerMultiprocessor}}));
}

double occupancy(const CudaTarget &target, int blocks, int threads) {
  return static_cast<double>(blocks) * ((threads + 31) / 32) / target.warpsPerMultiprocessor;
}

} // namespace gradc
