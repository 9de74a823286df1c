#include "api/module.h"

#include <mutex>

#include <fmt/format.h>

#include "api/values.h"
#include "driver/compiled_function.h"
#include "driver/values.h"
#include "ir/text.h"
#include "ir/verifier.h"

namespace gradc::api {

struct Function::Impl {
  std::unique_ptr<CompiledFunction> code;
  std::vector<Port> arguments, results;
  std::mutex mutex;
};

namespace {

/// A name after @ or %, in quotes where it needs them.
std::string quoted(std::string_view name) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.~";
  return name.find_first_not_of(kPlain) == std::string_view::npos ? std::string(name)
                                                                  : fmt::format("\"{}\"", name);
}

Expected<void> need(const ::gradc::Module &module, std::string_view function) {
  std::vector<std::string_view> names;
  for (const auto &fn : module.functions)
    names.emplace_back(fn->name);
  if (module.function(function))
    return {};
  return failed(fmt::format("there is no function @{}{}", function, proposal(function, names)));
}

std::vector<Port> argumentsOf(const ::gradc::Function &fn) {
  std::vector<Port> ports;
  for (ValueId arg : fn.body().args)
    ports.push_back(portOf(fn[arg].name, fn.type(arg)));
  return ports;
}

std::vector<Port> resultsOf(const ::gradc::Function &fn) {
  const std::vector<std::string> names = resultNames(fn);
  std::vector<Port> ports;
  for (size_t i = 0; i < names.size(); ++i)
    ports.push_back(portOf(names[i], fn.type(fn.body().yields[i])));
  return ports;
}

} // namespace

Module wrap(::gradc::Module module) {
  return Module(std::make_shared<const Module::Impl>(Module::Impl{std::move(module)}));
}

Expected<Module> Module::parse(std::string_view text, std::string name) {
  Diagnostics diagnostics;
  Result<::gradc::Module> module = parseModule(text, std::move(name), diagnostics);
  if (!module || !verify(*module, diagnostics))
    return failed(diagnostics);
  return wrap(std::move(*module));
}

std::string Module::text() const { return print(impl_->module); }

std::vector<std::string> Module::functions() const {
  std::vector<std::string> names;
  for (const auto &fn : impl_->module.functions)
    names.push_back(fn->name);
  return names;
}

Expected<Module> Module::differentiate(std::string_view function,
                                       const std::vector<std::string> &withRespectTo) const {
  if (Expected<void> there = need(impl_->module, function); !there)
    return std::unexpected(there.error());
  std::string values;
  for (const std::string &name : withRespectTo)
    values += fmt::format("{}{}{}", values.empty() ? "" : ", ", impl_->module.variable(name) ? '@' : '%',
                          quoted(name));
  return transform(fmt::format("autodiff{{of=@{}{}}}", quoted(function),
                               values.empty() ? "" : fmt::format(", wrt=[{}]", values)));
}

Expected<Module> Module::transform(std::string_view passes) const {
  Diagnostics diagnostics;
  ::gradc::Module module = impl_->module.clone();
  const Result<Pipeline> pipeline = parsePipeline(passes, diagnostics);
  PassManager manager({});
  if (!pipeline || !manager.run(module, *pipeline, diagnostics))
    return failed(diagnostics);
  return wrap(std::move(module));
}

Expected<Function> Module::compile(std::string_view function, const CompileOptions &options) const {
  if (Expected<void> there = need(impl_->module, function); !there)
    return std::unexpected(there.error());
  Diagnostics diagnostics;
  auto code = CompiledFunction::make(impl_->module, function, std::max(options.threads, 1), Precision::F32,
                                     diagnostics);
  if (!code)
    return code.error().text.empty() ? failed(diagnostics) : failed(code.error());
  const ::gradc::Function &fn = *impl_->module.function(function);
  auto impl = std::make_shared<Function::Impl>();
  impl->code = std::move(*code);
  impl->arguments = argumentsOf(fn);
  impl->results = resultsOf(fn);
  return Function(std::move(impl));
}

const std::vector<Port> &Function::arguments() const { return impl_->arguments; }
const std::vector<Port> &Function::results() const { return impl_->results; }

Expected<std::vector<Tensor>> Function::run(std::span<const Tensor> arguments) const {
  if (arguments.size() != impl_->arguments.size())
    return failed(
        fmt::format("{} arguments are needed, but got {}", impl_->arguments.size(), arguments.size()));
  std::vector<::gradc::Tensor> values;
  for (size_t i = 0; i < arguments.size(); ++i) {
    Expected<::gradc::Tensor> value = toTensor(arguments[i], impl_->arguments[i]);
    if (!value)
      return std::unexpected(value.error());
    values.push_back(std::move(*value));
  }
  const std::lock_guard lock(impl_->mutex);
  const StatusOr<std::vector<::gradc::Tensor>> results = impl_->code->run(values);
  if (!results)
    return failed(results.error());
  std::vector<Tensor> tensors;
  for (const ::gradc::Tensor &result : *results)
    tensors.push_back(fromTensor(result));
  return tensors;
}

} // namespace gradc::api
