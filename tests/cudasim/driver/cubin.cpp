// Reads from a cubin what PTX does not have: the architecture and each kernel's registers. Layout as NVRTC 13 writes
// it (ELF64, ABI version 8): the architecture stands in bits 8 to 15 of the flags; an entry of .nv.info is a format
// byte, an attribute byte and, for format 4, a size and values; attribute 0x2f is (symbol, registers).
#include <elf.h>

#include <algorithm>
#include <cstring>

#include "driver/module.h"

namespace cudasim {
namespace {

constexpr uint8_t kSizedValue = 4, kRegisterCount = 0x2f;
constexpr uint16_t kMachineCuda = 190;

template <typename T> std::optional<T> readAt(std::span<const uint8_t> image, uint64_t offset) {
  if (offset > image.size() || image.size() - offset < sizeof(T))
    return std::nullopt;
  T value;
  std::memcpy(&value, image.data() + offset, sizeof(T));
  return value;
}

struct Elf {
  std::span<const uint8_t> image;
  Elf64_Ehdr header;

  std::optional<Elf64_Shdr> section(uint64_t index) const {
    return readAt<Elf64_Shdr>(image, header.e_shoff + index * sizeof(Elf64_Shdr));
  }
  std::string_view text(const Elf64_Shdr &strings, uint64_t offset) const {
    uint64_t start = strings.sh_offset + offset;
    if (start >= image.size())
      return {};
    const char *data = reinterpret_cast<const char *>(image.data());
    return {data + start, strnlen(data + start, image.size() - start)};
  }
  std::optional<Elf64_Shdr> named(std::string_view name) const {
    auto names = section(header.e_shstrndx);
    for (uint64_t index = 0; names && index < header.e_shnum; ++index)
      if (auto found = section(index); found && text(*names, found->sh_name) == name)
        return found;
    return std::nullopt;
  }
};

void readRegisters(const Elf &elf, CubinFacts &facts) {
  auto info = elf.named(".nv.info"), symbols = elf.named(".symtab"), names = elf.named(".strtab");
  if (!info || !symbols || !names)
    return;
  for (uint64_t at = info->sh_offset; at + 4 <= info->sh_offset + info->sh_size;) {
    auto format = readAt<uint8_t>(elf.image, at), attribute = readAt<uint8_t>(elf.image, at + 1);
    auto size = readAt<uint16_t>(elf.image, at + 2);
    if (!format || !size)
      return;
    auto symbol = readAt<uint32_t>(elf.image, at + 4), registers = readAt<uint32_t>(elf.image, at + 8);
    if (*format == kSizedValue && *attribute == kRegisterCount && symbol && registers)
      if (auto entry = readAt<Elf64_Sym>(elf.image, symbols->sh_offset + *symbol * sizeof(Elf64_Sym)))
        facts.registers.emplace(elf.text(*names, entry->st_name), int(*registers));
    at += *format == kSizedValue ? 4 + *size : 4;
  }
}

} // namespace

size_t cubinBytes(const void *data) {
  if (std::memcmp(data, ELFMAG, SELFMAG) != 0)
    return 0;
  Elf64_Ehdr header;
  std::memcpy(&header, data, sizeof header);
  size_t end = std::max(header.e_phoff + uint64_t{header.e_phnum} * header.e_phentsize,
                        header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize);
  for (size_t index = 0; index < header.e_shnum; ++index) {
    Elf64_Shdr section;
    std::memcpy(&section, static_cast<const uint8_t *>(data) + header.e_shoff + index * sizeof section,
                sizeof section);
    if (section.sh_type != SHT_NOBITS)
      end = std::max(end, section.sh_offset + section.sh_size);
  }
  return end;
}

std::expected<CubinFacts, std::string> readCubin(std::span<const uint8_t> image) {
  auto header = readAt<Elf64_Ehdr>(image, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != kMachineCuda ||
      header->e_shentsize != sizeof(Elf64_Shdr))
    return std::unexpected("the image is an ELF file, but no cubin");
  CubinFacts facts;
  facts.architecture = header->e_flags >> 8 & 0xff;
  readRegisters({image, *header}, facts);
  return facts;
}

} // namespace cudasim
