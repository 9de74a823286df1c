// predict: the classes of single examples.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/commands/commands.h"
#include "support/json_value.h"
#include "support/npy.h"
#include "support/say.h"

namespace gradc {
namespace {

struct Prediction {
  std::string name;
  double probability = 0;
};

/// The examples of a file: one of the input's shape, or several along a first dimension. u8 pixels become / 255.
StatusOr<std::vector<float>> readExamples(const std::string &path, const gradc_port &input, int64_t &count) {
  if (!path.ends_with(".npy"))
    return ioFailure(fmt::format("{}: only .npy files can be predicted yet", path));
  StatusOr<NpyArray> array = readNpy(path);
  if (!array)
    return std::unexpected(array.error());
  std::vector<int64_t> shape(input.shape + 1, input.shape + input.rank);
  const int64_t each = std::max<int64_t>(checkedElements(shape), 1), elements = checkedElements(array->shape);
  count = elements / each;
  std::vector<int64_t> several = shape;
  several.insert(several.begin(), count);
  const auto squeezed = [](std::vector<int64_t> s) {
    std::erase(s, 1);
    return s;
  };
  if (elements % each != 0 || squeezed(several) != squeezed(array->shape))
    return ioFailure(fmt::format("{}: shape [{}], but input '{}' has [{}]", path,
                                 fmt::join(array->shape, ","), input.name, fmt::join(shape, ",")));
  std::vector<float> values(static_cast<size_t>(elements));
  if (array->dtype == DType::F32)
    std::memcpy(values.data(), array->bytes.data(), array->bytes.size());
  else if (array->dtype == DType::U8)
    std::ranges::transform(array->bytes, values.begin(),
                           [](char c) { return static_cast<float>(static_cast<unsigned char>(c)) / 255.0f; });
  else
    return ioFailure(fmt::format("{}: element type {}, expected f32 or u8", path, dtypeName(array->dtype)));
  return values;
}

/// The `top` classes by softmax, the most probable first.
std::vector<Prediction> rank(const float *logits, int64_t classes, const std::vector<std::string> &names,
                             int64_t top) {
  std::vector<Prediction> best;
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (int64_t i = 0; i < classes; ++i)
    sum += std::exp(logits[i] - largest);
  for (int64_t i = 0; i < classes; ++i) {
    const double probability = std::exp(logits[i] - largest) / sum;
    const auto place =
        std::ranges::upper_bound(best, probability, std::ranges::greater{}, &Prediction::probability);
    best.insert(place, {i < static_cast<int64_t>(names.size()) ? names[i] : std::to_string(i), probability});
    if (best.size() > static_cast<size_t>(top))
      best.pop_back();
  }
  return best;
}

void show(const std::string &file, const std::vector<Prediction> &predictions, bool json) {
  if (!json) {
    for (const Prediction &p : predictions)
      say("{}: {} {:.4f}\n", file, p.name, p.probability);
    return;
  }
  std::vector<std::string> list;
  for (const Prediction &p : predictions)
    list.push_back(JsonObject().add("class", p.name).add("probability", p.probability).text());
  say("{}\n", JsonObject().add("file", file).addText("predictions", jsonArray(list)).text());
}

} // namespace

Status predict(Host &host, const PredictFlags &flags) {
  host.programs().prefetch(ProgramKind::Infer, 1);
  StatusOr<VariableStore> variables = loadVariables(host, flags.weights, false);
  if (!variables)
    return variables.error();
  Runners runners(host.programs(), host.device(), *variables, host.facts().data.inputs);
  StatusOr<BatchRunner *> runner = runners.get(ProgramKind::Infer, 1);
  if (!runner)
    return runner.error();
  const gradc_program &program = (*runner)->program();
  if (program.num_args != 1 || program.num_results < 1 || program.args[0].dtype != 0 ||
      program.results[0].rank != 2)
    return {ExitCode::InvalidInput,
            fmt::format("predict needs a model with one f32 input and class scores [N, classes] "
                        "as output, but '{}' has not",
                        host.facts().name)};
  const gradc_port &input = program.args[0], &output = program.results[0];
  for (const std::string &file : flags.files) {
    int64_t count = 0;
    StatusOr<std::vector<float>> examples = readExamples(file, input, count);
    if (!examples)
      return examples.error();
    for (int64_t i = 0; i < count; ++i) {
      const size_t each = examples->size() / static_cast<size_t>(count);
      std::memcpy((*runner)->argument(input.name), examples->data() + static_cast<size_t>(i) * each,
                  each * sizeof(float));
      if (Status ran = (*runner)->run(); !ran.ok())
        return ran;
      show(count == 1 ? file : fmt::format("{}[{}]", file, i),
           rank(static_cast<const float *>((*runner)->result(output.name)), output.shape[1],
                host.facts().data.classNames, flags.top),
           flags.json);
    }
  }
  return okStatus();
}

} // namespace gradc
