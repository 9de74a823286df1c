// Debug information of a kernel: what its functions are called, and for each instruction the line of the model file (or
// of the IR text) where the op that it computes stands, so that gdb stops in a layer and perf names it.
#pragma once

#include <string>

#include "llvm/IR/DIBuilder.h"
#include "llvm/IR/DebugLoc.h"
#include "llvm/IR/Module.h"

#include "ir/ir.h"

namespace gradc {

class DebugPlaces {
public:
  /// `place` is the kernel's, and of all that belongs to no op; `name` what its functions are called: "conv1+relu". File
  /// names stay as they are, with no folder, so that the code is the same wherever it is made.
  DebugPlaces(llvm::Module &module, const Location &place, std::string name);

  llvm::DebugLoc kernel() { return at(place_); }
  /// A place in the kernel's file; the kernel's own where that is another or not known.
  llvm::DebugLoc at(const Location &place);
  /// Describes all functions of the module; call it once, at the end.
  void finish();

private:
  void describe(llvm::Function &function);

  llvm::Module &module_;
  llvm::DIBuilder builder_;
  Location place_;
  std::string name_;
  llvm::DIFile *file_;
  llvm::DISubroutineType *type_;
  llvm::DISubprogram *any_; // the scope of places until their functions are described
};

} // namespace gradc
