#include "runtime/signals.h"

#include <array>
#include <atomic>
#include <csignal>

#include <unistd.h>

namespace gradc {
namespace {

constexpr int kKilledByInterrupt = 128 + SIGINT;

// Signal handlers reach only what is global; lock-free atomics are safe in them.
std::atomic<int> interrupts{0};
std::atomic<bool> stopRequest{false}, checkpointRequest{false}, statusRequest{false};

void onSignal(int signal) {
  switch (signal) {
  case SIGINT:
    if (interrupts.fetch_add(1) > 0)
      _exit(kKilledByInterrupt);
    [[fallthrough]];
  case SIGTERM: stopRequest = true; break;
  case SIGHUP:
  case SIGUSR1: checkpointRequest = true; break;
  case SIGUSR2: statusRequest = true; break;
  case SIGPIPE:        // nobody reads what is written, or
  case SIGXFSZ: break; // a file beyond the size limit: the write fails and says so
  }
}

constexpr std::array<int, 7> kSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE, SIGXFSZ};

} // namespace

struct SignalScope::Saved {
  std::array<struct sigaction, kSignals.size()> actions;
};

SignalScope::SignalScope() : saved_(new Saved) {
  interrupts = 0;
  stopRequest = checkpointRequest = statusRequest = false;
  struct sigaction action {};
  action.sa_handler = onSignal;
  action.sa_flags = SA_RESTART;
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &saved_->actions[i]);
    // Under nohup SIGHUP is ignored and shall stay so.
    if (kSignals[i] != SIGHUP || saved_->actions[i].sa_handler != SIG_IGN)
      sigaction(kSignals[i], &action, nullptr);
  }
}

SignalScope::~SignalScope() {
  for (size_t i = 0; i < kSignals.size(); ++i)
    sigaction(kSignals[i], &saved_->actions[i], nullptr);
  delete saved_;
}

bool SignalScope::stopRequested() const { return stopRequest; }
bool SignalScope::takeCheckpointRequest() { return checkpointRequest.exchange(false); }
bool SignalScope::takeStatusRequest() { return statusRequest.exchange(false); }

} // namespace gradc
