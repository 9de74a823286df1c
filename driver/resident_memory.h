// What a process keeps resident beside the memory that a program announces.
#pragma once

namespace gradc {

/// Gives back, after a compilation, what it has freed and LLVM's code, some 40 MB: they would stay resident beside the
/// memory that training takes next. The code stays in the page cache, from where the next compilation gets what it runs.
void giveBackMemory();

} // namespace gradc
