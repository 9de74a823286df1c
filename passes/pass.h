// Passes and their manager. A pass is one file named as its command-line name; its row says what it does, its
// options and what class its change of bits is. The manager verifies after each pass, checks the claim
// "nothing changed" by hash, prints, times, counts, bisects and writes reproducers.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/ir.h"

namespace gradc {

/// Options of one use of a pass: `fuse{max=8}`, `autodiff{of=@loss, wrt=[@w, %x]}`.
struct PassContext {
  Diagnostics &diag;
  const Dict &options; // checked against the row, defaults filled in
  std::map<std::string, int64_t> &statistics;
  bool remarks = false; // report remarks of this pass
};

enum class Exactness : uint8_t {
  Exact,    // the function computes the same bits afterwards
  Rounding, // the same value up to rounding, where all numbers are finite
  Meaning,  // the module gets a different function (autodiff, optimizer)
};

struct PassOption {
  std::string_view name;
  std::string_view doc;
  Attr defaultValue;
};

struct PassDef {
  std::string_view name;
  std::string_view doc; // one line
  std::vector<PassOption> options = {};
  Exactness exactness = Exactness::Exact;
  /// False where later stages need what it does (plan-memory): --disable-pass refuses.
  bool optional = true;
  /// Returns whether anything changed.
  Result<bool> (*run)(Module &, PassContext &) = nullptr;
};

std::span<const PassDef *const> allPasses(); // sorted by name
const PassDef *findPass(std::string_view name);

/// One element of a textual pipeline, with its options as given.
struct PassUse {
  const PassDef *def = nullptr;
  Dict options;
};
using Pipeline = std::vector<PassUse>;

/// 'expand,autodiff{wrt=[@w]},fuse{max=8}'. Errors carry the column within the text, file "<passes>".
Result<Pipeline> parsePipeline(std::string_view text, Diagnostics &diag);
std::string toString(const Pipeline &pipeline);

struct PassManagerOptions {
  bool printAfterAll = false;
  bool printAfterChange = false;
  bool printBeforeAll = false;
  std::string printDir; // NNN-<pass>.gir for the input (000-input) and after each pass
  bool verifyEach = true;
  bool roundtripEach = false; // print, parse, compare after each pass
  std::vector<std::string> disabled;
  int64_t bisectLimit = -1; // run only the first N optional passes; -1: all
  bool timing = false;
  bool statistics = false;
  std::vector<std::string> remarks; // names of passes whose remarks are reported, or "all"
  bool printLocations = false;
  std::string reproducerDir;                 // where a crash writes its reproducer; empty: the current folder
  std::function<void(std::string_view)> out; // where printing goes; default stderr
};

/// What a crash inside a pass leaves behind: the IR that went into the pass, what was still to run, and the
/// command. `gradc opt` runs the file again with the pipeline of its first line.
struct Reproducer {
  Module input;
  Pipeline rest;
  std::string folder;
};

struct PassTiming {
  std::string pass;
  double milliseconds = 0;
  bool changed = false;
};

class PassManager {
public:
  explicit PassManager(PassManagerOptions options) : options_(std::move(options)) {}
  Result<void> run(Module &module, const Pipeline &pipeline, Diagnostics &diag);
  const std::vector<PassTiming> &timings() const { return timings_; }
  std::string timingReport() const;
  std::string statisticsReport() const;

private:
  /// Runs one pass and checks what it claims. `hash` is the module's contentHash, before and after.
  Result<void> runPass(Module &module, uint64_t &hash, const PassUse &use, Diagnostics &diag);
  bool skips(const PassDef &pass);
  void checkAfter(const Module &module, const PassUse &use, bool claimed, bool changed) const;
  void printIr(const Module &module, std::string_view when) const;
  Result<void> dump(const Module &module, std::string_view name, Diagnostics &diag);

  PassManagerOptions options_;
  int64_t optionalRun_ = 0; // optional passes seen so far, for the bisect limit
  int64_t dumped_ = 0;      // files written to printDir
  std::vector<PassTiming> timings_;
  std::map<std::string, std::map<std::string, int64_t>> statistics_;
};

} // namespace gradc

/// GRADC_PASS(dce) { return {.name = "dce", …}; } — the build collects the files of passes/.
#define GRADC_PASS(file)                                                                                     \
  namespace gradc::passes {                                                                                  \
  gradc::PassDef def_##file();                                                                               \
  }                                                                                                          \
  gradc::PassDef gradc::passes::def_##file()
