// The numbers of one random_uniform op (support/philox.h): Philox makes four words at a time, which are four
// neighbours of a row.
#pragma once

#include "codegen/cpu/elements/element.h"

namespace gradc {

class RandomStream {
public:
  /// Emits what all groups share: the keys of the rounds. Before the loop over groups, where there is one.
  RandomStream(ElementEmitter &m, OpId op);

  /// Numbers 4·group .. 4·group + 3 of rows of the result, in its element type.
  Values group(LaneValue row, LaneValue group) const;

private:
  ElementEmitter &m_;
  const Type type_;
  llvm::Value *step_, *row0_;
  std::vector<std::pair<llvm::Value *, llvm::Value *>> keys_; // of a round: the key's low and its high word
};

} // namespace gradc
