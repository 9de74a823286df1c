#include "codegen/cpu/object_code.h"

#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"

#include "support/check.h"

namespace gradc {

ObjectSize sizeOfObject(const std::string &bytes) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(bytes, "kernel"));
  if (!file)
    CHECK(false, "an object that cannot be read: {}", llvm::toString(file.takeError()));
  ObjectSize size;
  for (const llvm::object::SectionRef &section : (*file)->sections()) {
    const auto bytesHere = static_cast<int64_t>(section.getSize());
    if (section.isText())
      size.code += bytesHere;
    else if (section.isData())
      size.constants += bytesHere;
  }
  return size;
}

} // namespace gradc
