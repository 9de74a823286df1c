// gradc diff: compares the arrays of two .npz files by name.
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "driver/command_line.h"
#include "driver/compile_flags.h"
#include "driver/values.h"
#include "support/say.h"

namespace gradc {
namespace {

struct DiffFlags {
  std::string left, right;
  Tolerance tolerance;
  std::optional<double> distance;
};

const NpyArray *find(const NpzArrays &arrays, std::string_view name) {
  for (const auto &[key, array] : arrays)
    if (key == name)
      return &array;
  return nullptr;
}

Tensor toTensor(const NpyArray &array) {
  Tensor tensor(Type{array.dtype, Shape(std::span(array.shape)), {}});
  std::memcpy(tensor.bytes().data(), array.bytes.data(), tensor.bytes().size());
  return tensor;
}

/// What is wrong with an array, by the measure that the flags name.
std::optional<std::string> difference(const Tensor &left, const Tensor &right, const DiffFlags &flags) {
  if (!flags.distance)
    return difference(left, right, flags.tolerance);
  const double distance = relativeDistance(right, left);
  if (distance <= *flags.distance)
    return std::nullopt;
  return fmt::format("relative distance {:.3g}", distance);
}

ExitCode runDiff(const DiffFlags &flags) {
  StatusOr<NpzArrays> left = readNpz(flags.left), right = readNpz(flags.right);
  if (!left)
    return fail(left.error());
  if (!right)
    return fail(right.error());
  ExitCode exit = ExitCode::Ok;
  auto report = [&](std::string_view name, std::string_view what) {
    say(stderr, "{}: {}\n", name, what);
    exit = ExitCode::Mismatch;
  };
  for (const auto &[name, array] : *left) {
    const NpyArray *other = find(*right, name);
    if (!other)
      report(name, fmt::format("not in {}", flags.right));
    else if (auto wrong = difference(toTensor(array), toTensor(*other), flags))
      report(name, *wrong);
  }
  for (const auto &[name, array] : *right)
    if (!find(*left, name))
      report(name, fmt::format("not in {}", flags.left));
  return exit;
}

} // namespace

Command diffCommand() {
  auto flags = std::make_shared<DiffFlags>();
  return {.name = "diff",
          .doc = "Compare the arrays of two .npz files; exit 4 where they differ",
          .options = {{.name = "left", .target = &flags->left, .doc = "A .npz file", .required = true},
                      {.name = "right", .target = &flags->right, .doc = "A .npz file", .required = true},
                      {.name = "--rtol",
                       .target = &flags->tolerance.relative,
                       .doc = "Relative tolerance; default: the same bits"},
                      {.name = "--atol", .target = &flags->tolerance.absolute, .doc = "Absolute tolerance"},
                      {.name = "--distance",
                       .target = &flags->distance,
                       .doc = "How far an array may be from the first as a whole (L2, relative)",
                       .excludes = {"--rtol", "--atol"}}},
          .run = [flags] { return runDiff(*flags); }};
}

} // namespace gradc
