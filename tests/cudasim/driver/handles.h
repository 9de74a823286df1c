// Handles that are never given out twice, so that the use of a destroyed object is always noticed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>

namespace cudasim {

struct Context;

/// What a handle stands for.
struct Object {
  Context *context = nullptr;
  uint64_t id = 0;

  template <typename Handle> Handle handle() const { return reinterpret_cast<Handle>(id); }
};

inline uint64_t nextHandle() {
  static uint64_t next = 0xC0DA000000000000; // no address of a process: using it as one faults
  return next += 0x10;
}

template <typename T> class HandleTable {
public:
  std::shared_ptr<T> add(std::shared_ptr<T> object) {
    object->id = nextHandle();
    objects_[object->id] = object;
    return object;
  }
  /// Null for what is no handle of this type, or none any more.
  template <typename Handle> std::shared_ptr<T> find(Handle handle) const {
    auto found = objects_.find(reinterpret_cast<uint64_t>(handle));
    return found == objects_.end() ? nullptr : found->second;
  }
  void remove(const T &object) { objects_.erase(object.id); }
  void removeAll(const Context &context) {
    std::erase_if(objects_, [&](const auto &entry) { return entry.second->context == &context; });
  }
  template <typename Visit> void each(Visit visit) const {
    for (const auto &[id, object] : objects_)
      visit(object);
  }

private:
  std::map<uint64_t, std::shared_ptr<T>> objects_;
};

} // namespace cudasim
