// Damaged model files are refused with a message, or read into a module that the verifier accepts.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include <gtest/gtest.h>

#include "frontend/model.h"
#include "ir/verifier.h"

namespace gradc {
namespace {

std::vector<std::string> corpus() {
  std::vector<std::filesystem::path> paths;
  for (const char *folder : {"/examples", "/tests/lit/frontend", "/tests/lit/frontend/Inputs"})
    for (const auto &entry : std::filesystem::directory_iterator(std::string(GRADC_SOURCE_DIR) + folder))
      if (entry.path().extension() == ".json")
        paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<std::string> texts;
  for (const std::filesystem::path &path : paths) {
    std::ifstream file(path, std::ios::binary);
    texts.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return texts;
}

std::string damaged(std::string text, const std::vector<std::string> &others, std::mt19937 &random) {
  auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  constexpr std::string_view bytes = "{}[]\",:-0123456789.eEN$/*tfn\\ \n\xff";
  for (size_t edits = 1 + below(4); edits > 0; --edits) {
    size_t at = below(text.size() + 1), length = below(40);
    const std::string &other = others[below(others.size())];
    switch (below(5)) {
    case 0: text.insert(at, 1, bytes[below(bytes.size())]); break;
    case 1: text.erase(at, length); break;
    case 2: text.replace(at, 1, 1, bytes[below(bytes.size())]); break;
    case 3: text.insert(at, other.substr(below(other.size()), length)); break;
    default: text.insert(at, text.substr(below(text.size()), length));
    }
  }
  return text;
}

TEST(ModelFuzz, DamagedFilesNeverCrash) {
  const std::vector<std::string> texts = corpus();
  ASSERT_GT(texts.size(), 3u);
  std::mt19937 random(1);
  int read = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text = damaged(texts[random() % texts.size()], texts, random);
    Diagnostics diag;
    Result<LoadedModel> model = loadModel(text, "f.json", {}, diag);
    ASSERT_NE(model.has_value(), diag.hasErrors()) << text;
    if (!model)
      continue;
    ++read;
    Result<Module> module = model->instantiate(model->train.batchSize, diag);
    ASSERT_TRUE(module && verify(*module, diag)) << text << diag.render();
  }
  EXPECT_GT(read, 10);
}

} // namespace
} // namespace gradc
