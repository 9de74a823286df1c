#pragma once

#include <functional>
#include <map>

#include "tests/gradcheck/sample_maker.h"

namespace gradc::test {

/// Op → what adds its samples; each family's file fills in its ops.
using SampleTable = std::map<std::string, std::function<void(SampleMaker &)>, std::less<>>;
void addElementwiseSamples(SampleTable &table);
void addMovementSamples(SampleTable &table);
void addReductionSamples(SampleTable &table);
void addSpatialSamples(SampleTable &table);
void addCompositeSamples(SampleTable &table);

} // namespace gradc::test
