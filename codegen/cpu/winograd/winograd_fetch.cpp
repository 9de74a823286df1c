#include "codegen/cpu/winograd/winograd_fetch.h"

#include <algorithm>

#include "codegen/cpu/contract/block_copy.h"
#include "ir/winograd.h"

namespace gradc {
namespace {

constexpr int64_t kVector = kVectorLanes * 4;

/// Where run `number` of a patch begins, which has so many in each channel.
llvm::Value *runAt(Emit &e, llvm::Value *number, int64_t rows, int64_t channelBytes, int64_t rowBytes) {
  return e.add(e.mul(e.div(number, rows), channelBytes), e.mul(e.mod(number, rows), rowBytes));
}

} // namespace

llvm::Value *WinogradFetch::patches(llvm::Value *images, llvm::Value *first) const {
  return e.offset(images, winogradCorner(e, nest_, winogradPlace(e, nest_, first)));
}

/// Rows of patches, all of one channel: as many as the item's are for each of its tiles, of all points and panels. Where that
/// were more than a channel's, some are not fetched.
int64_t WinogradFetch::runsOfTile() const {
  const int64_t patch = nest_.algorithm.patch(),
                tiles = countTiles(nest_.panelRuns()) * nest_.algorithm.points();
  int64_t runs = std::min(patch, ceilDiv(imageRuns(), tiles));
  while (patch % runs != 0)
    ++runs;
  return runs;
}

/// Neighbouring patches overlap.
int64_t WinogradFetch::runLines(int64_t columns) const {
  return (columns - 1) * nest_.algorithm.width + nest_.algorithm.patchWidth();
}

Values WinogradFetch::share(const Tile &tile) const {
  const int64_t patch = nest_.algorithm.patch(), runs = runsOfTile();
  llvm::Value *number = e.add(e.mul(tile.panel, nest_.algorithm.points()), tile.point);
  llvm::Value *run = e.atMost(e.mul(number, runs), imageRuns() - runs);
  llvm::Value *rows = e.offset(tile.next, runAt(e, run, patch, nest_.inChannel(), nest_.inRow()));
  rows = e.offset(rows, e.mul(tile.column, nest_.algorithm.width * kVector));
  // There are more points than channels and tiles of a register tile: each fetches for one of them.
  llvm::Value *pair = e.mod(tile.point, tile.rows * tile.columns);
  const WinogradPlace place = winogradPlace(e, nest_, e.add(tile.place, e.mod(pair, tile.columns)));
  return {rows, place.block, e.add(tile.channel, e.div(pair, tile.columns)), place.row, place.column};
}

void WinogradFetch::emit(const Values &share, int64_t columns, llvm::Value *iteration,
                         int64_t iterations) const {
  const int64_t lines = ceilDiv(runsOfTile() * runLines(columns), iterations);
  emitBlockPrefetch(e, {share[0], nest_.inRow()}, runLines(columns), e.mul(iteration, lines), lines);
  emitFetchPlace(e, store_,
                 {share[1], share[2], share[3], share[4], 1, nest_.algorithm.tile, nest_.algorithm.width},
                 iteration, iterations);
}

llvm::Value *WinogradFarFetch::share(llvm::Value *next, llvm::Value *slot, llvm::Value *column) const {
  llvm::Value *part = e.mod(slot, ceilDiv(nest_.tile.vectors, lines()));
  return e.offset(e.offset(next, winogradColumn(e, nest_, column)),
                  e.mul(part, nest_.chunk * lines() * kVector));
}

void WinogradFarFetch::emit(llvm::Value *share, llvm::Value *iteration) const {
  llvm::Value *first = e.offset(share, e.mul(iteration, lines() * kVector));
  for (int64_t i = 0; i < lines(); ++i)
    emitPrefetch(e, e.offset(first, i * kVector), Cache::L2);
}

int64_t WinogradWeightFetch::registerTiles() const {
  return nest_.points() * nest_.partPanels() * countTiles(nest_.rowRuns());
}

Values WinogradWeightFetch::share(const Next &next, llvm::Value *number) const {
  auto first = [&](int64_t runs) {
    return e.atMost(e.mul(number, runsOfTile(runs)), runs - runsOfTile(runs));
  };
  const WinogradNest &image = nest_.image;
  return {e.offset(next.image,
                   runAt(e, first(imageRuns()), image.algorithm.patch(), image.inChannel(), image.inRow())),
          e.offset(next.gradient,
                   runAt(e, first(gradientRuns()), nest_.gradient.kernel, nest_.channel(), nest_.row())),
          next.first};
}

void WinogradWeightFetch::emit(const Values &share, llvm::Value *tile) const {
  const WinogradPlace place = winogradPlace(e, nest_.image, e.add(share[2], tile));
  fetchRuns(e.offset(share[0], winogradCorner(e, nest_.image, place)), runsOfTile(imageRuns()),
            nest_.image.inRow());
  fetchRuns(e.offset(share[1], gradientCorner(e, nest_, place)), runsOfTile(gradientRuns()), nest_.row());
}

void WinogradWeightFetch::emitSums(llvm::Value *sums, int64_t count, llvm::Value *tile) const {
  const int64_t share = ceilDiv(count, nest_.slab);
  llvm::Value *first = e.atMost(e.mul(tile, share), count - share);
  for (int64_t i = 0; i < share; ++i)
    emitPrefetch(e, e.offset(sums, e.mul(e.add(first, e.i64(i)), kVector)), Cache::L2, true);
}

/// What a patch shares with the next one is left to that.
void WinogradWeightFetch::fetchRuns(llvm::Value *start, int64_t runs, int64_t pitch) const {
  const int64_t lines = nest_.gradient.kernel;
  emitBlockPrefetch(e, {start, pitch}, lines, e.i64(0), runs * lines);
}

} // namespace gradc
