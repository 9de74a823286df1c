#include "codegen/cuda/step_writer.h"

#include <algorithm>
#include <cctype>

#include "codegen/program_table.h"
#include "ir/text.h"
#include "support/tiling.h"

namespace gradc {
namespace {

constexpr int64_t kSharedAlignment = 16;
constexpr int64_t kMaxPrintedElements = 8; // of a literal in a comment

void addPlaces(const Location &loc, std::vector<std::string> &places) {
  if (loc.line != 0)
    if (std::string place = fmt::format("{}:{}", loc.file, loc.line);
        std::ranges::find(places, place) == places.end())
      places.push_back(std::move(place));
  for (const Location &part : loc.fused)
    addPlaces(part, places);
}

/// Whether the text has the name as a word, not as a member: threadIdx.x.
bool names(std::string_view text, std::string_view name) {
  auto isLetter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
  for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    const char before = at == 0 ? ' ' : text[at - 1];
    if (!isLetter(before) && before != '.' && (end == text.size() || !isLetter(text[end])))
      return true;
  }
  return false;
}

} // namespace

std::string cudaKernelComment(const CudaKernelContext &k) {
  std::vector<std::string> places;
  addPlaces(k.fn[k.kernel].loc, places);
  for (OpId op : k.body().ops)
    addPlaces(k.fn[op].loc, places);
  std::string text = "// " + stepName(k.fn, k.kernel);
  for (size_t i = 0; i < places.size() && i < 4; ++i)
    text += (i == 0 ? "  " : ", ") + places[i];
  text += places.size() > 4 ? ", …\n" : "\n";
  for (OpId op : k.body().ops)
    text += "//   " + printOp(k.fn, op, {.elideAbove = kMaxPrintedElements}) + "\n";
  return text;
}

CudaStepWriter::CudaStepWriter(const CudaKernelContext &k, std::string suffix, bool hasWorkspace,
                               bool hasPartials)
    : m(text, k.fn, k.region()), k_(k), symbol_(k.symbol + suffix) {
  for (std::string_view taken : {"block", "shared", "thread"})
    (void)text.name(taken);
  auto parameter = [&](std::string_view qualified, const std::string &name, int buffer) {
    parameters_.push_back({fmt::format("{} *", qualified), name});
    buffers_.push_back(buffer);
  };
  const RegionData &body = k.body();
  for (size_t i = 0; i < body.args.size(); ++i) {
    const std::string name = text.name(k.fn[k.fn[k.kernel].operands[i]].name);
    parameter(fmt::format("const {}", cudaMemoryType(k.fn.type(body.args[i]).dtype)), name,
              k.operandBuffer(static_cast<int>(i)));
    m.bindBuffer(body.args[i], name);
    operands.push_back(name);
  }
  for (size_t i = 0; i < body.yields.size(); ++i) {
    results.push_back(text.name(k.fn[k.fn[k.kernel].results[i]].name + "_out"));
    parameter(cudaMemoryType(k.fn.type(body.yields[i]).dtype), results.back(),
              k.resultBuffer(static_cast<int>(i)));
  }
  if (hasWorkspace) {
    workspace = text.name("workspace");
    parameter("unsigned char", workspace, k.workspaceBuffer());
  }
  if (hasPartials) {
    partials = text.name("partials");
    parameter("unsigned char", partials, k.partialBuffer());
  }
}

std::string CudaStepWriter::sharedArray(std::string_view base, DType dtype, int64_t elements) {
  const std::string name = text.name(base);
  text.line("{0} *{1} = ({0} *)(shared + {2});", cudaMemoryType(dtype), name, sharedBytes_);
  const int64_t bytes = elements * static_cast<int64_t>(dtypeSize(dtype));
  sharedBytes_ += ceilDiv(bytes, kSharedAlignment) * kSharedAlignment;
  return name;
}

void CudaStepWriter::storeAll(const std::vector<Store> &stores) {
  const std::vector<ValueId> &yields = k_.body().yields;
  std::vector<std::vector<std::string>> values; // by store, then lane
  for (const Store &store : stores) {
    std::vector<std::string> &lanes = values.emplace_back();
    for (m.math.lane = 0; m.math.lane < m.lanes; ++m.math.lane)
      lanes.push_back(m.emit(yields[static_cast<size_t>(store.result)], store.at));
    m.math.lane = 0;
  }
  for (size_t i = 0; i < stores.size(); ++i) {
    const auto result = static_cast<size_t>(stores[i].result);
    m.storeLanes(k_.fn.type(yields[result]), results[result], stores[i].at, values[i]);
  }
}

void CudaStepWriter::storeAll(const std::vector<int> &resultNumbers, const CudaIndices &at) {
  std::vector<Store> stores;
  for (int result : resultNumbers)
    stores.push_back({result, at});
  storeAll(stores);
}

CudaStep CudaStepWriter::finish(int64_t blocks, int threads) && {
  CudaStep step;
  std::string declared;
  for (size_t i = 0; i < parameters_.size(); ++i)
    if (names(text.text(), parameters_[i].name)) {
      declared += ", " + parameters_[i].type + parameters_[i].name;
      step.parameters.push_back(parameters_[i]);
      step.buffers.push_back(buffers_[i]);
    }
  step.symbol = symbol_;
  step.text =
      fmt::format("{}__device__ __forceinline__ void {}(int block, unsigned char *shared{}) {{\n{}}}\n",
                  cudaKernelComment(k_), symbol_, declared, text.text());
  step.blocks = blocks;
  step.threads = threads;
  step.sharedBytes = sharedBytes_;
  return step;
}

} // namespace gradc
