#include "driver/resident_memory.h"

#include <cstdint>
#include <cstring>

#ifdef __GLIBC__
#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace gradc {

#ifdef __GLIBC__
namespace {

int giveBackCode(dl_phdr_info *library, size_t, void *) {
  if (!std::strstr(library->dlpi_name, "libLLVM"))
    return 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < library->dlpi_phnum; ++i) {
    const ElfW(Phdr) &segment = library->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & (PF_X | PF_W)) != PF_X)
      continue; // data may have been written, by the dynamic linker at least
    const uintptr_t begin = library->dlpi_addr + segment.p_vaddr, end = begin + segment.p_memsz;
    const uintptr_t first = (begin + page - 1) / page * page, last = end / page * page;
    if (first < last)
      (void)madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
  }
  return 0;
}

} // namespace
#endif

void giveBackMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
  dl_iterate_phdr(giveBackCode, nullptr);
#endif
}

} // namespace gradc
