#include "runtime/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/say.h"

namespace gradc {
namespace {

constexpr double kPlainInterval = 10, kBarInterval = 0.1; // seconds
constexpr int kBarCells = 20;

bool isTerminal(std::FILE *file) {
  const char *terminal = std::getenv("TERM");
  return isatty(fileno(file)) && terminal && std::string_view(terminal) != "dumb";
}

int terminalColumns(std::FILE *file) {
  winsize size{};
  return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bar(double share) {
  static constexpr const char *kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  const int eighths = static_cast<int>(std::clamp(share, 0.0, 1.0) * kBarCells * 8);
  std::string text;
  for (int i = 0; i < eighths / 8; ++i)
    text += "█";
  text += kEighths[eighths % 8];
  for (int i = eighths / 8 + (eighths % 8 != 0); i < kBarCells; ++i)
    text += ' ';
  return "▕" + text + "▏";
}

std::string perSecond(double value) {
  return value >= 10'000 ? fmt::format("{:.1f}k", value / 1000) : fmt::format("{:.0f}", value);
}

/// Cuts at a number of columns; every code point of what we print is one column wide.
std::string cut(const std::string &text, int columns) {
  size_t at = 0;
  for (; at < text.size(); ++at)
    if ((text[at] & 0xc0) != 0x80 && columns-- == 0)
      break;
  return text.substr(0, at);
}

} // namespace

std::optional<ProgressMode> parseProgressMode(std::string_view name) {
  constexpr std::pair<std::string_view, ProgressMode> kModes[] = {{"auto", ProgressMode::Auto},
                                                                  {"bar", ProgressMode::Bar},
                                                                  {"plain", ProgressMode::Plain},
                                                                  {"json", ProgressMode::Json},
                                                                  {"none", ProgressMode::None}};
  for (const auto &[text, mode] : kModes)
    if (text == name)
      return mode;
  return std::nullopt;
}

std::string keyValues(const NamedValues &values) {
  std::string text;
  for (const auto &[name, value] : values)
    text += fmt::format("{}{}={:.4f}", text.empty() ? "" : " ", name, value);
  return text;
}

std::string duration(double seconds) {
  const int64_t s = static_cast<int64_t>(std::max(seconds, 0.0) + 0.5);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

Progress::Progress(ProgressMode mode, std::FILE *out) : mode_(mode), out_(out) {
  if (mode_ == ProgressMode::Auto)
    mode_ = isTerminal(out) ? ProgressMode::Bar : ProgressMode::Plain;
}

Progress::~Progress() { clearLine(); }

void Progress::clearLine() {
  if (lineOpen_)
    say(out_, "\r\033[K");
  lineOpen_ = false;
}

bool Progress::wantsStep(double elapsedSeconds) const {
  switch (mode_) {
  case ProgressMode::Bar: return elapsedSeconds - shown_ >= kBarInterval;
  case ProgressMode::Plain:
  case ProgressMode::Json: return elapsedSeconds - shown_ >= kPlainInterval;
  default: return false;
  }
}

void Progress::step(const StepRecord &r) {
  shown_ = r.elapsed;
  if (mode_ == ProgressMode::Json) {
    say(out_, "{}\n", toJson(r));
  } else if (mode_ == ProgressMode::Plain) {
    say(out_,
        "epoch={}/{} batch={}/{} step={} loss={:.4f} {} learning_rate={:.4g} examples_per_second={:.0f}\n",
        r.epoch, r.epochs, r.batch, r.batches, r.step, r.loss, keyValues(r.average), r.learningRate,
        r.examplesPerSecond);
  } else if (mode_ == ProgressMode::Bar) {
    const double share = static_cast<double>(r.batch) / static_cast<double>(std::max<int64_t>(r.batches, 1));
    std::string text = fmt::format("epoch {}/{}  {}/{} {} {:3.0f}%  loss {:.4f}", r.epoch, r.epochs, r.batch,
                                   r.batches, bar(share), share * 100, r.loss);
    for (const auto &[name, value] : r.average)
      text +=
          fmt::format("  {} {:.4f}", name == "train_loss" ? "avg" : name.substr(name.find('_') + 1), value);
    text += fmt::format("  lr {:.4g}  {}/s  {:.2f} ms/step  eta {}  elapsed {}", r.learningRate,
                        perSecond(r.examplesPerSecond), r.secondsPerStep * 1e3, duration(r.eta),
                        duration(r.elapsed));
    clearLine();
    say(out_, "{}", cut(text, terminalColumns(out_) - 1));
    lineOpen_ = true;
  }
  std::fflush(out_);
}

void Progress::epoch(const EpochRecord &r) {
  if (mode_ == ProgressMode::Json) {
    say(out_, "{}\n", toJson(r));
  } else if (mode_ == ProgressMode::Plain) {
    say(out_, "epoch={}/{} step={} {} learning_rate={:.4g} seconds={:.2f} examples_per_second={:.0f}{}\n",
        r.epoch, r.epochs, r.step, keyValues(r.values), r.learningRate, r.seconds, r.examplesPerSecond,
        r.best ? " best" : "");
  } else if (mode_ == ProgressMode::Bar) {
    clearLine();
    std::string text = fmt::format("epoch {}/{} ", r.epoch, r.epochs);
    for (const auto &[name, value] : r.values)
      text += fmt::format(" {} {:.4f} ", name, value);
    say(out_, "{} lr {:.4g}  {:.1f} s  {}/s{}\n", text, r.learningRate, r.seconds,
        perSecond(r.examplesPerSecond),
        r.best            ? "  best"
        : r.badEpochs > 0 ? fmt::format("  bad {}", r.badEpochs)
                          : "");
  }
  std::fflush(out_);
}

void Progress::message(std::string_view text) {
  if (mode_ == ProgressMode::None)
    return;
  clearLine();
  if (mode_ == ProgressMode::Json)
    say(out_, "{}\n", eventJson("message", 0, std::string(text)));
  else
    say(out_, "{}\n", text);
  std::fflush(out_);
}

} // namespace gradc
