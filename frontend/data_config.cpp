// "data" as plain values, checked against the network's inputs.
#include <algorithm>

#include "frontend/model_source.h"
#include "frontend/values.h"

namespace gradc {
namespace {

class DataReader {
public:
  DataReader(const JsonDocument &document, const Graph &graph, const Module &module, Diagnostics &diag)
      : document_(document), graph_(graph), module_(module), diag_(diag), data_(document.root.find("data")) {}

  DataConfig read();

private:
  template <class... Args> void fail(const Json &at, fmt::format_string<Args...> format, Args &&...args) {
    (void)diag_.error(document_.loc(at), format, std::forward<Args>(args)...);
  }
  DataSource source(const Json &json);
  void readInputs();
  void checkFeed(const Json &source);
  std::string fieldOf(const std::string &input) const;
  int64_t classesOf(size_t input) const;
  bool isUsed(const std::string &input) const;

  const JsonDocument &document_;
  const Graph &graph_;
  const Module &module_;
  Diagnostics &diag_;
  const Json *data_;
  DataConfig config_;
};

DataConfig DataReader::read() {
  readInputs();
  if (!data_)
    return std::move(config_);
  if (const Json *train = data_->find("train"))
    config_.train = source(*train);
  if (const Json *test = data_->find("test"))
    config_.test = source(*test);
  if (const Json *validation = data_->find("validation")) {
    if (const Json *split = validation->find("split")) {
      config_.validationSplit = split->number;
      if (split->number <= 0 || split->number >= 1)
        fail(*split, "'split' of validation expects a number between 0 and 1, neither of them, but got {}",
             split->text);
      if (!data_->find("train"))
        fail(*validation, "'split' takes a part of the training data, but data has no 'train'");
    } else {
      config_.validation = source(*validation);
    }
  }
  if (const Json *classes = data_->find("classes"))
    for (const Json &name : classes->items)
      config_.classNames.push_back(name.text);
  for (const char *part : {"train", "test"})
    if (const Json *json = data_->find(part))
      return checkFeed(*json), std::move(config_);
  return std::move(config_);
}

DataSource DataReader::source(const Json &json) {
  DataSource source;
  const std::string &type = json.find("type")->text;
  using Kind = DataSource::Kind;
  source.kind = type == "idx"   ? Kind::Idx
                : type == "npy" ? Kind::Npy
                : type == "npz" ? Kind::Npz
                                : Kind::Synthetic;
  for (const char *key : {"images", "labels", "file"})
    if (const Json *file = json.find(key))
      source.files[key] = file->text;
  if (const Json *fields = json.find("fields"))
    for (size_t i = 0; i < fields->items.size(); ++i) {
      static const KeySpec file{.name = "fields", .forms = {Form::File}};
      if (!matches(fields->items[i], Form::File, file))
        fail(fields->items[i], "'fields' expects {}, but got {}", expectation(file),
             describe(fields->items[i]));
      source.files[fields->keys[i].name] = fields->items[i].text;
    }
  if (const Json *examples = json.find("examples"))
    source.examples = *examples->integer();
  return source;
}

std::string DataReader::fieldOf(const std::string &input) const {
  const Json *feed = data_ ? data_->find("feed") : nullptr;
  const Json *field = feed ? feed->find(input) : nullptr;
  return field ? field->text : input;
}

/// How many classes an input's labels have: the logits that a loss or metric compares it with tell.
int64_t DataReader::classesOf(size_t input) const {
  const Function *eval = module_.function("eval");
  if (!eval || !isInteger(graph_.inputs[input].dtype))
    return 0;
  for (OpId id : eval->body().ops) {
    const OpData &op = (*eval)[id];
    if (op.def->name != "softmax_cross_entropy" && op.def->name != "accuracy")
      continue;
    ValueId labels = op.operands[1];
    if (OpId def = (*eval)[labels].def; def != kNoOp && (*eval)[def].def->name == "cast")
      labels = (*eval)[def].operands[0];
    if ((*eval)[labels].def == kNoOp && (*eval)[labels].name == graph_.inputs[input].name)
      return eval->type(op.operands[0]).shape[1];
  }
  return 0;
}

void DataReader::readInputs() {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) {
    const GraphInput &input = graph_.inputs[i];
    if (!input.hasBatch)
      continue;
    std::vector<int64_t> shape = sizes(*input.json->find("shape"), 1);
    shape.erase(shape.begin());
    config_.inputs.push_back({.name = input.name,
                              .shape = std::move(shape),
                              .dtype = std::string(dtypeName(input.dtype)),
                              .field = fieldOf(input.name),
                              .classes = classesOf(i)});
  }
}

bool DataReader::isUsed(const std::string &input) const {
  for (const char *name : {"loss", "eval", "infer"})
    if (const Function *fn = module_.function(name))
      for (ValueId arg : fn->body().args)
        if ((*fn)[arg].name == input)
          return true;
  return false;
}

/// Every input that is used must be fed by a field of the data, as far as the fields are known before it is read.
void DataReader::checkFeed(const Json &source) {
  if (const Json *feed = data_->find("feed"))
    for (const JsonKey &key : feed->keys) {
      std::vector<std::string_view> names;
      for (const GraphInput &input : graph_.inputs)
        names.push_back(input.name);
      if (!isFreeKey(key.name) && std::ranges::find(names, key.name) == names.end())
        (void)diag_.error(document_.loc(key.place), "'feed' names '{}', which is no input{}", key.name,
                          proposal(key.name, names));
    }
  std::vector<std::string> fields;
  const std::string &type = source.find("type")->text;
  if (type == "idx")
    fields = {"image", "label"};
  else if (type == "npy")
    for (const JsonKey &key : source.find("fields")->keys)
      fields.push_back(key.name);
  else
    return; // synthetic data has every field, an archive tells its own when it is read
  std::vector<std::string> inputs;
  for (const GraphInput &input : graph_.inputs)
    inputs.push_back(input.name);
  for (const GraphInput &input : graph_.inputs)
    if (std::ranges::find(fields, fieldOf(input.name)) == fields.end() && isUsed(input.name))
      fail(source,
           "nothing feeds the input '{}': the inputs are {}, the data's fields are {}; say which by \"feed\"",
           input.name, fmt::join(inputs, ", "), fmt::join(fields, ", "));
  for (const GraphInput &input : graph_.inputs)
    if (!input.hasBatch && isUsed(input.name))
      fail(*input.json->find("shape"), "input '{}' is fed by data, so its shape must begin with \"N\"",
           input.name);
}

} // namespace

DataConfig readDataConfig(const JsonDocument &document, const Graph &graph, const Module &module,
                          Diagnostics &diag) {
  return DataReader(document, graph, module, diag).read();
}

std::optional<Normalization> readNormalization(const JsonDocument &document, const Graph &graph,
                                               Diagnostics &diag) {
  const Json *data = document.root.find("data"), *json = data ? data->find("normalize") : nullptr;
  if (!json)
    return std::nullopt;
  const Json *named = json->find("input");
  std::vector<size_t> candidates;
  std::vector<std::string_view> names;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const GraphInput &input = graph.inputs[i];
    if (!input.hasBatch || !isFloat(input.dtype) || input.json->find("shape")->items.size() < 2)
      continue;
    names.push_back(input.name);
    if (!named || named->text == input.name)
      candidates.push_back(i);
  }
  if (candidates.size() != 1) {
    const Json &at = named ? *named : *json;
    (void)diag.error(document.loc(at), "'normalize' needs one float input [N, channels, …], but {}: {}{}",
                     named ? fmt::format("got '{}'", named->text)
                           : "there are several or none; say which by \"input\"",
                     fmt::join(names, ", "), named ? proposal(named->text, names) : "");
    return std::nullopt;
  }
  Normalization normalization{.input = candidates[0]};
  int64_t channels = *graph.inputs[candidates[0]].json->find("shape")->items[1].integer();
  for (auto [key, values] : {std::pair{"mean", &normalization.mean}, std::pair{"std", &normalization.std}}) {
    const Json &list = *json->find(key);
    for (const Json &item : list.items)
      values->push_back(static_cast<float>(item.number));
    if (values->size() == 1 || std::ssize(*values) == channels)
      continue;
    (void)diag.error(
        document.loc(list),
        "'{}' of normalize expects 1 or {} numbers, as many as the input '{}' has channels, but got {}", key,
        channels, graph.inputs[candidates[0]].name, values->size());
    return std::nullopt;
  }
  return normalization;
}

} // namespace gradc
