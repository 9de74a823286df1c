// The manager's promises about passes that break theirs.
#include "passes/pass.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/text.h"
#include "passes/pipeline.h"
#include "support/check.h"

namespace gradc {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

constexpr const char *kText = "func @f(%x: f32[4]) -> f32[4] {\n  %y = neg(%x) : f32[4]\n  return %y\n}\n";

Module parse(std::string_view text) {
  Diagnostics diag;
  Result<Module> module = parseModule(text, "test", diag);
  EXPECT_TRUE(module) << diag.render();
  return std::move(*module);
}

Result<bool> addOp(Module &module, PassContext &context) {
  Function &fn = *module.functions[0];
  Builder b(fn);
  fn.body().yields[0] = b.neg(fn.body().yields[0]);
  ++context.statistics["ops added"];
  return true;
}

const PassDef kAddOp{.name = "add-op", .doc = "adds an op", .run = addOp};
const PassDef kClaimsNothing{
    .name = "claims-nothing", .doc = "changes and says it did not", .run = [](Module &m, PassContext &c) {
      (void)addOp(m, c);
      return Result<bool>(false);
    }};
const PassDef kClaimsChange{.name = "claims-change",
                            .doc = "says it changed",
                            .run = [](Module &, PassContext &) { return Result<bool>(true); }};
const PassDef kBreaks{.name = "breaks", .doc = "makes a type wrong", .run = [](Module &m, PassContext &) {
                        Function &fn = *m.functions[0];
                        fn[fn.body().yields[0]].type.dtype = DType::F64;
                        return Result<bool>(true);
                      }};
const PassDef kCrashes{.name = "crashes", .doc = "fails a check", .run = [](Module &m, PassContext &c) {
                         (void)addOp(m, c);
                         CHECK(false, "on purpose");
                         return Result<bool>(true);
                       }};

Result<void> run(Module &module, const Pipeline &pipeline, PassManagerOptions options = {}) {
  Diagnostics diag;
  return PassManager(std::move(options)).run(module, pipeline, diag);
}

class PassManagerTest : public testing::Test {
protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "pass_manager_test";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  PassManagerOptions options() const { return {.reproducerDir = folder_}; }
  void expectDeath(const PassDef &pass, const std::string &message, PassManagerOptions options) {
    Module module = parse(kText);
    EXPECT_EXIT((void)run(module, {{&pass, {}}}, std::move(options)), [](int status) { return status != 0; },
                message);
  }

  std::string folder_;
};

TEST_F(PassManagerTest, NamesThePassThatClaimsNoChange) {
  expectDeath(kClaimsNothing, "pass 'claims-nothing' changed the IR but says that it did not", options());
}

TEST_F(PassManagerTest, NamesThePassThatClaimsAChange) {
  expectDeath(kClaimsChange, "pass 'claims-change' says that it changed the IR but did not", options());
}

TEST_F(PassManagerTest, NamesThePassThatBreaksTheIr) {
  expectDeath(kBreaks, "pass 'breaks' made invalid IR", options());
}

TEST_F(PassManagerTest, VerifyEachCanBeTurnedOff) {
  PassManagerOptions off = options();
  off.verifyEach = false;
  Module module = parse(kText);
  EXPECT_TRUE(run(module, {{&kBreaks, {}}}, off));
}

TEST_F(PassManagerTest, WritesAReproducerOfWhatWentIntoThePass) {
  Module module = parse(kText);
  EXPECT_EXIT((void)run(module, {{&kAddOp, {}}, {&kCrashes, {}}, {&kAddOp, {}}}, options()),
              [](int status) { return status != 0; }, "on purpose");
  std::vector<std::string> files;
  for (const auto &entry : std::filesystem::directory_iterator(folder_))
    files.push_back(entry.path());
  ASSERT_EQ(files.size(), 1u);
  std::ifstream file(files[0]);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(text, HasSubstr("// gradc opt --passes='crashes,add-op'\n"));
  EXPECT_THAT(text, HasSubstr("// command: "));
  Module input = parse(text); // comments are skipped: the file is the IR before the crash
  EXPECT_EQ(input.functions[0]->body().ops.size(), 2u);
}

TEST_F(PassManagerTest, TimesAndCounts) {
  Module module = parse(kText);
  PassManager manager(options());
  Diagnostics diag;
  ASSERT_TRUE(manager.run(module, {{&kAddOp, {}}, {&kAddOp, {}}}, diag));
  ASSERT_EQ(manager.timings().size(), 2u);
  EXPECT_TRUE(manager.timings()[0].changed);
  EXPECT_THAT(manager.statisticsReport(), HasSubstr("2  add-op: ops added"));
  EXPECT_THAT(manager.timingReport(), HasSubstr("add-op"));
}

TEST_F(PassManagerTest, PrintsToWhereItIsTold) {
  Module module = parse(kText);
  std::string printed;
  PassManagerOptions print = options();
  print.printAfterAll = true;
  print.out = [&](std::string_view text) { printed += text; };
  ASSERT_TRUE(run(module, {{&kAddOp, {}}}, print));
  EXPECT_THAT(printed, HasSubstr("// *** IR after add-op ***\nfunc @f"));
  parse(printed);
}

TEST_F(PassManagerTest, ReportsADumpFolderThatCannotBeWritten) {
  Module module = parse(kText);
  PassManagerOptions dump = options();
  dump.printDir = "/proc/no/such/folder";
  Diagnostics diag;
  EXPECT_FALSE(PassManager(dump).run(module, {}, diag));
  EXPECT_THAT(diag.render(), HasSubstr("cannot write '/proc/no/such/folder/000-input.gir': No such file or directory"));
  EXPECT_EQ(diag.exitCode(), ExitCode::Io);
}

TEST(PipelineText, PrintsWhatItReads) {
  const std::string text = "expand,autodiff{of=@loss,wrt=[@w, %x],sum=true},canonicalize{rules=[add-zero]},"
                           "constant-fold{max_bytes=8}";
  Diagnostics diag;
  Result<Pipeline> pipeline = parsePipeline(text, diag);
  ASSERT_TRUE(pipeline) << diag.render();
  EXPECT_EQ(toString(*pipeline), text);
  Result<Pipeline> again = parsePipeline(toString(*pipeline), diag);
  ASSERT_TRUE(again);
  EXPECT_EQ(toString(*again), text);
}

TEST(PipelineText, EmptyIsNoPass) {
  Diagnostics diag;
  Result<Pipeline> pipeline = parsePipeline("  ", diag);
  ASSERT_TRUE(pipeline);
  EXPECT_TRUE(pipeline->empty());
}

TEST(PassTable, EveryRowIsComplete) {
  for (const PassDef *pass : allPasses()) {
    EXPECT_FALSE(pass->doc.empty()) << pass->name;
    EXPECT_FALSE(pass->doc.ends_with('.')) << pass->name;
    EXPECT_NE(pass->run, nullptr) << pass->name;
    EXPECT_EQ(findPass(pass->name), pass);
    for (const PassOption &option : pass->options)
      EXPECT_FALSE(option.doc.empty()) << pass->name << " " << option.name;
  }
  EXPECT_EQ(findPass("no-such-pass"), nullptr);
}

} // namespace
} // namespace gradc
