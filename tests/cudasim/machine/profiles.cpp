// The devices that can be played. Figures from NVIDIA's data sheets and the CUDA programming guide's table of technical
// specifications per compute capability; ptx: what the newest driver known to this NVRTC takes.
#include "machine/machine.h"

namespace cudasim {
namespace {

constexpr int64_t kKiB = 1024, kGiB = kKiB * kKiB * kKiB;

constexpr DeviceProfile kProfiles[] = {
    {"sm_75", "Simulated T4", 7, 5, 40, 48 * kKiB, 64 * kKiB, 64 * kKiB, 16 * kGiB, 1024, 1024, 16, 65536, 9,
     0, 4096 * kKiB, 1590000, 5001000, 256},
    {"sm_80", "Simulated A100", 8, 0, 108, 48 * kKiB, 163 * kKiB, 164 * kKiB, 40 * kGiB, 1024, 2048, 32,
     65536, 9, 0, 40960 * kKiB, 1410000, 1215000, 5120},
    {"sm_86", "Simulated RTX 3090", 8, 6, 82, 48 * kKiB, 99 * kKiB, 100 * kKiB, 24 * kGiB, 1024, 1536, 16,
     65536, 9, 0, 6144 * kKiB, 1695000, 9751000, 384},
    {"sm_89", "Simulated RTX 4090", 8, 9, 128, 48 * kKiB, 99 * kKiB, 100 * kKiB, 24 * kGiB, 1024, 1536, 24,
     65536, 9, 0, 73728 * kKiB, 2520000, 10501000, 384},
    {"sm_90", "Simulated H100", 9, 0, 132, 48 * kKiB, 227 * kKiB, 228 * kKiB, 80 * kGiB, 1024, 2048, 32,
     65536, 9, 0, 51200 * kKiB, 1980000, 2619000, 5120},
    {"sm_100", "Simulated B200", 10, 0, 148, 48 * kKiB, 227 * kKiB, 228 * kKiB, 180 * kGiB, 1024, 2048, 32,
     65536, 9, 0, 129024 * kKiB, 1965000, 3996000, 8192},
    {"sm_120", "Simulated RTX 5090", 12, 0, 170, 48 * kKiB, 99 * kKiB, 100 * kKiB, 32 * kGiB, 1024, 1536, 24,
     65536, 9, 0, 98304 * kKiB, 2407000, 14001000, 512},
};

} // namespace

const DeviceProfile *findProfile(std::string_view name) {
  for (const DeviceProfile &profile : kProfiles)
    if (profile.name == name)
      return &profile;
  return nullptr;
}

} // namespace cudasim
