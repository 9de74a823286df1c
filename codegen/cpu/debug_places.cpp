#include "codegen/cpu/debug_places.h"

namespace gradc {
namespace {

/// The first place of several.
const Location &firstOf(const Location &place) {
  return place.line == 0 && !place.fused.empty() ? firstOf(place.fused.front()) : place;
}

} // namespace

DebugPlaces::DebugPlaces(llvm::Module &module, const Location &place, std::string name)
    : module_(module), builder_(module), place_(firstOf(place)), name_(std::move(name)),
      file_(builder_.createFile(place_.file.empty() ? "unknown" : place_.file, "")) {
  module.addModuleFlag(llvm::Module::Warning, "Debug Info Version", llvm::DEBUG_METADATA_VERSION);
  module.addModuleFlag(llvm::Module::Warning, "Dwarf Version", 4);
  builder_.createCompileUnit(llvm::dwarf::DW_LANG_C99, file_, "gradc", /*isOptimized=*/true, "", 0);
  type_ = builder_.createSubroutineType(builder_.getOrCreateTypeArray({}));
  any_ = builder_.createFunction(file_, name_, "", file_, place_.line, type_, place_.line);
}

llvm::DebugLoc DebugPlaces::at(const Location &place) {
  const Location &first = firstOf(place);
  const Location &shown = first.line != 0 && first.file == place_.file ? first : place_;
  return llvm::DILocation::get(module_.getContext(), shown.line, shown.column, any_);
}

void DebugPlaces::describe(llvm::Function &function) {
  using llvm::DISubprogram;
  DISubprogram::DISPFlags flags = DISubprogram::SPFlagDefinition | DISubprogram::SPFlagOptimized;
  if (function.hasLocalLinkage())
    flags |= DISubprogram::SPFlagLocalToUnit;
  DISubprogram *scope = builder_.createFunction(file_, name_, "", file_, place_.line, type_, place_.line,
                                                llvm::DINode::FlagZero, flags);
  function.setSubprogram(scope);
  for (llvm::BasicBlock &block : function)
    for (llvm::Instruction &instruction : block) {
      const llvm::DebugLoc had = instruction.getDebugLoc();
      const unsigned line = had ? had.getLine() : place_.line, column = had ? had.getCol() : place_.column;
      instruction.setDebugLoc(llvm::DILocation::get(module_.getContext(), line, column, scope));
    }
}

void DebugPlaces::finish() {
  for (llvm::Function &function : module_)
    if (!function.isDeclaration())
      describe(function);
  builder_.finalize();
}

} // namespace gradc
