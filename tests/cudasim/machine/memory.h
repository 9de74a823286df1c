// Device memory. Addresses are host addresses, so copies by the driver are plain memcpy between check() and markWritten().
#pragma once
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <string>

namespace cudasim {

struct FreeDeleter {
  void operator()(void *p) const { std::free(p); }
};
template <class T> using Zeroed = std::unique_ptr<T[], FreeDeleter>;
template <class T> Zeroed<T> zeroed(int64_t count) { // pages that nobody touches cost nothing
  return Zeroed<T>(static_cast<T *>(std::calloc(static_cast<size_t>(count > 0 ? count : 1), sizeof(T))));
}

// Who touched a cell of an allocation last: an interval (see Memory::nextInterval), a warp, a flag. 0: nobody.
struct Owners {
  Zeroed<uint32_t> writer, reader;
};

struct Allocation {
  uint64_t begin = 0;
  int64_t bytes = 0;
  bool freed = false, readOnly = false;
  uint64_t number = 0;               // in order of allocation, for messages
  std::string name;                  // of a module's variable
  Zeroed<unsigned char> storage;     // with red zones
  Zeroed<unsigned char> initialised; // a byte a byte
  Owners words, singles;             // by cells of 4 bytes and of 1 byte; made when first needed
  Owners sectors;                    // by the launch's first tag; made when first needed
  uint64_t end() const { return begin + static_cast<uint64_t>(bytes); }
  std::string describe(uint64_t address) const; // "12 bytes past the end of allocation 3 of 4000 bytes"
};

class Memory {
public:
  explicit Memory(int64_t capacity = INT64_MAX) : capacity(capacity) {}

  void *allocate(int64_t bytes, std::string name = {}); // 512-byte aligned, poisoned; null: out of memory
  bool free(void *);                                    // false: no such allocation, or freed already
  int64_t used() const { return inUse; }
  int64_t available() const { return capacity - inUse; }
  int64_t live() const { return liveCount; } // allocations not freed

  // The allocation that holds [address, address + bytes), or why there is none.
  std::expected<Allocation *, std::string> check(const void *address, int64_t bytes) const;
  Allocation *find(uint64_t address, uint64_t end) const; // null: check() says why
  void markWritten(const void *address, int64_t bytes);   // copies and memsets initialise
  bool initialised(const void *address, int64_t bytes) const;

  // An interval is what a block does between two barriers. Each has kTags tags that are greater than those of all intervals
  // before it: global_races.cpp says what they mean. A launch begins with beginLaunch(); there are enough for 2^25 intervals of it.
  static constexpr uint32_t kTags = 64;
  uint32_t beginLaunch();
  uint32_t nextInterval() { return nextTag += kTags; }
  bool intervalsLeft() const { return nextTag < UINT32_MAX - kTags; }
  uint32_t endOfTags() const { return nextTag + kTags; } // behind the last one that was given out

private:
  void releaseQuarantine();
  std::string why(uint64_t address, int64_t bytes) const;

  int64_t capacity, inUse = 0, liveCount = 0, quarantined = 0;
  uint64_t nextNumber = 0;
  uint32_t nextTag = 0;
  std::map<uint64_t, Allocation> allocations; // by address, freed ones too until the quarantine lets them go
  std::deque<uint64_t> quarantine;
};

} // namespace cudasim
