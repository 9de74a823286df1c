// What a compiled object shows to C: names, types and memory blocks.
#pragma once

#include <string>
#include <vector>

#include "driver/aot_object.h"

namespace gradc {

/// A name as C takes it: other characters become _, keywords get one more.
std::string cName(std::string_view name);
std::string_view cType(DType dtype);

/// A parameter, buffer or slot in its block.
struct BlockTensor {
  VariableSpec spec;
  int64_t offset = 0, bytes = 0;
};

/// A tensor that the caller passes to a function.
struct PassedTensor {
  std::string name; // the model's
  int32_t port = 0; // of the program
  DType dtype = DType::F32;
  std::vector<int64_t> shape; // of one example
  int64_t classes = 0;
};

/// A function of the model at all its batch sizes.
struct ObjectFunction {
  ProgramKind kind = ProgramKind::Infer;
  std::vector<const CompiledInstance *> instances; // ascending batch
  std::vector<PassedTensor> inputs, outputs;       // outputs: of a step the scalars, loss first
  int64_t workspace = 0;                           // enough for every version
  int64_t largestBatch() const { return instances.back()->key.batch; }
};

struct ObjectInterface {
  std::string prefix, upper; // lenet, LENET
  std::vector<BlockTensor> params, state;
  int64_t paramBytes = 0, stateBytes = 0;
  std::vector<std::string> hyper; // scheduled numbers, learning_rate first
};

/// Fails where a name is no C identifier's, or two become the same.
StatusOr<ObjectInterface> makeInterface(const ObjectParts &parts);
/// Of one version; it has no instances where the object has not the function.
ObjectFunction makeFunction(const ObjectParts &parts, const CompiledVersion &version, ProgramKind kind);

// The declarations, without the semicolon: for the header and for the definitions.
std::string initDeclaration(const ObjectInterface &face);
std::string loadDeclaration(const ObjectParts &parts, const ObjectInterface &face);
std::string saveDeclaration(const ObjectParts &parts, const ObjectInterface &face);
std::string inferDeclaration(const ObjectInterface &face, const ObjectFunction &infer);
std::string stepDeclaration(const ObjectInterface &face, const ObjectFunction &step);

/// Where an argument, a result and the scratch of a program lie in the workspace.
struct WorkspacePlan {
  std::vector<int64_t> args, results;
  int64_t scratch = 0, bytes = 0; // bytes: with the scratch of one thread
};
WorkspacePlan planWorkspace(const gradc_program &program);

} // namespace gradc
