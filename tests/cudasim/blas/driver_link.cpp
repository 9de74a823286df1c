#include "blas/driver_link.h"

#include <dlfcn.h>

#include <list>
#include <mutex>

#include <fmt/format.h>

namespace cudasim {
namespace {

template <typename Function> bool look(void *library, const char *name, Function &function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

const DriverLink *find() {
  void *library = dlopen("libcuda.so.1", RTLD_NOW);
  static DriverLink link;
  bool complete = library && look(library, "cuDriverGetVersion", link.driverGetVersion) &&
                  look(library, "cuCtxGetCurrent", link.ctxGetCurrent) &&
                  look(library, "cuDeviceGetAttribute", link.deviceGetAttribute) &&
                  look(library, "cuLaunchHostFunc", link.launchHostFunc) &&
                  look(library, "cuStreamIsCapturing", link.streamIsCapturing) &&
                  look(library, "cudasimCheckRange", link.checkRange) &&
                  look(library, "cudasimFault", link.fault) && look(library, "cudasimLog", link.log) &&
                  look(library, "cudasimFails", link.fails);
  return complete ? &link : nullptr;
}

struct Queued {
  std::function<void()> work;
  bool once = true;
};

/// Work that was captured may run as often as the graph is launched, so it is kept.
void keep(Queued *queued) {
  static std::mutex mutex;
  static auto *kept = new std::list<Queued *>;
  std::scoped_lock lock(mutex);
  kept->push_back(queued);
}

void run(void *userData) {
  auto *queued = static_cast<Queued *>(userData);
  queued->work();
  if (queued->once)
    delete queued;
}

} // namespace

const DriverLink *DriverLink::get() {
  static const DriverLink *link = find();
  return link;
}

bool queueWork(const DriverLink &driver, CUstream stream, std::function<void()> work) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  if (driver.streamIsCapturing(stream, &status) != CUDA_SUCCESS)
    return false;
  auto *queued = new Queued{std::move(work), status == CU_STREAM_CAPTURE_STATUS_NONE};
  bool accepted = driver.launchHostFunc(stream, run, queued) == CUDA_SUCCESS;
  if (accepted && !queued->once)
    keep(queued);
  if (!accepted)
    delete queued;
  return accepted;
}

bool deviceHasTf32(const DriverLink &driver) {
  int major = 0;
  return driver.deviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0) == CUDA_SUCCESS &&
         major >= 8;
}

bool ready(const DriverLink *driver) {
  constexpr int kOldestDriver = 13000;
  int version = 0;
  CUcontext context = nullptr;
  return driver && driver->driverGetVersion(&version) == CUDA_SUCCESS && version >= kOldestDriver &&
         driver->ctxGetCurrent(&context) == CUDA_SUCCESS && context;
}

void logRefusal(const DriverLink &driver, std::string_view call, std::string_view why) {
  driver.log("refused", fmt::format(R"("call": "{}", "why": "{}")", call, why).c_str());
}

} // namespace cudasim
