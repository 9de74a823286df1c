#include "codegen/cpu/interleave.h"

#include <algorithm>

#include "llvm/ADT/SmallPtrSet.h"

namespace gradc {
namespace {

using Instructions = std::vector<llvm::Instruction *>;

/// Those of the builder's block behind `before` (null: all).
Instructions emittedAfter(llvm::BasicBlock &block, llvm::Instruction *before) {
  Instructions found;
  for (auto at = before ? std::next(before->getIterator()) : block.begin(); at != block.end(); ++at)
    found.push_back(&*at);
  return found;
}

/// One of each piece in turn, as far as what it needs stands above it.
void takeTurns(llvm::BasicBlock &block, std::vector<Instructions> pieces) {
  llvm::SmallPtrSet<llvm::Value *, 32> waiting;
  for (Instructions &piece : pieces) {
    waiting.insert(piece.begin(), piece.end());
    std::ranges::reverse(piece);
  }
  auto isReady = [&](llvm::Instruction *instruction) {
    return std::ranges::none_of(instruction->operands(),
                                [&](llvm::Value *operand) { return waiting.contains(operand); });
  };
  while (!waiting.empty())
    for (Instructions &piece : pieces)
      if (!piece.empty() && isReady(piece.back())) {
        piece.back()->moveBefore(block, block.end());
        waiting.erase(piece.back());
        piece.pop_back();
      }
}

} // namespace

void emitInterleaved(Emit &e, int64_t count, const std::function<void(int64_t)> &piece) {
  if (count == 1)
    return piece(0);
  llvm::BasicBlock *block = e.b.GetInsertBlock();
  std::vector<Instructions> pieces;
  for (int64_t i = 0; i < count; ++i) {
    llvm::Instruction *before = block->empty() ? nullptr : &block->back();
    piece(i);
    if (e.b.GetInsertBlock() == block)
      pieces.push_back(emittedAfter(*block, before));
  }
  if (e.b.GetInsertBlock() == block)
    takeTurns(*block, std::move(pieces));
}

} // namespace gradc
