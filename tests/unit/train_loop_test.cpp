#include "runtime/train_loop.h"

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "support/files.h"
#include "support/hash.h"
#include "support/safetensors.h"
#include "tests/unit/scratch_folder.h"

using namespace gradc;

namespace {

// Linear regression by SGD with momentum, as a hand-made program of one step.
// Buffers: w[2], w.momentum[2], x[n,2], y[n], learning_rate, loss, error, n.
void sgdKernel(const gradc_ctx *, void *const *b, int64_t, int64_t) {
  float *w = static_cast<float *>(b[0]), *v = static_cast<float *>(b[1]);
  const float *x = static_cast<float *>(b[2]), *y = static_cast<float *>(b[3]);
  const float rate = *static_cast<float *>(b[4]);
  const int64_t n = *static_cast<int64_t *>(b[7]);
  float loss = 0, error = 0, gradient[2] = {};
  for (int64_t i = 0; i < n; ++i) {
    const float d = w[0] * x[2 * i] + w[1] * x[2 * i + 1] - y[i];
    loss += d * d;
    error += std::fabs(d);
    gradient[0] += 2 * d * x[2 * i];
    gradient[1] += 2 * d * x[2 * i + 1];
  }
  for (int k = 0; k < 2; ++k) {
    v[k] = 0.9f * v[k] + gradient[k] / static_cast<float>(n);
    w[k] -= rate * v[k];
  }
  *static_cast<float *>(b[5]) = loss / static_cast<float>(n);
  *static_cast<float *>(b[6]) = error / static_cast<float>(n);
}

// Buffers: w, x, y, loss sum, error sum, n.
void evalKernel(const gradc_ctx *, void *const *b, int64_t, int64_t) {
  const float *w = static_cast<float *>(b[0]), *x = static_cast<float *>(b[1]),
              *y = static_cast<float *>(b[2]);
  float loss = 0, error = 0;
  for (int64_t i = 0; i < *static_cast<int64_t *>(b[5]); ++i) {
    const float d = w[0] * x[2 * i] + w[1] * x[2 * i + 1] - y[i];
    loss += d * d;
    error += std::fabs(d);
  }
  *static_cast<float *>(b[3]) = loss;
  *static_cast<float *>(b[4]) = error;
}

struct Program {
  int64_t n;
  std::vector<gradc_port> vars, args, results;
  std::vector<gradc_ref> refs;
  gradc_step step{};
  gradc_program program{};

  Program(ProgramKind kind, int64_t batch) : n(batch) {
    const bool train = kind == ProgramKind::TrainStep;
    vars = {{.name = "w", .layout = "", .rank = 1, .shape = {2}, .bytes = 8}};
    if (train)
      vars.push_back({.name = "w.momentum", .layout = "", .rank = 1, .shape = {2}, .bytes = 8});
    args = {{.name = "x", .layout = "", .rank = 2, .shape = {n, 2}, .bytes = n * 8},
            {.name = "y", .layout = "", .rank = 1, .shape = {n}, .bytes = n * 4}};
    if (train)
      args.push_back({.name = "learning_rate", .layout = "", .bytes = 4});
    results = {{.name = "loss", .layout = "", .bytes = 4}, {.name = "error", .layout = "", .bytes = 4}};
    const auto addRefs = [&](gradc_space space, size_t count) {
      for (size_t i = 0; i < count; ++i)
        refs.push_back({space, static_cast<int32_t>(i), 0});
    };
    addRefs(GRADC_SPACE_VAR, vars.size());
    addRefs(GRADC_SPACE_ARGUMENT, args.size());
    addRefs(GRADC_SPACE_RESULT, results.size());
    addRefs(GRADC_SPACE_CONSTANT, 1);
    step = {.kernel = train ? sgdKernel : evalKernel,
            .name = "step",
            .first_ref = 0,
            .num_refs = static_cast<int32_t>(refs.size()),
            .items = 1};
    program = {.name = "test",
               .steps = &step,
               .refs = refs.data(),
               .vars = vars.data(),
               .args = args.data(),
               .results = results.data(),
               .constants = &n,
               .num_steps = 1,
               .num_vars = static_cast<int64_t>(vars.size()),
               .num_args = static_cast<int64_t>(args.size()),
               .num_results = 2,
               .constant_bytes = 8};
  }
};

struct TestSource : ProgramSource {
  std::map<std::pair<ProgramKind, int64_t>, std::unique_ptr<Program>> programs;
  StatusOr<const gradc_program *> get(ProgramKind kind, int64_t batch) override {
    auto &program = programs[{kind, batch}];
    if (!program)
      program = std::make_unique<Program>(kind, batch);
    return &program->program;
  }
};

const std::vector<InputSpec> kInputs = {{"x", {2}, "f32", "x", 0}, {"y", {}, "f32", "y", 0}};

Dataset makeData() { // y = 3 x0 - x1 + noise
  Dataset data{.examples = 53, .fields = {}};
  data.fields.push_back({"x", "test", DType::F32, {2}, std::move(*Buffer::allocate(53 * 8))});
  data.fields.push_back({"y", "test", DType::F32, {}, std::move(*Buffer::allocate(53 * 4))});
  float *x = data.fields[0].data.as<float>(), *y = data.fields[1].data.as<float>();
  for (int i = 0; i < 53; ++i) {
    x[2 * i] = static_cast<float>(std::sin(i * 1.7));
    x[2 * i + 1] = static_cast<float>(std::cos(i * 2.3));
    y[i] = 3 * x[2 * i] - x[2 * i + 1] + 0.3f * static_cast<float>(std::sin(i * 5.1));
  }
  return data;
}

struct TestRun {
  std::string folder;
  TrainOptions options;
  int threads = 1;
  Dataset data = makeData();
  StatusOr<TrainResult> result;
  std::vector<float> weights;

  explicit TestRun(const std::string &name, bool clean = true)
      : folder(scratchFolder() + "gradc_run_" + name) {
    if (clean)
      std::filesystem::remove_all(folder);
    options.outFolder = folder;
    options.config.batchSize = 8;
    options.config.epochs = 4;
    options.config.seed = 5;
    options.config.hyper = {
        {"learning_rate", 0.02, {.kind = Schedule::Kind::Plateau, .factor = 0.5, .patience = 0}}};
    options.config.metrics = {"error"};
    options.identity = "model test";
    options.resumeCommand = "gradc train test --resume auto";
  }

  TestRun &go() {
    ThreadPool pool(threads);
    CpuDevice device(pool);
    TestSource source;
    return go(pool, device, source);
  }
  TestRun &go(ThreadPool &pool, Device &device, ProgramSource &source) {
    VariableStore store = std::move(*VariableStore::create(
        {{.name = "w", .shape = {2}, .init = {.kind = InitSpec::Kind::Normal, .a = 0, .b = 1}},
         {.kind = VariableSpec::Kind::Slot, .name = "w.momentum", .shape = {2}}},
        pool));
    Runners runners(source, device, store, kInputs);
    Progress progress(ProgressMode::None);
    TrainLoop loop(options, runners, store, pool, {&data, 0, 43}, {&data, 43, 10}, progress);
    result = loop.run();
    weights.assign(store.find("w")->values(), store.find("w")->values() + 2);
    return *this;
  }
  std::string read(const char *name) const { return readFile(folder + "/" + name).value_or("no file"); }
};

TEST(TrainLoop, LearnsAndWritesItsFolder) {
  TestRun run("learn");
  run.options.config.epochs = 12;
  run.go();
  ASSERT_TRUE(run.result) << run.result.error().text;
  EXPECT_EQ(run.result->code, ExitCode::Ok);
  EXPECT_EQ(run.result->epoch, 12);
  EXPECT_EQ(run.result->step, 12 * 6); // 43 examples: five batches of 8 and one of 3
  EXPECT_NEAR(run.weights[0], 3, 0.7);
  EXPECT_NEAR(run.weights[1], -1, 0.7);
  const std::string log = run.read("metrics.jsonl");
  EXPECT_NE(log.find("{\"kind\":\"epoch\",\"epoch\":12,\"step\":72,\"train_loss\":"), std::string::npos)
      << log;
  for (const char *key : {"\"train_error\":", "\"val_loss\":", "\"val_error\":", "\"learning_rate\":",
                          "\"seconds\":", "\"examples_per_second\":", "first_step"})
    EXPECT_NE(log.find(key), std::string::npos) << key;
  EXPECT_NE(run.read("report.html").find("<polyline"), std::string::npos);
  StatusOr<SafeTensors> last = SafeTensors::read(run.folder + "/last.safetensors");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->tensors().size(), 1u); // no slots
  EXPECT_TRUE(SafeTensors::read(run.folder + "/best.safetensors"));
  EXPECT_TRUE(readCheckpoint(run.folder + "/last.ckpt"));
}

TEST(TrainLoop, SameBitsForAnyThreads) {
  TestRun one("t1"), four("t4");
  four.threads = 4;
  EXPECT_EQ(one.go().weights, four.go().weights);
  EXPECT_EQ(one.read("last.safetensors"), four.read("last.safetensors"));
}

TEST(TrainLoop, InterruptedAndResumedIsUninterrupted) {
  TestRun whole("whole");
  whole.go();
  ASSERT_TRUE(whole.result);
  // Stop after every single step, in a row of processes.
  TestRun pieces("pieces");
  pieces.options.resume = TrainOptions::Resume::Auto;
  pieces.options.maxSeconds = 1e-9;
  int runs = 0;
  for (; runs < 100; ++runs) {
    TestRun piece("pieces", false);
    piece.options = pieces.options;
    piece.go();
    ASSERT_TRUE(piece.result) << piece.result.error().text;
    if (piece.result->code == ExitCode::Ok)
      break;
    EXPECT_EQ(piece.result->code, ExitCode::Stopped);
  }
  EXPECT_EQ(runs, 23); // 24 steps, the last ends the run
  EXPECT_EQ(whole.read("last.safetensors"), pieces.read("last.safetensors"));
  EXPECT_EQ(whole.read("best.safetensors"), pieces.read("best.safetensors"));
  const auto epochs = [](const std::string &log) { // without the times
    std::string out;
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);)
      if (std::optional<EpochRecord> r = parseEpoch(line))
        out += std::to_string(r->epoch) + keyValues(r->values) + std::to_string(r->learningRate) + "\n";
    return out;
  };
  EXPECT_EQ(epochs(whole.read("metrics.jsonl")), epochs(pieces.read("metrics.jsonl")));
}

// As after a kill between a checkpoint and the weights of its epoch.
TEST(TrainLoop, ResumingMakesUpForWeightsThatWereNotWritten) {
  TestRun run("unwritten");
  run.options.config.epochs = 1;
  run.go();
  const std::string last = run.read("last.safetensors"), best = run.read("best.safetensors");
  for (const char *name : {"/last.safetensors", "/best.safetensors"})
    ASSERT_TRUE(writeFileAtomically(run.folder + name, "of an earlier epoch").ok());
  run.options.resume = TrainOptions::Resume::Auto;
  run.go();
  ASSERT_TRUE(run.result) << run.result.error().text;
  EXPECT_EQ(run.read("last.safetensors"), last);
  EXPECT_EQ(run.read("best.safetensors"), best);
}

TEST(TrainLoop, TheLogIsWrittenBeforeTheCheckpointThatNeedsIt) {
  TestRun run("log_first");
  run.go();
  ThreadPool pool(1);
  VariableStore nothing = std::move(*VariableStore::create({}, pool));
  StatusOr<RunFolder> folder = RunFolder::open(run.folder);
  ASSERT_TRUE(folder);
  ASSERT_TRUE(folder->resumeLog(24, false));
  folder->log("the next epoch");
  std::filesystem::remove(folder->checkpointPath());
  std::filesystem::create_directory(folder->checkpointPath()); // so that it cannot be written
  EXPECT_EQ(folder->writeCheckpoint(nothing, {}).code, ExitCode::Io);
  EXPECT_TRUE(run.read("metrics.jsonl").ends_with("\nthe next epoch\n"));
}

// A checkpoint may stand behind an epoch's last step and before its end, which a run that was killed had logged.
TEST(TrainLoop, TheLogOfAnEpochThatIsNotCompleteIsDropped) {
  TestRun run("logged_ahead");
  run.go(); // four epochs of six steps
  const std::tuple<int, bool, size_t> cases[] = {{24, false, 4}, {24, true, 3}, {13, true, 2}, {12, true, 1}};
  for (const auto &[step, inEpoch, kept] : cases) {
    StatusOr<RunFolder> folder = RunFolder::open(run.folder);
    ASSERT_TRUE(folder);
    const StatusOr<std::vector<std::string>> lines = folder->resumeLog(step, inEpoch);
    ASSERT_TRUE(lines);
    ASSERT_EQ(lines->size(), kept);
    EXPECT_EQ(parseEpoch(lines->back())->epoch, static_cast<int64_t>(kept));
    EXPECT_EQ(run.read("metrics.jsonl").find("\"epoch\":" + std::to_string(kept + 1)), std::string::npos);
  }
}

TEST(TrainLoop, ResumesFromANamedFileAndRefusesAnotherRun) {
  TestRun first("first");
  first.options.config.epochs = 2;
  first.go();
  TestRun more("more");
  more.options.resume = TrainOptions::Resume::File;
  more.options.resumeFile = first.folder + "/last.ckpt";
  more.go();
  ASSERT_TRUE(more.result) << more.result.error().text;
  EXPECT_EQ(more.weights, TestRun("all").go().weights);

  more.options.identity = "model other";
  more.go();
  EXPECT_EQ(more.result.error().code, ExitCode::InvalidInput);
  EXPECT_EQ(more.result.error().text,
            "cannot resume from '" + first.folder +
                "/last.ckpt': it is of another run; there 'model test', but here 'model other'");
  more.options.identity = "model test";
  more.options.config.batchSize = 4;
  more.go();
  EXPECT_TRUE(more.result.error().text.ends_with("there 'batch size 8', but here 'batch size 4'"));
  more.options.config.batchSize = 8;
  more.data.fields[0].data.as<float>()[0] += 1;
  more.go();
  EXPECT_TRUE(more.result.error().text.ends_with("the training data has changed since"))
      << more.result.error().text;
  more.options.resumeFile = "/nonexistent";
  more.go();
  EXPECT_EQ(more.result.error().text, "cannot open '/nonexistent': No such file or directory");
}

TEST(TrainLoop, DamagedCheckpoints) {
  TestRun run("damaged");
  run.go();
  std::string bytes = run.read("last.ckpt");
  bytes[bytes.size() - 3] ^= 4;
  std::ofstream(run.folder + "/last.ckpt", std::ios::binary) << bytes;
  EXPECT_TRUE(readCheckpoint(run.folder + "/last.ckpt")
                  .error()
                  .text.ends_with(": damaged checkpoint: wrong checksum"));
  run.options.resume = TrainOptions::Resume::File;
  run.options.resumeFile = run.folder + "/last.ckpt";
  EXPECT_EQ(run.go().result.error().code, ExitCode::Io);
  run.options.resume = TrainOptions::Resume::Auto; // no valid one: afresh
  EXPECT_EQ(run.go().weights, TestRun("fresh").go().weights);
  EXPECT_TRUE(readCheckpoint(run.folder + "/last.safetensors")
                  .error()
                  .text.ends_with("not a checkpoint of this version of gradc"));
}

TEST(TrainLoop, CheckpointsWithoutAllOfTheState) {
  TestRun run("incomplete");
  run.go();
  const std::string path = run.folder + "/last.ckpt";
  {
    StatusOr<SafeTensors> file = SafeTensors::read(path);
    ASSERT_TRUE(file);
    std::map<std::string, std::string> metadata = file->metadata();
    metadata["state"] = R"({"epoch": 1})";
    Hasher hasher; // as the checkpoint's checksum is made
    hasher.add(metadata["state"]);
    for (const TensorView &tensor : file->tensors())
      hasher.add(tensor.name).add(tensor.bytes);
    metadata["checksum"] = hex(hasher.digest128());
    ASSERT_TRUE(writeSafeTensors(path + "2", file->tensors(), metadata).ok());
  }
  EXPECT_EQ(readCheckpoint(path + "2").error().text, path + "2: damaged checkpoint: incomplete state");
}

TEST(TrainLoop, DivergenceLeavesTheLastFiniteCheckpoint) {
  TestRun run("diverge");
  run.options.config.epochs = 1;
  run.go();
  const std::string before = run.read("last.ckpt"), weights = run.read("last.safetensors");
  run.options.resume = TrainOptions::Resume::Auto;
  run.options.config.epochs = 50;
  run.options.config.hyper[0] = {"learning_rate", 1e18, {}};
  run.go();
  ASSERT_FALSE(run.result);
  EXPECT_EQ(run.result.error().code, ExitCode::Numeric);
  EXPECT_NE(run.result.error().text.find("the last finite state is in '"), std::string::npos)
      << run.result.error().text;
  EXPECT_EQ(run.read("last.ckpt"), before);
  EXPECT_EQ(run.read("last.safetensors"), weights);
  TestRun early("diverge2");
  early.options.config.hyper[0].base = 1e30;
  early.options.checkFinite = true;
  early.go();
  EXPECT_EQ(early.result.error().code, ExitCode::Numeric);
  EXPECT_NE(early.result.error().text.find("no checkpoint was written yet"), std::string::npos);
}

TEST(TrainLoop, SignalsStopAfterTheStep) {
  struct Raising : TestSource {
    StatusOr<const gradc_program *> get(ProgramKind kind, int64_t batch) override {
      raise(SIGTERM); // as if it came while the first program was compiled
      return TestSource::get(kind, batch);
    }
  };
  TestRun run("signal");
  ThreadPool pool(1);
  CpuDevice device(pool);
  Raising source;
  const StatusOr<TrainResult> &result = run.go(pool, device, source).result;
  ASSERT_TRUE(result);
  EXPECT_EQ(result->code, ExitCode::Stopped);
  EXPECT_EQ(result->step, 1);
  EXPECT_TRUE(readCheckpoint(run.folder + "/last.ckpt"));
  EXPECT_TRUE(SafeTensors::read(run.folder + "/last.safetensors"));
}

/// By the step alone, also where a run goes on from a checkpoint.
TEST(TrainLoop, DropsTinyMomentaEvery64Steps) {
  struct Counting : Device {
    explicit Counting(ThreadPool &pool) : cpu(pool) {}
    StatusOr<std::unique_ptr<BatchRunner>> makeRunner(const gradc_program &program, VariableStore &variables,
                                                      std::span<const InputSpec> inputs) override {
      return cpu.makeRunner(program, variables, inputs);
    }
    void dropTiny(VariableStore &) override { ++drops; }
    std::string description() const override { return cpu.description(); }
    CpuDevice cpu;
    int drops = 0;
  };
  TestRun run("tiny");
  const auto dropsUntil = [&](int64_t epochs) { // of 6 steps each
    ThreadPool pool(1);
    Counting device(pool);
    TestSource source;
    run.options.config.epochs = epochs;
    EXPECT_TRUE(run.go(pool, device, source).result);
    run.options.resume = TrainOptions::Resume::Auto;
    return device.drops;
  };
  EXPECT_EQ(dropsUntil(10), 0);
  EXPECT_EQ(dropsUntil(11), 1); // before step 64
  EXPECT_EQ(dropsUntil(21), 0);
  EXPECT_EQ(dropsUntil(43), 3); // 128, 192, 256
}

TEST(TrainLoop, EarlyStoppingAndLimits) {
  TestRun run("stop");
  run.options.config.epochs = 100;
  run.options.config.stop = {.enabled = true, .monitor = "val_loss", .patience = 2, .minDelta = 100};
  run.go();
  ASSERT_TRUE(run.result);
  EXPECT_EQ(run.result->epoch, 3); // the first is best, two are not better
  run.options.resume = TrainOptions::Resume::Auto;
  EXPECT_EQ(run.go().result->epoch, 3); // it has stopped for good
  TestRun limited("limited");
  limited.options.limitBatches = 2;
  EXPECT_EQ(limited.go().result->step, 8);
}

TEST(TrainLoop, WeightsToStartFrom) {
  TestRun first("w1");
  first.go();
  TestRun second("w2");
  second.options.weightsFile = first.folder + "/last.safetensors";
  second.options.config.epochs = 0;
  EXPECT_EQ(second.go().weights, first.weights);
  ASSERT_TRUE(writeSafeTensors(first.folder + "/x.safetensors", {{"v", DType::F32, {1}, "abcd"}}, {}).ok());
  second.options.weightsFile = first.folder + "/x.safetensors";
  EXPECT_TRUE(
      second.go().result.error().text.ends_with("does not fit the model; missing: w; not in the model: v"));
  ASSERT_TRUE(writeSafeTensors(first.folder + "/x.safetensors", {{"w", DType::F32, {1}, "abcd"}}, {}).ok());
  EXPECT_TRUE(second.go().result.error().text.ends_with("'w' has shape [1], but the model's has [2]"));
  ASSERT_TRUE(
      writeSafeTensors(first.folder + "/x.safetensors", {{"w", DType::I32, {2}, "abcdefgh"}}, {}).ok());
  EXPECT_TRUE(second.go().result.error().text.ends_with("'w' has element type i32, but the model's has f32"));
}

TEST(TrainLoop, AFullDiskLeavesTheOldRunIntact) {
  TestRun run("full");
  run.go();
  const std::string checkpoint = run.read("last.ckpt"), log = run.read("metrics.jsonl");
  const auto files = [&] {
    std::set<std::string> names;
    for (const auto &entry : std::filesystem::directory_iterator(run.folder))
      names.insert(entry.path().filename());
    return names;
  };
  const std::set<std::string> before = files();
  // A write beyond the limit fails as one on a full disk does.
  signal(SIGXFSZ, SIG_IGN);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{100, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  run.go();
  setrlimit(RLIMIT_FSIZE, &old);
  ASSERT_FALSE(run.result);
  EXPECT_EQ(run.result.error().code, ExitCode::Io);
  EXPECT_EQ(run.read("last.ckpt"), checkpoint);
  EXPECT_EQ(run.read("metrics.jsonl"), log);
  EXPECT_EQ(files(), before); // nothing half-written
}

TEST(TrainLoop, AnUnwritableFolderIsSaidBeforeTheFirstStep) {
  TestRun run("dir");
  std::ofstream(scratchFolder() + "gradc_plain") << "x";
  run.options.outFolder = scratchFolder() + "gradc_plain/out";
  run.go();
  EXPECT_EQ(run.result.error().code, ExitCode::Io);
  EXPECT_TRUE(run.result.error().text.starts_with("cannot create '")) << run.result.error().text;
}

} // namespace
