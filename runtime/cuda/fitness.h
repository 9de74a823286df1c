// Which code serves a device.
#pragma once

namespace gradc::cuda {

/// 0: this code does not run on a device of architecture `device`. A cubin does on the later minor versions of its major
/// version, PTX on all later architectures. Of several the greatest number is the best: a cubin before PTX, which the
/// driver must compile first, and later architectures before earlier ones.
constexpr int fitness(int architecture, bool isPtx, int device) {
  constexpr int kCubin = 1000;
  if (architecture > device)
    return 0;
  if (isPtx)
    return architecture;
  return architecture / 10 == device / 10 ? kCubin + architecture : 0;
}

static_assert(fitness(80, false, 89) > fitness(75, true, 89) && fitness(80, false, 90) == 0 &&
              fitness(80, false, 75) == 0 && fitness(90, true, 120) == 90);

} // namespace gradc::cuda
