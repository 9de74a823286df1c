// The folder of a run: metrics.jsonl, run.json, last.ckpt, best.safetensors, last.safetensors, report.html.
//
// A new run into a folder that holds an old one leaves everything of the old one in place until the new run's first
// checkpoint is whole; only then do the old files go. So stopping early, or a disk that is full, loses nothing.
// While one run has the folder no other gets it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runtime/checkpoint.h"
#include "runtime/records.h"
#include "runtime/variables.h"
#include "support/files.h"
#include "support/result.h"

namespace gradc {

class RunFolder {
public:
  /// Creates the folder with its parents, removes what a killed run left half written, and writes a file for a try: an
  /// unwritable folder is said before the first step, not after the first epoch.
  static StatusOr<RunFolder> open(std::string path);

  const std::string &path() const { return path_; }
  std::string file(const char *name) const { return path_ + "/" + name; }
  std::string checkpointPath() const { return file("last.ckpt"); }

  /// Goes on with the log of the run that is there, without what it wrote after `step`; `inEpoch`: an epoch's line of
  /// that very step, too, as the epoch is not complete. Returns its epochs' lines.
  StatusOr<std::vector<std::string>> resumeLog(int64_t step, bool inEpoch);

  /// What run.json shall hold; written with the first checkpoint.
  void setDescription(std::string json) { description_ = std::move(json); }

  /// Adds a line to metrics.jsonl; it reaches the disk with the next checkpoint, at the latest.
  void log(std::string line);
  Status flushLog();

  Status writeCheckpoint(VariableStore &variables, const TrainState &state);
  Status writeWeights(const char *name, VariableStore &variables,
                      const std::map<std::string, std::string> &metadata);
  Status writeReport(const std::string &html);

private:
  RunFolder(std::string path, Descriptor lock) : lock_(std::move(lock)), path_(std::move(path)) {}
  Status takeOver();

  Descriptor lock_;
  std::string path_, pending_, description_;
  bool ours_ = false; // the files in the folder are of this run
};

} // namespace gradc
