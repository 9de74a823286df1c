#include "codegen/cuda/program.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <future>
#include <map>
#include <optional>

#include <fmt/format.h>
#include <xxhash.h>

#include "codegen/constants.h"
#include "codegen/cuda/module.h"
#include "codegen/program_table.h"
#include "ir/plan.h"
#include "support/files.h"
#include "support/hash.h"

namespace gradc {
namespace {

static_assert(offsetof(gradc_cuda_program, table) == 0);

constexpr int64_t kArenaAlignment = 256;

/// Where the workspace of launches begins in the arena.
int64_t workspaceOffset(const Function &fn) {
  const Attr *bytes = fn.attrs.find(kArenaAttr);
  const int64_t arena = bytes ? *bytes->as<int64_t>() : 0;
  return (arena + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment;
}

class CudaProgram final : public CompiledProgram {
public:
  const gradc_program &program() const override { return program_.table; }
  const std::string &symbol(int64_t step) const override { return symbols_[static_cast<size_t>(step)]; }
  std::vector<Object> objects() const override { return {}; }

  Status build(const Module &module, const Function &fn, const CudaCompileOptions &options);

private:
  Status makeImages(const std::vector<std::string> &texts, const CudaCompileOptions &options);
  /// Of all parts at the same time.
  Status addImages(const std::vector<std::string> &texts, gradc_cuda_image image,
                   const CudaCompileOptions &options);
  void addLaunch(const CudaLaunch &launch, const std::map<OpId, std::vector<gradc_ref>> &buffers);

  std::optional<ProgramTable> table_;
  std::vector<std::string> symbols_;
  std::vector<gradc_cuda_step> steps_;
  std::deque<std::string> codes_; // of the images
  std::vector<gradc_cuda_image> images_;
  gradc_cuda_program program_{};
};

/// A device that knows no cubin looks for its PTX here.
Status writePtx(const std::string &folder, const std::string &text, int architecture,
                const std::string &cubin, const ObjectCache *cache) {
  const std::string path =
      fmt::format("{}/{}.ptx", folder, hex(uint64_t{XXH64(cubin.data(), cubin.size(), 0)}));
  std::error_code error;
  if (std::filesystem::exists(path, error))
    return okStatus();
  StatusOr<std::string> ptx = compileCudaText(text, architecture, CudaCodeForm::Ptx, cache);
  return ptx ? writeFileAtomically(path, *ptx) : ptx.error();
}

/// A cubin; PTX where NVRTC does not know the target, or where it is asked for, too.
Status CudaProgram::makeImages(const std::vector<std::string> &texts, const CudaCompileOptions &options) {
  StatusOr<const Nvrtc *> nvrtc = Nvrtc::load();
  if (!nvrtc)
    return nvrtc.error();
  const int wanted = options.target.architecture, known = (*nvrtc)->newestUpTo(wanted);
  if (known == 0)
    return (*nvrtc)->check(wanted);
  const bool isKnown = known == wanted;
  gradc_cuda_image image{.architecture = known, .is_ptx = !isKnown, .toolkit = (*nvrtc)->number()};
  Status added = addImages(texts, image, options);
  for (size_t part = 0; part < texts.size() && added.ok() && isKnown && !options.ptxFolder.empty(); ++part)
    added = writePtx(options.ptxFolder, texts[part], known, codes_[part], options.cache);
  if (added.ok() && isKnown && options.withPtx) {
    image.is_ptx = true;
    added = addImages(texts, image, options);
  }
  program_.images = images_.data();
  program_.num_images = static_cast<int64_t>(images_.size());
  return added;
}

Status CudaProgram::addImages(const std::vector<std::string> &texts, gradc_cuda_image image,
                              const CudaCompileOptions &options) {
  const CudaCodeForm form = image.is_ptx ? CudaCodeForm::Ptx : CudaCodeForm::Cubin;
  auto compile = [&, architecture = image.architecture](const std::string &text) {
    return compileCudaText(text, architecture, form, options.cache);
  };
  std::vector<std::future<StatusOr<std::string>>> others;
  for (size_t part = 1; part < texts.size(); ++part)
    others.push_back(std::async(compile, std::cref(texts[part]))); // where there is no thread, later
  Status status;
  for (size_t part = 0; part < texts.size(); ++part) {
    StatusOr<std::string> code = part == 0 ? compile(texts[0]) : others[part - 1].get();
    if (!code && status.ok())
      status = code.error();
    if (!code)
      continue;
    const std::string &kept = codes_.emplace_back(*std::move(code));
    image.data = kept.c_str();
    image.bytes =
        static_cast<int64_t>(kept.size()) + (image.is_ptx ? 1 : 0); // the driver reads PTX to its end
    image.part = static_cast<int32_t>(part);
    images_.push_back(image);
  }
  return status;
}

void CudaProgram::addLaunch(const CudaLaunch &launch, const std::map<OpId, std::vector<gradc_ref>> &buffers) {
  std::vector<gradc_ref> refs;
  for (const auto &[op, buffer] : launch.parameters)
    refs.push_back(buffers.at(op)[static_cast<size_t>(buffer)]);
  const ProgramTable::Refs range = table_->addRefs(refs);
  table_->addStep({.kernel = nullptr,
                   .name = table_->keep(launch.name),
                   .first_ref = range.first,
                   .num_refs = range.count,
                   .items = launch.blocks,
                   .scratch_bytes = 0,
                   .work = 0,
                   .flops = launch.flops,
                   .bytes = launch.bytes});
  steps_.push_back({.kernel = launch.function.empty() ? nullptr : table_->keep(launch.function),
                    .blocks = static_cast<uint32_t>(launch.blocks),
                    .threads = static_cast<uint32_t>(launch.threads),
                    .shared_bytes = static_cast<uint32_t>(launch.sharedBytes),
                    .product = launch.product,
                    .part = launch.part});
  symbols_.push_back(launch.function);
}

Status CudaProgram::build(const Module &module, const Function &fn, const CudaCompileOptions &options) {
  const CudaModule code = emitCudaModule(fn, options.target, options.parts);
  table_.emplace(module, fn);
  const std::map<OpId, int64_t> workspaces(code.workspaces.begin(), code.workspaces.end()),
      partials(code.partials.begin(), code.partials.end());
  auto offsetOf = [&](const std::map<OpId, int64_t> &places, OpId op) {
    const auto own = places.find(op);
    return workspaceOffset(fn) + (own == places.end() ? 0 : own->second);
  };
  std::map<OpId, std::vector<gradc_ref>> buffers;
  for (OpId op : fn.body().ops)
    if (takesStep(fn, op)) {
      buffers[op] = table_->buffersOf(op, offsetOf(workspaces, op));
      buffers[op].push_back({GRADC_SPACE_ARENA, 0, offsetOf(partials, op)});
    }
  for (const CudaLaunch &launch : code.launches)
    addLaunch(launch, buffers);
  table_->finish(workspaceOffset(fn) + code.workspaceBytes, 0);
  if (!code.texts.empty())
    if (Status made = makeImages(code.texts, options); !made.ok())
      return made;
  program_.table = table_->program();
  program_.steps = steps_.data();
  return okStatus();
}

} // namespace

StatusOr<std::unique_ptr<CompiledProgram>> compileCudaProgram(const Module &module, const Function &fn,
                                                              const CudaCompileOptions &options) {
  auto program = std::make_unique<CudaProgram>();
  const std::optional<Function> whole = withConstants(module, fn);
  if (Status built = program->build(module, whole ? *whole : fn, options); !built.ok())
    return std::unexpected(built);
  return program;
}

std::string emitCudaText(const Module &module, const Function &fn, const CudaTarget &target) {
  const CudaModule made = emitCudaModule(module, fn, target);
  return made.texts.empty() ? "" : made.texts[0];
}

StatusOr<std::string> compileCudaText(const std::string &text, int architecture, CudaCodeForm form,
                                      const ObjectCache *cache) {
  StatusOr<const Nvrtc *> nvrtc = Nvrtc::load();
  if (!nvrtc)
    return std::unexpected(nvrtc.error());
  if (Status can = (*nvrtc)->check(architecture); !can.ok())
    return std::unexpected(can);
  std::string key = fmt::format("nvrtc {}", (*nvrtc)->version());
  for (const std::string &option : (*nvrtc)->options(architecture, form))
    key += " " + option;
  key += "\n" + text;
  if (std::optional<KernelObject> known = cache ? cache->load(key) : std::nullopt)
    return std::move(known->bytes);
  StatusOr<CudaCode> code = (*nvrtc)->compile(text, "gradc.cu", architecture, form);
  if (!code)
    return std::unexpected(code.error());
  if (cache) {
    cache->store(key, {.bytes = code->bytes, .code = {}});
    cache->trim();
  }
  return std::move(code->bytes);
}

} // namespace gradc
