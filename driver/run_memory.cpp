#include "driver/run_memory.h"

#include "codegen/storage.h"
#include "ir/layout.h"

namespace gradc {
namespace {

std::span<std::byte> bytes(const Buffer &buffer) {
  return {buffer.data(), static_cast<size_t>(buffer.size())};
}

} // namespace

Status RunMemory::fill(std::span<const Tensor> arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Type &type = fn_.type(fn_.body().args[i]);
    const Place place = argumentPlace(fn_, static_cast<int>(i));
    StatusOr<Buffer *> buffer = at(place, storageBytes(type));
    if (!buffer)
      return buffer.error();
    toStorage(arguments[i], type, bytes(**buffer));
    if (place.space == Place::Space::Arg)
      args_.push_back(*buffer);
  }
  for (int64_t i = 0; i < program_.num_vars; ++i) {
    StatusOr<Buffer *> buffer = at({Place::Space::Var, 0, program_.vars[i].name}, program_.vars[i].bytes);
    if (!buffer)
      return buffer.error();
    vars_.push_back(*buffer);
  }
  const std::vector<std::optional<Place>> places = placesOfValues(fn_);
  for (ValueId value : fn_.body().yields) {
    const Place &place = *places[index(value)];
    if (place.space != Place::Space::Result)
      continue;
    StatusOr<Buffer *> buffer = at(place, storageBytes(fn_.type(value)));
    if (!buffer)
      return buffer.error();
    results_.push_back(*buffer);
  }
  return okStatus();
}

std::vector<Tensor> RunMemory::tensors() const {
  const std::vector<std::optional<Place>> places = placesOfValues(fn_);
  std::vector<Tensor> tensors;
  for (ValueId value : fn_.body().yields)
    tensors.push_back(fromStorage(bytes(memory_.at(toString(*places[index(value)]))), fn_.type(value)));
  return tensors;
}

StatusOr<Buffer *> RunMemory::at(const Place &place, int64_t size) {
  auto [entry, isNew] = memory_.try_emplace(toString(place));
  if (isNew) {
    StatusOr<Buffer> buffer = Buffer::allocate(size);
    if (!buffer)
      return std::unexpected(buffer.error());
    entry->second = std::move(*buffer);
  }
  return &entry->second;
}

} // namespace gradc
