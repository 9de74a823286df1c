// Streams and events: work runs only when something waits for it, in an order that only streams and events fix.
#include <algorithm>

#include "tests/driver/device.h"

using namespace cudasim::test;

namespace {

constexpr uint32_t kCount = 200;
constexpr size_t kBytes = kCount * sizeof(float);

/// A buffer of zeros, pinned memory of nines, and two streams.
struct Two {
  CUcontext context = start();
  CUfunction add = kernel(loadSnippets(), "add");
  CUdeviceptr data = upload(std::vector<float>(kCount, 0));
  float *host = pinned(kCount);
  CUstream copies = stream(), computes = stream();

  Two() { std::fill_n(host, kCount, 9.0F); }
  void copy() { EXPECT_OK(DRIVER(cuMemcpyHtoDAsync_v2)(data, host, kBytes, copies)); }
  void compute() { EXPECT_OK(launchAdd(add, data, 1, kCount, computes)); }
  void order(CUstream first, CUstream second) {
    CUevent done = event();
    EXPECT_OK(DRIVER(cuEventRecord)(done, first));
    EXPECT_OK(DRIVER(cuStreamWaitEvent)(second, done, 0));
  }
  float result(CUstream last) {
    EXPECT_OK(DRIVER(cuStreamSynchronize)(last));
    return download(data, kCount)[kCount - 1];
  }
};

/// Whether the copy overtook the kernel that was asked for before it; nothing orders the two.
int copyOvertook() {
  setenv("CUDASIM_RACES", "0", 1);
  Two two;
  two.compute();
  two.copy();
  return two.result(two.computes) == 10;
}

std::vector<std::pair<std::string, std::string>> seed(int value) {
  return {{"CUDASIM_SEED", std::to_string(value)}};
}

} // namespace

DEVICE_TEST(Stream, NothingRunsBeforeItIsWaitedFor) {
  Two two;
  float *back = pinned(kCount);
  EXPECT_OK(DRIVER(cuMemcpyDtoHAsync_v2)(back, two.data, kBytes, two.computes));
  EXPECT_EQ(back[0], 0);
  two.copy();
  std::fill_n(two.host, kCount, 4.0F); // the copy reads pinned memory when it runs
  EXPECT_EQ(two.result(two.copies), 4);
}

DEVICE_TEST(Stream, EventOrdersTwoStreams) {
  Two two;
  two.copy();
  two.order(two.copies, two.computes);
  two.compute();
  EXPECT_EQ(two.result(two.computes), 10);
}

DEVICE_TEST(Stream, MissingEventShows, {"CUDASIM_RACES", "0"}) {
  Two two;
  two.copy();
  two.compute();
  EXPECT_EQ(two.result(two.computes), 1);
}

TEST(Stream, EventHoldsForAnySeed) {
  for (int value = 1; value <= 16; ++value) {
    EXPECT_EQ(inChild(seed(value),
                      [] {
                        Two two;
                        two.compute();
                        two.order(two.computes, two.copies);
                        two.copy();
                        two.order(two.copies, two.computes);
                        two.compute();
                        return int(two.result(two.computes));
                      }),
              10);
  }
}

TEST(Stream, SeedsLetWorkRunAhead) {
  EXPECT_EQ(inChild(seed(0), copyOvertook), 0);
  int overtook = 0;
  for (int value = 1; value <= 16; ++value) {
    int first = inChild(seed(value), copyOvertook);
    EXPECT_EQ(inChild(seed(value), copyOvertook), first) << "one seed, two orders";
    overtook += first;
  }
  EXPECT_GT(overtook, 0);
  EXPECT_LT(overtook, 16);
}

TEST(Stream, RacesAreReportedInAnyOrder) {
  for (int value = 0; value <= 8; ++value)
    for (auto unordered :
         {+[](Two &two) { two.compute(), two.copy(); }, +[](Two &two) { two.copy(), two.compute(); }}) {
      static void (*ask)(Two &);
      ask = unordered;
      EXPECT_EQ(inChild(seed(value),
                        [] {
                          Two two;
                          ask(two);
                          DRIVER(cuStreamSynchronize)(two.copies); // one of the two finds it
                          testing::internal::CaptureStderr();
                          bool found = DRIVER(cuStreamSynchronize)(two.computes) == CUDA_ERROR_LAUNCH_FAILED;
                          testing::internal::GetCapturedStderr();
                          return int(found);
                        }),
                1);
    }
}

DEVICE_TEST(Stream, RacesForPinnedMemoryAndOfCopiesAreReported) {
  testing::internal::CaptureStderr();
  Two two;
  two.copy();
  EXPECT_OK(DRIVER(cuStreamSynchronize)(two.copies));
  CUdeviceptr other = upload(std::vector<float>(kCount, 1));
  EXPECT_OK(
      DRIVER(cuMemcpyDtoHAsync_v2)(two.host, other, kBytes, two.computes)); // ordered: the host has waited
  EXPECT_OK(DRIVER(cuStreamSynchronize)(two.computes));
  EXPECT_OK(DRIVER(cuMemcpyDtoHAsync_v2)(two.host, other, kBytes, two.computes));
  two.copy(); // reads what the other stream writes
  EXPECT_OK(DRIVER(cuStreamSynchronize)(two.computes));
  EXPECT_EQ(DRIVER(cuStreamSynchronize)(two.copies), CUDA_ERROR_LAUNCH_FAILED);
  std::string report = testing::internal::GetCapturedStderr();
  EXPECT_NE(report.find("race between streams: nothing orders a copy of 800 bytes from the device to the "
                        "host and a copy of "
                        "800 bytes from the host to the device"),
            std::string::npos)
      << report;
}

DEVICE_TEST(Stream, WaitTakesTheEventAsItIs, {"CUDASIM_RACES", "0"}) {
  Two two;
  CUevent done = event();
  EXPECT_OK(DRIVER(cuStreamWaitEvent)(two.computes, done, 0)); // never recorded: no wait
  EXPECT_OK(DRIVER(cuEventRecord)(done, two.copies));
  EXPECT_OK(DRIVER(cuStreamWaitEvent)(two.computes, done, 0));
  two.copy();
  EXPECT_OK(DRIVER(cuEventRecord)(done, two.copies)); // does not move the wait
  two.compute();
  EXPECT_EQ(two.result(two.computes), 1);
}

DEVICE_TEST(Stream, LegacyStreamIsOrderedWithBlockingStreams, {"CUDASIM_RACES", "0"}) {
  Two two;
  CUstream blocking = stream(CU_STREAM_DEFAULT);
  EXPECT_OK(launchAdd(two.add, two.data, 1, kCount, blocking));
  EXPECT_OK(DRIVER(cuMemsetD32Async)(two.data, 0x40000000, kCount, nullptr)); // 2.0
  EXPECT_OK(launchAdd(two.add, two.data, 1, kCount, blocking));
  EXPECT_EQ(two.result(blocking), 3);
  EXPECT_OK(DRIVER(cuMemsetD32Async)(two.data, 0x40000000, kCount, nullptr));
  two.compute(); // a stream that does not block: before the memset
  EXPECT_OK(DRIVER(cuStreamSynchronize)(two.computes));
  EXPECT_EQ(two.result(nullptr), 2);
}

DEVICE_TEST(Stream, PageableSourceIsStagedAtTheCall) {
  Two two;
  std::vector<float> host(kCount, 3);
  EXPECT_OK(DRIVER(cuMemcpyHtoDAsync_v2)(two.data, host.data(), kBytes, two.copies));
  std::ranges::fill(host, 7.0F);
  EXPECT_EQ(two.result(two.copies), 3);
}

DEVICE_TEST(Stream, PageableDestinationIsWrittenBeforeTheCallReturns) {
  Two two;
  two.copy();
  std::vector<float> host(kCount);
  EXPECT_OK(DRIVER(cuMemcpyDtoHAsync_v2)(host.data(), two.data, kBytes, two.copies));
  EXPECT_EQ(host[0], 9);
}

DEVICE_TEST(Stream, QueriesEnd) {
  Two two;
  CUevent done = event();
  EXPECT_OK(DRIVER(cuEventQuery)(done));
  for (int k = 0; k < 3; ++k)
    two.compute();
  EXPECT_OK(DRIVER(cuEventRecord)(done, two.computes));
  EXPECT_EQ(DRIVER(cuStreamQuery)(two.computes), CUDA_ERROR_NOT_READY);
  int asked = 1;
  while (DRIVER(cuEventQuery)(done) == CUDA_ERROR_NOT_READY && asked < 100)
    ++asked;
  EXPECT_LT(asked, 10);
  EXPECT_OK(DRIVER(cuStreamQuery)(two.computes));
}

DEVICE_TEST(Stream, ElapsedTimeNeedsFinishedEventsWithTiming) {
  Two two;
  CUevent first = event(CU_EVENT_DEFAULT), last = event(CU_EVENT_DEFAULT), untimed = event();
  float time = -1;
  EXPECT_EQ(DRIVER(cuEventElapsedTime_v2)(&time, first, last), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(DRIVER(cuEventRecord)(first, two.computes));
  two.compute();
  EXPECT_OK(DRIVER(cuEventRecord)(last, two.computes));
  EXPECT_OK(DRIVER(cuEventRecord)(untimed, two.computes));
  EXPECT_EQ(DRIVER(cuEventElapsedTime_v2)(&time, first, last), CUDA_ERROR_NOT_READY);
  EXPECT_OK(DRIVER(cuEventSynchronize)(last));
  EXPECT_OK(DRIVER(cuEventElapsedTime_v2)(&time, first, last));
  EXPECT_GT(time, 0);
  EXPECT_EQ(DRIVER(cuEventElapsedTime_v2)(&time, first, untimed), CUDA_ERROR_INVALID_HANDLE);
}

DEVICE_TEST(Stream, HostFunctionsRunInOrderAndMustNotCallTheDriver) {
  Two two;
  static CUresult inside;
  inside = CUDA_SUCCESS;
  two.copy();
  EXPECT_OK(DRIVER(cuLaunchHostFunc)(
      two.copies,
      [](void *value) {
        inside = DRIVER(cuCtxSynchronize)();
        *static_cast<float *>(value) = 1;
      },
      two.host));
  EXPECT_OK(DRIVER(cuMemcpyHtoDAsync_v2)(two.data, two.host, sizeof(float), two.copies));
  EXPECT_EQ(two.result(two.copies), 9);
  EXPECT_EQ(download(two.data, 1)[0], 1);
  EXPECT_EQ(inside, CUDA_ERROR_NOT_PERMITTED);
}

DEVICE_TEST(Stream, DestroyedStreamFinishesItsWork) {
  Two two;
  two.copy();
  EXPECT_OK(DRIVER(cuStreamDestroy_v2)(two.copies));
  EXPECT_EQ(DRIVER(cuStreamDestroy_v2)(two.copies), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(DRIVER(cuStreamSynchronize)(two.copies), CUDA_ERROR_INVALID_HANDLE);
  EXPECT_OK(DRIVER(cuCtxSynchronize)());
  EXPECT_EQ(download(two.data, 1)[0], 9);
}
