// The rows of the model file's grammar, one function per object. They refer to one another by function, so no
// order of initialisation matters.
#pragma once

#include "frontend/keys.h"

namespace gradc {

// model_keys.cpp
const ObjectSpec &inputSpec();
const ObjectSpec &parameterSpec();     // of a layer
const ObjectSpec &freeParameterSpec(); // of "params", with a shape
const ObjectSpec &blockSpec();
const UnionSpec &initUnion();

// layers.cpp, from the layer table and the op table
const UnionSpec &nodeUnion();
const UnionSpec &activationUnion();
const UnionSpec &lossUnion();
const UnionSpec &metricUnion();

// train_keys.cpp
const ObjectSpec &trainSpec();
const UnionSpec &scheduleUnion();
const UnionSpec &scheduledNumberUnion(); // a schedule with its own base value

// data_keys.cpp
const ObjectSpec &dataSpec();

inline constexpr double kMaxSize = 2147483647; // of one dimension or count in a model file

} // namespace gradc
