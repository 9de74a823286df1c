#include "driver/queue.h"

#include <algorithm>

namespace cudasim {
namespace {

const Point *blocker(const Queue &queue) {
  const std::vector<Point> &after = queue.front().after;
  auto found = std::ranges::find_if(after, [](const Point &point) { return !point.reached(); });
  return found == after.end() ? nullptr : &*found;
}

/// Work waits only for work that was there before it, so the search ends.
Queue &needed(const Point &target) {
  Queue *queue = target.queue.get();
  while (const Point *point = blocker(*queue))
    queue = point->queue.get();
  return *queue;
}

} // namespace

bool Point::reached() const { return !queue || queue->completed() >= position; }

void Clock::add(uint64_t queue, uint64_t position) {
  uint64_t &done = done_[queue];
  done = std::max(done, position);
}

void Clock::join(const Clock &other) {
  for (auto [queue, position] : other.done_)
    add(queue, position);
}

bool Clock::covers(const Clock &other) const {
  return std::ranges::all_of(other.done_, [&](const auto &entry) {
    auto found = done_.find(entry.first);
    return found != done_.end() && found->second >= entry.second;
  });
}

Queue::Queue() {
  static uint64_t queues = 0;
  number_ = ++queues;
}

void Queue::push(Work work) {
  clock_.join(work.clock);
  clock_.add(number_, enqueued() + 1);
  work.clock = clock_;
  pending_.push_back(std::move(work));
}

Work Queue::pop() {
  Work work = std::move(pending_.front());
  pending_.pop_front();
  ++completed_;
  return work;
}

void Queue::drop() {
  completed_ += pending_.size();
  pending_.clear();
}

Queue &Scheduler::next(const std::vector<std::shared_ptr<Queue>> &queues, const Point &target) {
  if (seed_ == 0)
    return needed(target);
  Queue *best = nullptr;
  for (const std::shared_ptr<Queue> &queue : queues) {
    if (queue->idle() || blocker(*queue))
      continue;
    if (queue->priority == 0 || random_() % 8 == 0)
      queue->priority = random_() | 1;
    if (!best || queue->priority > best->priority)
      best = queue.get();
  }
  return best ? *best : needed(target);
}

} // namespace cudasim
