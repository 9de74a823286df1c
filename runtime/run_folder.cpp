#include "runtime/run_folder.h"

#include <cerrno>
#include <filesystem>
#include <span>

#include <fcntl.h>
#include <unistd.h>

#include "support/files.h"
#include "support/json_value.h"

namespace gradc {
namespace {

/// What a run writes; from the log on it is of the older run until the first checkpoint is there.
constexpr char kFiles[][20] = {".gradc-probe",     "last.ckpt",        "metrics.jsonl", "run.json",
                               "best.safetensors", "last.safetensors", "report.html"};
constexpr const char *kProbe = kFiles[0], *kLog = kFiles[2], *kDescription = kFiles[3];

/// The "step" of a line of the log, or -1; also tells whether it is an epoch's.
int64_t stepOf(const std::string &line, bool &epoch) {
  const auto object = parseJsonValue(line);
  const JsonValue *step = object ? object->find("step") : nullptr,
                  *kind = object ? object->find("kind") : nullptr;
  epoch = kind && kind->isString("epoch");
  return step ? step->integer().value_or(-1) : -1;
}

} // namespace

StatusOr<RunFolder> RunFolder::open(std::string path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    errno = error.value();
    return ioFailure(systemMessage("create", path));
  }
  StatusOr<Descriptor> lock = lockFolder(path);
  if (!lock)
    return std::unexpected(lock.error());
  if (lock->isOpen()) // else another run may be about to rename them
    for (const char *name : kFiles)
      removeLeftovers(path, name);
  RunFolder folder(std::move(path), std::move(*lock));
  const std::string probe = folder.file(kProbe);
  if (Status status = writeFileAtomically(probe, "probe\n"); !status.ok())
    return std::unexpected(status);
  ::unlink(probe.c_str());
  return folder;
}

StatusOr<std::vector<std::string>> RunFolder::resumeLog(int64_t step, bool inEpoch) {
  ours_ = true;
  std::vector<std::string> epochs;
  StatusOr<std::string> text = readFile(file(kLog));
  if (!text)
    return epochs; // no log is no obstacle
  std::string kept;
  for (size_t at = 0; at < text->size();) {
    const size_t end = std::min(text->find('\n', at), text->size());
    const std::string line = text->substr(at, end - at);
    bool epoch = false;
    const int64_t lineStep = stepOf(line, epoch);
    if (lineStep >= 0 && lineStep <= step - (epoch && inEpoch)) {
      kept += line + "\n";
      if (epoch)
        epochs.push_back(line);
    }
    at = end + 1;
  }
  if (Status status = writeFileAtomically(file(kLog), kept); !status.ok())
    return std::unexpected(status);
  return epochs;
}

void RunFolder::log(std::string line) {
  pending_ += line;
  pending_ += '\n';
}

Status RunFolder::flushLog() {
  if (!ours_ || pending_.empty())
    return okStatus();
  const std::string path = file(kLog);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd < 0)
    return ioError(systemMessage("open", path));
  const Status status = writeAll(fd, pending_, path);
  ::close(fd);
  pending_.clear();
  return status;
}

/// Removes what an older run has left, once.
Status RunFolder::takeOver() {
  if (ours_)
    return okStatus();
  for (const char *name : std::span(kFiles).subspan<2>())
    if (::unlink(file(name).c_str()) != 0 && errno != ENOENT)
      return ioError(systemMessage("remove", file(name)));
  ours_ = true;
  return description_.empty() ? okStatus() : writeFileAtomically(file(kDescription), description_);
}

Status RunFolder::writeCheckpoint(VariableStore &variables, const TrainState &state) {
  // First the log: what it says beyond a checkpoint is dropped by who resumes, what it lacks would be lost.
  Status status = flushLog();
  if (status.ok())
    status = gradc::writeCheckpoint(checkpointPath(), variables, state);
  if (status.ok())
    status = takeOver();
  return status.ok() ? flushLog() : status;
}

Status RunFolder::writeWeights(const char *name, VariableStore &variables,
                               const std::map<std::string, std::string> &metadata) {
  return writeSafeTensors(file(name), variables.weights(), metadata);
}

Status RunFolder::writeReport(const std::string &html) {
  return writeFileAtomically(file("report.html"), html);
}

} // namespace gradc
