// tune MODEL FOLDER: gradc as a library. Differentiates a function of its own, then trains the model on synthetic
// pictures until it is good enough, and classifies one.
#include <algorithm>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include <gradc/gradc.h>

using namespace gradc::api;

namespace {

int fail(const Error &error) {
  std::fprintf(stderr, "tune: %s\n", error.text.c_str());
  return error.code;
}

/// d/dx sum(x³) at 1, 2, 3.
Expected<std::vector<float>> slopes() {
  const Expected<Module> cubes = Module::parse("func @f(%x: f32[3]) -> f32[] {\n"
                                               "  %square = mul(%x, %x)\n"
                                               "  %cube = mul(%square, %x)\n"
                                               "  %sum = reduce_sum(%cube) {axes = [0]}\n"
                                               "  return %sum\n"
                                               "}\n");
  const Expected<Module> both = cubes ? cubes->differentiate("f", {"x"}) : cubes;
  if (!both)
    return std::unexpected(both.error());
  const Expected<Function> gradient = both->compile("f.grad");
  if (!gradient)
    return std::unexpected(gradient.error());
  const std::vector<float> at = {1, 2, 3};
  const Tensor x = Tensor::of<float>({3}, at);
  const Expected<std::vector<Tensor>> results = gradient->run({&x, 1}); // the sum, then its gradient
  if (!results)
    return std::unexpected(results.error());
  const std::span<const float> values = results->at(1).as<float>();
  return std::vector<float>(values.begin(), values.end());
}

/// Until the loss of an epoch is below `enough`.
Expected<Trained> train(const Model &model, const std::string &folder, double enough) {
  TrainOptions options;
  options.out = folder;
  options.onStep = [](const Step &step) {
    if (step.step % 20 == 0)
      std::printf("step %d of epoch %d: loss %.3f\n", static_cast<int>(step.step),
                  static_cast<int>(step.epoch), step.loss);
    return true;
  };
  options.onEpoch = [enough](const Epoch &epoch) { return epoch.values.front().second > enough; };
  return model.train(options);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: tune MODEL FOLDER\n");
    return 2;
  }
  const Expected<std::vector<float>> slope = slopes();
  if (!slope)
    return fail(slope.error());
  std::printf("slopes %g %g %g\n", slope->at(0), slope->at(1), slope->at(2));

  ModelOptions options;
  for (const char *part : {"train", "validation", "test"})
    options.set.push_back("/data/" + std::string(part) + "={\"type\": \"synthetic\", \"examples\": 640}");
  options.set.push_back("/train/epochs=20");
  const Expected<Model> model = Model::read(argv[1], options);
  if (!model)
    return fail(model.error());
  const std::string folder = argv[2];
  const Expected<Trained> trained = train(*model, folder, 1.0);
  if (!trained)
    return fail(trained.error());
  std::printf("%s after %d epochs\n", trained->stopped ? "stopped" : "done",
              static_cast<int>(trained->epochs));

  const Expected<Predictor> predictor = model->predictor(folder + "/best.safetensors");
  if (!predictor)
    return fail(predictor.error());
  const std::vector<float> pixels(784, 0.5f);
  const Tensor picture = Tensor::of<float>({1, 1, 28, 28}, pixels);
  const Expected<std::vector<Tensor>> scores = predictor->run({&picture, 1});
  if (!scores)
    return fail(scores.error());
  const std::span<const float> logits = scores->front().as<float>();
  std::printf("class %d\n", static_cast<int>(std::ranges::max_element(logits) - logits.begin()));
  return 0;
}
