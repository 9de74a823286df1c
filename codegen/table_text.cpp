#include "codegen/table_text.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gradc {
namespace {

/// Symbols of a kernel's further steps have a dot.
std::string identifierOf(std::string symbol) {
  std::ranges::replace(symbol, '.', '_');
  return symbol;
}

std::string portRow(const gradc_port &port) {
  return fmt::format("{{{}, {}, {}, {}, {{{}}}, {}}}", cString(port.name), cString(port.layout), port.dtype,
                     port.rank, fmt::join(port.shape, port.shape + std::size(port.shape), ", "), port.bytes);
}

std::vector<std::string> portRows(const gradc_port *ports, int64_t count) {
  std::vector<std::string> rows;
  for (int64_t i = 0; i < count; ++i)
    rows.push_back(portRow(ports[i]));
  return rows;
}

std::string stepRow(const gradc_step &step, const std::string &kernel) {
  return fmt::format("{{{}, {}, {}, {}, {}, {}, {:a}, {:a}, {:a}}}", kernel, cString(step.name),
                     step.first_ref, step.num_refs, step.items, step.scratch_bytes, step.work, step.flops,
                     step.bytes);
}

std::string launchRow(const gradc_cuda_step &step) {
  const gradc_cuda_product &p = step.product;
  return fmt::format("{{{}, {}, {}, {}, {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}}}}",
                     step.kernel ? cString(step.kernel) : "0", step.blocks, step.threads, step.shared_bytes,
                     p.m, p.n, p.k, p.batch, p.stride_a, p.stride_b, p.stride_c, p.transpose_a, p.transpose_b,
                     p.factor_dtype, p.result_dtype, p.compute, p.epilogue);
}

} // namespace

std::string cString(std::string_view text) {
  std::string literal = "\"";
  size_t line = 0;
  for (char c : text) {
    if (++line % 2000 == 0) // C99 promises 4095 characters a literal
      literal += "\"\n  \"";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      literal += std::string("\\") + c;
    else if (byte < 32 || byte > 126 || c == '?')
      literal += fmt::format("\\{:03o}", byte);
    else
      literal += c;
  }
  return literal + "\"";
}

void TableText::declareKernels(const CompiledProgram &program) {
  for (int64_t i = 0; i < program.program().num_steps; ++i) {
    const std::string &symbol = program.symbol(i);
    if (declared_.insert(symbol).second)
      text_ +=
          fmt::format("extern void {}(const gradc_ctx *, void *const *, int64_t, int64_t) __asm__(\"{}\");\n",
                      identifierOf(symbol), symbol);
  }
}

/// Adds "static const gradc_port vars_x[] = {…};" and returns what stands for it in the program: its name, that of an
/// equal one which is there already (programs of several batch sizes have the same variables), or 0 where it is empty.
std::string TableText::array(std::string_view type, const std::string &name,
                             const std::vector<std::string> &rows) {
  if (rows.empty())
    return "0";
  const std::string content = fmt::format("{{\n  {},\n}}", fmt::join(rows, ",\n  "));
  const auto [known, isNew] = arrays_.emplace(std::string(type) + content, name);
  if (isNew)
    text_ += fmt::format("static const {} {}[] = {};\n", type, name, content);
  return known->second;
}

std::string TableText::table(const std::string &name, const gradc_program &program,
                             const std::vector<std::string> &kernels) {
  std::vector<std::string> steps, refs;
  int64_t lastRef = 0;
  for (int64_t i = 0; i < program.num_steps; ++i) {
    const gradc_step &step = program.steps[i];
    steps.push_back(stepRow(step, kernels[static_cast<size_t>(i)]));
    lastRef = std::max<int64_t>(lastRef, step.first_ref + step.num_refs);
  }
  for (int64_t i = 0; i < lastRef; ++i)
    refs.push_back(
        fmt::format("{{{}, {}, {}}}", program.refs[i].space, program.refs[i].index, program.refs[i].offset));
  const std::string fields[] = {
      cString(program.name),
      array("gradc_step", name + "_steps", steps),
      array("gradc_ref", name + "_refs", refs),
      array("gradc_port", name + "_vars", portRows(program.vars, program.num_vars)),
      array("gradc_port", name + "_args", portRows(program.args, program.num_args)),
      array("gradc_port", name + "_results", portRows(program.results, program.num_results)),
      "0"};
  return fmt::format("{{{}, {}, {}, {}, {}, {}, {}, 0}}", fmt::join(fields, ", "), program.num_steps,
                     program.num_vars, program.num_args, program.num_results, program.arena_bytes,
                     program.scratch_bytes);
}

void TableText::addProgram(const std::string &name, const CompiledProgram &compiled) {
  declareKernels(compiled);
  std::vector<std::string> kernels;
  for (int64_t i = 0; i < compiled.program().num_steps; ++i)
    kernels.push_back(identifierOf(compiled.symbol(i)));
  const std::string initializer = table(name, compiled.program(), kernels);
  text_ += fmt::format("static const gradc_program {} = {};\n\n", name, initializer);
}

void TableText::addProgram(const std::string &name, const gradc_cuda_program &program,
                           const std::vector<std::string> &images) {
  std::vector<std::string> launches;
  for (int64_t i = 0; i < program.table.num_steps; ++i)
    launches.push_back(launchRow(program.steps[i]));
  const std::string initializer = table(name, program.table, std::vector<std::string>(launches.size(), "0"));
  const std::string steps = array("gradc_cuda_step", name + "_launches", launches),
                    code = array("gradc_cuda_image", name + "_images", images);
  text_ += fmt::format("static const gradc_cuda_program {} = {{{}, {}, {}, {}}};\n\n", name, initializer,
                       steps, code, images.size());
}

} // namespace gradc
