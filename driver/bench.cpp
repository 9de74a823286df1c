// gradc bench: times of compiling, of a training step and of inference, per kernel, on made-up inputs.
#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "driver/bench_measure.h"
#include "driver/command_line.h"
#include "driver/cuda_report.h"
#include "driver/peaks.h"
#include "driver/session.h"
#include "runtime/device_name.h"
#include "support/say.h"

namespace gradc {
namespace {

struct BenchFlags {
  SessionFlags session;
  double seconds = 1; // of measuring, a program
  bool json = false, train = true, infer = true, modelOnly = false;
  std::string arch;
};

/// A step of a program beside what the machine would need for it.
struct Judged {
  const StepTime &time;
  Bound bound;
  double share() const { return time.fastest > 0 ? bound.milliseconds / time.fastest : 0; }
};

/// What keeps a step from being faster, given the bytes of the whole program.
using Limits = std::function<Bound(const StepTime &step, double program)>;

/// A kernel's bytes come from where the whole program fits, unless its own do not fit there. One that is faster than
/// that found them nearer, where the kernel before had left them.
Bound boundOf(const StepTime &s, double program, const Peaks &peaks, const CpuTarget &target) {
  const double inCore = static_cast<double>(target.l2Bytes * peaks.threads);
  const Bound far =
      boundOf(peaks, target, s.flops, s.bytes, std::max(s.bytes, std::min(program, inCore + 1)));
  return far.milliseconds > s.fastest ? boundOf(peaks, target, s.flops, s.bytes, s.bytes) : far;
}

/// By the data sheet of the device's card.
Bound boundOf(const StepTime &s, const CudaTarget &target) {
  const double compute = s.flops / target.f32Flops * 1e3, memory = s.bytes / target.memoryBytes * 1e3;
  return compute > memory ? Bound{"compute", compute} : Bound{"memory", memory};
}

/// A kernel's last step has its flops and bytes; those before it make ready what that one reads.
bool isPacking(const StepTime &s) { return s.flops == 0 && s.bytes == 0; }

std::vector<Judged> judge(const Measured &m, const Limits &limits) {
  double program = 0;
  for (const StepTime &s : m.kernels)
    program += s.bytes;
  std::vector<Judged> judged;
  for (const StepTime &s : m.kernels)
    judged.push_back({s, isPacking(s) ? Bound{"packing", 0} : limits(s, program)});
  return judged;
}

void printPeaks(const Peaks &peaks) {
  say("peaks of {} thread{}: {:.0f} GFLOP/s;", peaks.threads, peaks.threads == 1 ? "" : "s", peaks.gflops);
  for (const Bandwidth &b : peaks.bandwidths)
    say(" {:.0f} GB/s of {:.1f} MiB copied,", b.copy, static_cast<double>(b.bytes) / (1 << 20));
  say(" fork and join {:.2f} us\n", peaks.forkJoinUs);
}

void printTable(const char *title, const Measured &m, const Limits &limits) {
  say("{}: {}\n", title, m.text());
  const double total = std::accumulate(m.kernels.begin(), m.kernels.end(), 0.0,
                                       [](double sum, const StepTime &s) { return sum + s.milliseconds; });
  say("  {:>9}  {:>6}  {:>8}  {:>7}  {:>7}  {:<8}  kernel\n", "ms", "share", "GFLOP/s", "GB/s", "of peak",
      "bound by");
  for (const Judged &j : judge(m, limits)) {
    const StepTime &s = j.time;
    const auto rate = [&](double amount) {
      return amount > 0 && s.milliseconds > 0 ? fmt::format("{:.1f}", amount / s.milliseconds * 1e-6)
                                              : std::string("-");
    };
    say("  {:>9.4f}  {:>5.1f}%  {:>8}  {:>7}  {:>6.0f}%  {:<8}  {}\n", s.milliseconds,
        100 * s.milliseconds / std::max(total, 1e-9), rate(s.flops), rate(s.bytes), 100 * j.share(),
        j.bound.by, s.name);
  }
}

nlohmann::ordered_json toJson(const Measured &m, const Limits &limits) {
  nlohmann::ordered_json steps = nlohmann::ordered_json::array();
  for (const Judged &j : judge(m, limits))
    steps.push_back({{"name", j.time.name},
                     {"ms", j.time.milliseconds},
                     {"fastest_ms", j.time.fastest},
                     {"flops", j.time.flops},
                     {"bytes", j.time.bytes},
                     {"share_of_peak", j.share()},
                     {"bound_by", j.bound.by}});
  return steps;
}

Status bench(const BenchFlags &flags, Session &session) {
  const auto *cpu = std::get_if<CpuTarget>(&session.target);
  const bool train = flags.train && session.model.hasLoss;
  StatusOr<VariableStore> variables = makeVariables(session, train);
  if (!variables)
    return variables.error();
  if (Status status = variables->initialise(session.model.train.seed, session.dataFolder(), *session.pool);
      !status.ok())
    return status;
  Runners runners(session.programs(), session.device(), *variables, session.model.data.inputs);
  StatusOr<Feed> feed = Feed::make(session);
  if (!feed)
    return feed.error();
  int64_t variableBytes = 0;
  for (const StoredVariable &variable : variables->variables())
    variableBytes += variable.data.size();
  StatusOr<Peaks> peaks = cpu ? measurePeaks(*cpu, *session.pool, variableBytes) : Peaks{};
  if (!peaks)
    return peaks.error();
  const Limits limits = [&](const StepTime &s, double program) {
    return cpu ? boundOf(s, program, *peaks, *cpu) : boundOf(s, std::get<CudaTarget>(session.target));
  };
  Measured step, infer;
  const auto run = [&](ProgramKind kind, Measured &into) -> Status {
    StatusOr<Measured> measured = measure(flags.seconds, session, runners, *feed, kind);
    if (!measured)
      return measured.error();
    into = std::move(*measured);
    return okStatus();
  };
  if (train)
    if (Status status = run(ProgramKind::TrainStep, step); !status.ok())
      return status;
  if (flags.infer)
    if (Status status = run(ProgramKind::Infer, infer); !status.ok())
      return status;

  const int64_t peak = variableBytes + std::max(step.arenaBytes, infer.arenaBytes);
  const double compile = train ? step.compileMs : infer.compileMs;
  if (flags.json) {
    nlohmann::ordered_json object = {{"model", session.model.name},
                                     {"batch", session.batchSize()},
                                     {"threads", session.pool->threads()},
                                     {"cpu", session.processor()},
                                     {"compile_ms", compile},
                                     {"train_step_ms", step.medianMs},
                                     {"infer_ms", infer.medianMs},
                                     {"peak_bytes", peak}};
    object["train_step_fastest_ms"] = step.fastestMs;
    object["train_step_p10_ms"] = step.tenthMs;
    object["infer_fastest_ms"] = infer.fastestMs;
    object["infer_p10_ms"] = infer.tenthMs;
    if (cpu)
      object["peaks"] = nlohmann::ordered_json::parse(peaks->json());
    object["train_step_kernels"] = toJson(step, limits);
    object["infer_kernels"] = toJson(infer, limits);
    say("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return okStatus();
  }
  say("{}, batch {}, {}, {}; {:.1f} MiB of variables and intermediate values\n", session.model.name,
      session.batchSize(), session.device().description(), session.processor(),
      static_cast<double>(peak) / (1 << 20));
  if (cpu)
    printPeaks(*peaks);
  if (train)
    printTable("training step", step, limits);
  if (flags.infer)
    printTable("inference", infer, limits);
  return okStatus();
}

/// --model-only: nothing runs; what the programs' kernels should take on a card of this architecture.
ExitCode estimate(const BenchFlags &flags) {
  const StatusOr<DeviceName> device = parseDevice(flags.session.device);
  if (!device || !device->cuda || flags.arch.empty())
    return fail(
        {ExitCode::Usage, "--model-only needs --device cuda and --arch, such as sm_90: no device is asked"});
  StatusOr<CudaTarget> target = parseCudaTarget(flags.arch);
  if (!target)
    return fail(target.error());
  target->cublas = flags.session.compile.cublas;
  if (Status can = checkPrecision(flags.session.compile.precision, *target); !can.ok())
    return fail(can);
  ExitCode exit = ExitCode::Ok;
  const std::optional<LoadedModel> model = loadModelFile(flags.session.model, exit);
  if (!model)
    return exit;
  for (const auto &[kind, wanted] : {std::pair{ProgramKind::TrainStep, flags.train && model->hasLoss},
                                     {ProgramKind::Infer, flags.infer}}) {
    if (!wanted)
      continue;
    Diagnostics diag;
    const Result<Module> module =
        planModel(*model, kind, model->train.batchSize, *target, flags.session.compile, diag);
    if (exit = finish(diag); !module)
      return exit;
    const Function &fn = *module->function(functionName(kind));
    say("{}", flags.json ? cudaEstimatesJson(*module, fn, *target) : cudaEstimates(*module, fn, *target));
  }
  return exit;
}

ExitCode runBench(const BenchFlags &flags) {
  if (flags.modelOnly)
    return estimate(flags);
  if (!flags.arch.empty())
    return fail({ExitCode::Usage, "--arch is for --model-only: a device that is there has its own"});
  ExitCode exit = ExitCode::Ok;
  const std::unique_ptr<Session> session = Session::open(flags.session, exit);
  if (!session)
    return exit;
  const Status status = bench(flags, *session);
  return status.ok() ? ExitCode::Ok : fail(status);
}

} // namespace

Command benchCommand() {
  auto flags = std::make_shared<BenchFlags>();
  return {.name = "bench",
          .doc = "Times of compiling, training and inference, per kernel",
          .options = sessionOptions(flags->session) +
                     Options{{.name = "--seconds",
                              .target = &flags->seconds,
                              .type = "S",
                              .doc = "How long to measure each program",
                              .realRange = {{0.01, 3600.0}}},
                             {.name = "--train,!--no-train",
                              .target = &flags->train,
                              .doc = "Measure the training step (default)"},
                             {.name = "--infer,!--no-infer",
                              .target = &flags->infer,
                              .doc = "Measure inference (default)"},
                             {.name = "--json", .target = &flags->json, .doc = "Print one JSON object"},
                             {.name = "--model-only",
                              .target = &flags->modelOnly,
                              .doc = "CUDA: run nothing, estimate from data sheets"},
                             {.name = "--arch",
                              .target = &flags->arch,
                              .type = "ARCH",
                              .doc = "CUDA: the architecture to estimate for"}},
          .run = [flags] { return runBench(*flags); }};
}

} // namespace gradc
