#include "runtime/data/dataset.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <gtest/gtest.h>
#include <zlib.h>

#include "runtime/data/batch.h"
#include "support/npy.h"
#include "tests/unit/scratch_folder.h"

using namespace gradc;

namespace {

const std::string kDir = scratchFolder() + "gradc_data";

void writeFile(const std::string &name, const std::string &bytes) {
  std::filesystem::create_directories(kDir);
  std::ofstream(kDir + "/" + name, std::ios::binary) << bytes;
}

std::string gzip(const std::string &bytes) {
  std::string out(bytes.size() + 1000, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string idx(const std::vector<int> &shape, const std::string &data, int type = 8) {
  std::string out = {0, 0, static_cast<char>(type), static_cast<char>(shape.size())};
  for (int dim : shape)
    for (int shift : {24, 16, 8, 0})
      out += static_cast<char>(dim >> shift);
  return out + data;
}

std::string counting(int n) {
  std::string s(n, '\0');
  std::iota(s.begin(), s.end(), '\0');
  return s;
}

const std::vector<InputSpec> kInputs = {{"image", {1, 2, 3}, "f32", "image", 0},
                                        {"label", {}, "i32", "label", 10}};

DataSource source(std::string images, std::string labels) {
  return {.kind = DataSource::Kind::Idx, .files = {{"images", images}, {"labels", labels}}};
}

std::string message(const DataSource &source, std::span<const InputSpec> inputs = kInputs) {
  StatusOr<Dataset> data = loadDataset(source, inputs, kDir, 0);
  EXPECT_FALSE(data);
  if (data)
    return "";
  EXPECT_EQ(data.error().code, ExitCode::Io);
  std::string text = data.error().text;
  for (size_t at; (at = text.find(kDir + "/")) != std::string::npos;)
    text.erase(at, kDir.size() + 1);
  return text;
}

TEST(Idx, ReadsPlainAndCompressed) {
  const std::string images = idx({4, 2, 3}, counting(24)), labels = idx({4}, std::string("\0\3\2\1", 4));
  writeFile("i", images);
  writeFile("l", labels);
  writeFile("i.gz", gzip(images));
  writeFile("l.gz", gzip(labels));
  for (const auto &[i, l] : {std::pair{"i", "l"}, std::pair{"i.gz", "l.gz"}}) {
    StatusOr<Dataset> data = loadDataset(source(i, l), kInputs, kDir, 0);
    ASSERT_TRUE(data) << data.error().text;
    EXPECT_EQ(data->examples, 4);
    EXPECT_EQ(data->fields[0].shape, (std::vector<int64_t>{1, 2, 3}));
    EXPECT_EQ(data->fields[0].dtype, DType::U8);
    EXPECT_EQ(static_cast<int>(data->fields[0].example(1)[2]), 8);
    EXPECT_EQ(data->fields[1].data.as<int32_t>()[1], 3);
  }
}

TEST(Idx, RefusesWhatIsWrong) {
  const std::string images = idx({4, 2, 3}, counting(24)), labels = idx({4}, std::string("\0\3\2\1", 4));
  writeFile("i", images);
  writeFile("l", labels);
  writeFile("short", images.substr(0, 30));
  writeFile("long", images + "x");
  writeFile("text", "hello world");
  writeFile("float", idx({4, 2, 3}, counting(24), 13));
  writeFile("head", images.substr(0, 9));
  writeFile("l3", idx({3}, "abc"));
  writeFile("huge", idx({0x7fffffff, 0x7fffffff, 9}, ""));
  std::string random(60'000, '\0'); // does not compress, so that cutting cuts data
  for (size_t i = 0; i < random.size(); ++i)
    random[i] = static_cast<char>((i * 2654435761u) >> 13);
  const std::string big = gzip(idx({10'000, 2, 3}, random));
  writeFile("cut.gz", big.substr(0, big.size() / 2));
  writeFile("trailer.gz", big.substr(0, big.size() - 6));
  std::string broken = big;
  broken[big.size() - 6] ^= 1;
  writeFile("crc.gz", broken);

  EXPECT_EQ(message(source("nothing.gz", "l")), "cannot open 'nothing.gz': No such file or directory");
  EXPECT_EQ(message(source("short", "l")), "short: truncated: 14 bytes of data, but its header says 24");
  EXPECT_EQ(message(source("long", "l")), "long: more data than the 24 bytes that its header says");
  EXPECT_EQ(message(source("text", "l")), "text: not an IDX file (its first bytes are 68 65 6c 6c)");
  EXPECT_EQ(message(source("float", "l")),
            "float: IDX element type 0x0d is not supported, only unsigned bytes (0x08) are");
  EXPECT_EQ(message(source("head", "l")), "head: truncated IDX header");
  EXPECT_EQ(message(source("l", "l")), "l: an IDX file of rank 1, but expected rank 2 or more");
  EXPECT_EQ(message(source("i", "l3")), "l3: 3 examples, but i has 4");
  EXPECT_EQ(message(source("huge", "l")), "huge: its IDX header asks for too much data");
  EXPECT_TRUE(message(source("cut.gz", "l")).starts_with("cut.gz: truncated"));
  EXPECT_EQ(message(source("trailer.gz", "l")), "trailer.gz: truncated gzip data");
  EXPECT_EQ(message(source("crc.gz", "l")), "crc.gz: corrupt gzip data");
}

TEST(Dataset, ChecksLabelsShapesTypesAndFields) {
  writeFile("i", idx({4, 2, 3}, counting(24)));
  writeFile("l", idx({4}, std::string("\0\3\115\1", 4)));
  writeFile("ok", idx({4}, std::string("\0\3\2\1", 4)));
  EXPECT_EQ(message(source("i", "l")), "l: example 2: label 77 is not in 0..9");
  std::vector<InputSpec> inputs = kInputs;
  inputs[0].shape = {1, 3, 2};
  EXPECT_EQ(message(source("i", "ok"), inputs),
            "i: an example of 'image' has shape [2,3], but input 'image' has [1,3,2]");
  inputs[0].shape = {6}; // flattened
  EXPECT_TRUE(loadDataset(source("i", "ok"), inputs, kDir, 0));
  inputs[0].dtype = "f64";
  EXPECT_EQ(message(source("i", "ok"), inputs), "i: 'image' has element type u8, but input 'image' has f64");
  inputs = kInputs;
  inputs[1].field = "target";
  EXPECT_EQ(message(source("i", "ok"), inputs), "nothing feeds input 'label': the data has the fields image, "
                                                "label, the model has the inputs image, label");
  EXPECT_EQ(message({.kind = DataSource::Kind::Csv}), "data of type csv is not supported yet");
  EXPECT_EQ(message({.kind = DataSource::Kind::Cifar10}), "data of type cifar10 is not supported yet");
  EXPECT_EQ(message({.kind = DataSource::Kind::Images}), "data of type images is not supported yet");
  EXPECT_EQ(message({}), "the model file names no data here");
  writeFile("none", idx({0, 2, 3}, ""));
  writeFile("nol", idx({0}, ""));
  EXPECT_EQ(message(source("none", "nol")), "none: no examples");
}

TEST(Dataset, IntegersBecomeTheInputsTypeIfTheyFit) {
  writeFile("i", idx({2, 1, 2}, std::string("\7\0\xff\1", 4)));
  writeFile("l", idx({2}, std::string("\3\115", 2)));
  std::vector<InputSpec> inputs = {{"image", {2}, "i64", "image", 0}, {"label", {}, "i64", "label", 78}};
  StatusOr<Dataset> data = loadDataset(source("i", "l"), inputs, kDir, 0);
  ASSERT_TRUE(data) << data.error().text;
  EXPECT_EQ(data->fields[0].data.as<int64_t>()[2], 255);
  EXPECT_EQ(data->fields[1].data.as<int64_t>()[1], 77);
  inputs[0].dtype = "u8"; // bytes, not pixels
  EXPECT_EQ(loadDataset(source("i", "l"), inputs, kDir, 0)->fields[0].data.as<uint8_t>()[2], 255);
  inputs[0].dtype = "i8";
  EXPECT_EQ(message(source("i", "l"), inputs), "i: example 1: value 255 is not in -128..127");
  inputs[0].dtype = "f32";
  inputs[1].classes = 77; // of whatever type the labels are
  EXPECT_EQ(message(source("i", "l"), inputs), "l: example 1: label 77 is not in 0..76");

  const int64_t ys[] = {1, -1};
  ASSERT_TRUE(
      writeNpy(kDir + "/y.npy", {DType::I64, {2}, std::string(reinterpret_cast<const char *>(ys), sizeof ys)})
          .ok());
  const DataSource npy{.kind = DataSource::Kind::Npy, .files = {{"y", "y.npy"}}};
  EXPECT_TRUE(loadDataset(npy, std::vector<InputSpec>{{"y", {}, "i64", "", 0}}, kDir, 0));
  for (const char *dtype : {"i64", "i8"})
    EXPECT_EQ(message(npy, std::vector<InputSpec>{{"y", {}, dtype, "", 10}}),
              "y.npy: example 1: label -1 is not in 0..9");
}

TEST(Dataset, OneFieldMayFeedTwoInputs) {
  writeFile("i", idx({2, 2, 3}, counting(12)));
  const std::vector<InputSpec> inputs = {{"x", {2, 3}, "f32", "image", 0},
                                         {"target", {6}, "f32", "image", 0}};
  StatusOr<Dataset> data =
      loadDataset({.kind = DataSource::Kind::Idx, .files = {{"images", "i"}}}, inputs, kDir, 0);
  ASSERT_TRUE(data) << data.error().text;
  EXPECT_EQ(static_cast<int>(data->fields[0].example(1)[0]), 6);
  EXPECT_EQ(static_cast<int>(data->fields[1].example(1)[0]), 6);
}

TEST(Arrays, NpzAndNpyBecomeFields) {
  const double xs[] = {1.5, -2, 3, 4};
  const int64_t ys[] = {1, 0};
  const NpyArray x{DType::F64, {2, 2}, std::string(reinterpret_cast<const char *>(xs), sizeof xs)};
  const NpyArray y{DType::I64, {2}, std::string(reinterpret_cast<const char *>(ys), sizeof ys)};
  std::filesystem::create_directories(kDir);
  ASSERT_TRUE(writeNpz(kDir + "/d.npz", {{"x", x}, {"y", y}}).ok());
  ASSERT_TRUE(writeNpy(kDir + "/x.npy", x).ok());
  ASSERT_TRUE(writeNpy(kDir + "/y.npy", y).ok());
  const std::vector<InputSpec> inputs = {{"x", {2}, "f32", "", 0}, {"y", {}, "i32", "", 2}};
  for (const DataSource &s :
       {DataSource{.kind = DataSource::Kind::Npz, .files = {{"file", "d.npz"}}},
        DataSource{.kind = DataSource::Kind::Npy, .files = {{"x", "x.npy"}, {"y", "y.npy"}}}}) {
    StatusOr<Dataset> data = loadDataset(s, inputs, kDir, 0);
    ASSERT_TRUE(data) << data.error().text;
    EXPECT_EQ(data->fields[0].data.as<float>()[1], -2.0f);
    EXPECT_EQ(data->fields[1].data.as<int32_t>()[0], 1);
  }
  ASSERT_TRUE(writeNpz(kDir + "/bad.npz", {{"x", x}, {"y", {DType::I64, {1}, y.bytes.substr(0, 8)}}}).ok());
  EXPECT_EQ(message({.kind = DataSource::Kind::Npz, .files = {{"file", "bad.npz"}}}, inputs),
            "bad.npz: 'y' has 1 examples, but 'x' has 2");
  ASSERT_TRUE(writeNpy(kDir + "/s.npy", {DType::F32, {}, "abcd"}).ok());
  EXPECT_EQ(message({.kind = DataSource::Kind::Npy, .files = {{"x", "s.npy"}}}, inputs),
            "s.npy: 'x' is a scalar; the first dimension must count examples");
}

TEST(Synthetic, DependsOnTheSeedAlone) {
  const DataSource s{.kind = DataSource::Kind::Synthetic, .examples = 50};
  StatusOr<Dataset> a = loadDataset(s, kInputs, "", 1), b = loadDataset(s, kInputs, "", 1),
                    c = loadDataset(s, kInputs, "", 2);
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->examples, 50);
  EXPECT_EQ(a->fingerprint(), b->fingerprint());
  EXPECT_NE(a->fingerprint(), c->fingerprint());
}

TEST(EpochOrder, IsAPermutationOfSeedAndEpoch) {
  const std::vector<int64_t> a = epochOrder(1000, 7, 3, true), b = epochOrder(1000, 7, 3, true);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, epochOrder(1000, 7, 4, true));
  EXPECT_NE(a, epochOrder(1000, 8, 3, true));
  std::vector<int64_t> sorted = a;
  std::ranges::sort(sorted);
  EXPECT_EQ(sorted, epochOrder(1000, 7, 3, false));
  EXPECT_EQ(epochOrder(1, 0, 0, true), std::vector<int64_t>{0});
  EXPECT_TRUE(epochOrder(0, 0, 0, true).empty());
}

TEST(GatherBatch, RowMajorAndLanesAgree) {
  writeFile("i", idx({40, 2, 3}, counting(240)));
  std::string labels(40, '\0');
  for (int i = 0; i < 40; ++i)
    labels[i] = static_cast<char>(i % 10);
  writeFile("l", idx({40}, labels));
  StatusOr<Dataset> data = loadDataset(source("i", "l"), kInputs, kDir, 0);
  ASSERT_TRUE(data);
  const std::vector<int64_t> order = epochOrder(40, 1, 1, true);
  const std::span<const int64_t> examples = std::span(order).first(32);
  for (int threads : {1, 3}) {
    ThreadPool pool(threads);
    std::vector<float> rows(32 * 6), lanes(32 * 6);
    std::vector<int32_t> label(32);
    const BatchInput plain[] = {{&data->fields[0], rows.data(), false},
                                {&data->fields[1], label.data(), false}};
    const BatchInput blocked[] = {{&data->fields[0], lanes.data(), true}};
    gatherBatch(pool, plain, examples);
    gatherBatch(pool, blocked, examples);
    for (int n = 0; n < 32; ++n) {
      EXPECT_EQ(label[n], order[n] % 10);
      for (int i = 0; i < 6; ++i) {
        EXPECT_EQ(rows[n * 6 + i], static_cast<float>(order[n] * 6 + i) / 255.0f);
        EXPECT_EQ(lanes[(n / 16 * 6 + i) * 16 + n % 16], rows[n * 6 + i]);
      }
    }
    std::vector<float> alone(32 * 6);
    const BatchInput byCaller[] = {{&data->fields[0], alone.data(), false}};
    gatherBatch(pool, byCaller, examples, true);
    EXPECT_EQ(alone, rows);
    gatherBatch(pool, plain, examples.first(5)); // a partial batch
    std::ranges::fill(lanes, -1.0f);
    gatherBatch(pool, blocked, examples.first(21));
    for (int n = 0; n < 32; ++n)
      for (int i = 0; i < 6; ++i)
        EXPECT_EQ(lanes[(n / 16 * 6 + i) * 16 + n % 16], n < 21 ? rows[n * 6 + i] : 0.0f);
  }
}

TEST(GatherBatch, EveryPixelIsDividedAndRoundedOnce) {
  constexpr int64_t kExamples = 4, kElements = 77; // whole vectors, and a rest
  Field field{"x", "f", DType::U8, {kElements}, std::move(*Buffer::allocate(kExamples * kElements))};
  for (int64_t i = 0; i < kExamples * kElements; ++i)
    field.data.as<uint8_t>()[i] = static_cast<uint8_t>(i);
  std::vector<float> rows(kExamples * kElements);
  const BatchInput input[] = {{&field, rows.data(), false}};
  const int64_t examples[] = {0, 1, 2, 3};
  ThreadPool pool(1);
  gatherBatch(pool, input, examples);
  for (int64_t i = 0; i < kExamples * kElements; ++i)
    EXPECT_EQ(rows[i], static_cast<float>(i % 256) / 255.0f);
}

TEST(GatherBatch, BytesStayBytesInAnInputOfBytes) {
  Field field{"x", "f", DType::U8, {3}, std::move(*Buffer::allocate(6))};
  for (int i = 0; i < 6; ++i)
    field.data.as<uint8_t>()[i] = static_cast<uint8_t>(250 + i);
  std::vector<uint8_t> rows(7, 1);
  const BatchInput input[] = {{&field, rows.data(), false, DType::U8}};
  const int64_t examples[] = {1, 0};
  ThreadPool pool(1);
  gatherBatch(pool, input, examples);
  EXPECT_EQ(rows, (std::vector<uint8_t>{253, 254, 255, 250, 251, 252, 1}));
}

TEST(GatherBatch, PortMismatchIsRefused) {
  Field field{"x", "f", DType::U8, {6}, {}};
  gradc_port port{.name = "x", .layout = "", .dtype = 0, .rank = 2, .shape = {32, 6}, .bytes = 768};
  EXPECT_TRUE(checkBatchPort(port, field).ok());
  port.layout = "n16";
  EXPECT_TRUE(checkBatchPort(port, field).ok());
  port.layout = "n8";
  EXPECT_EQ(checkBatchPort(port, field).text, "argument 'x' (f32, layout 'n8') cannot be fed from 'x'");
  port.layout = "";
  port.shape[1] = 5;
  EXPECT_FALSE(checkBatchPort(port, field).ok());
}

} // namespace
