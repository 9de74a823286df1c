// learn: trains a small network inside a program, on pictures that the program makes, with threads of its own.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "mlp.h"

namespace {

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};
using Block = std::unique_ptr<void, Free>;

Block block(std::size_t bytes) { return Block(std::aligned_alloc(MLP_ALIGN, (bytes + 63) / 64 * 64)); }

/// A thread for each part: simple, and slow; a program has its own pool.
void runOnThreads(void *, std::size_t count, void (*body)(void *, std::size_t), void *context) {
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < count; ++i)
    threads.emplace_back(body, context, i);
  body(context, 0);
  for (std::thread &thread : threads)
    thread.join();
}

/// Pictures of class c are bright in row 2 c + 4.
void makeBatch(std::mt19937 &random, std::vector<float> &images, std::vector<std::int32_t> &labels) {
  std::uniform_real_distribution<float> noise(0.0f, 0.6f);
  for (float &pixel : images)
    pixel = noise(random);
  for (std::size_t n = 0; n < labels.size(); ++n) {
    labels[n] = static_cast<std::int32_t>(random() % 10);
    for (std::size_t x = 0; x < 28; ++x)
      images[n * 784 + (2 * static_cast<std::size_t>(labels[n]) + 4) * 28 + x] = 1.0f;
  }
}

} // namespace

int main() {
  const std::size_t scratch = 2 * MLP_THREAD_WORKSPACE, size = MLP_TRAIN_WORKSPACE + scratch;
  const Block params = block(MLP_PARAM_BYTES), state = block(MLP_STATE_BYTES), workspace = block(size);
  const gradc_parallel parallel = {nullptr, 2, runOnThreads};
  std::vector<float> images(MLP_TRAIN_BATCH * 784);
  std::vector<std::int32_t> labels(MLP_TRAIN_BATCH);
  std::mt19937 random(1);
  mlp_hyper hyper = MLP_HYPER;
  mlp_metrics metrics = {};
  gradc_status status = mlp_check_cpu();
  if (status == GRADC_OK)
    status = mlp_init_params(params.get(), MLP_PARAM_BYTES, state.get(), MLP_STATE_BYTES, hyper.seed);
  for (; status == GRADC_OK && hyper.step < 100; ++hyper.step) {
    makeBatch(random, images, labels);
    status = mlp_train_step(MLP_TRAIN_BATCH, images.data(), labels.data(), params.get(), state.get(), &hyper,
                            &metrics, workspace.get(), size, &parallel);
  }
  if (status != GRADC_OK) {
    std::fprintf(stderr, "learn: %s\n", mlp_status_text(status));
    return 1;
  }
  std::printf("after 100 steps: loss %.4f, accuracy %.3f\n", metrics.loss, metrics.accuracy);
  return metrics.accuracy > 0.9f ? 0 : 1;
}
