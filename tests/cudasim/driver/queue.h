// Streams as queues of work that has not run yet, and the order in which it runs.
//
// Nothing runs when it is asked for. A synchronisation point runs what it must wait for, in an order that only the
// streams and the events between them restrict; so work that a missing event leaves unordered really runs out of
// order. Seed 0 runs no more than the synchronisation point needs. Other seeds prefer streams at random and change
// their mind now and then, which also lets streams run ahead (the priorities of "A Randomized Scheduler with
// Probabilistic Guarantees of Finding Bugs", Burckhardt et al., 2010).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include "driver/operations.h"

namespace cudasim {

class Queue;

/// What comes before something, and that itself: so many operations of each queue.
class Clock {
public:
  void join(const Clock &other);
  void add(uint64_t queue, uint64_t position);
  /// Whether all work of the other comes before this, or is this.
  bool covers(const Clock &other) const;

private:
  std::map<uint64_t, uint64_t> done_; // number of the queue: operations
};

/// The end of some work of a queue: reached when the first `position` operations of the queue have run.
struct Point {
  std::shared_ptr<Queue> queue;
  uint64_t position = 0;
  Clock clock;
  bool reached() const;
};

struct Work {
  Operation operation;
  std::vector<Point> after; // besides what stands before it in its own queue
  Clock clock;              // what comes before it, and itself
};

class Queue {
public:
  Queue();
  /// The work comes after all that is in the queue, besides what its clock says already.
  void push(Work work);
  Work pop();
  /// Forgets what has not run: the context is broken.
  void drop();
  bool idle() const { return pending_.empty(); }
  const Work &front() const { return pending_.front(); }
  uint64_t completed() const { return completed_; }
  uint64_t enqueued() const { return completed_ + pending_.size(); }
  const Clock &clock() const { return clock_; } // of the last that was asked for

  bool blocking = true;  // ordered with the legacy stream
  uint64_t priority = 0; // the scheduler's

private:
  std::deque<Work> pending_;
  uint64_t completed_ = 0;
  uint64_t number_; // never given twice
  Clock clock_;
};

/// The end of what was asked for until now.
inline Point endOf(const std::shared_ptr<Queue> &queue) { return {queue, queue->enqueued(), queue->clock()}; }

/// Chooses which queue runs next.
class Scheduler {
public:
  explicit Scheduler(uint64_t seed) : seed_(seed), random_(seed) {}

  /// The queue whose first operation should run next on the way to `target`, which is not reached yet.
  Queue &next(const std::vector<std::shared_ptr<Queue>> &queues, const Point &target);
  /// One of the nodes of a graph that may run; `ready` is not empty. Seed 0 takes the last, as a graph that lacks an
  /// edge was most likely written in the right order.
  size_t choose(size_t ready) { return seed_ == 0 ? ready - 1 : random_() % ready; }
  uint64_t seed() const { return seed_; }

private:
  uint64_t seed_;
  std::mt19937_64 random_; // the standard fixes its values
};

} // namespace cudasim
