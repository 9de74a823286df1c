// A model as an object and a C header: functions over memory that the caller owns.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "driver/aot_programs.h"
#include "support/model_facts.h"
#include "support/result.h"

namespace gradc {

struct ObjectParts {
  ModelFacts facts;
  std::string modelFile, identity, dataFolder;
  std::map<std::string, std::string> metadata; // of weights files
  std::vector<CompiledVersion> versions;       // the best first
  std::string weights;                         // a safetensors file to embed; empty: none
  bool train = false;
  bool isShared = false; // a shared library instead of an object
  std::vector<std::string> compiler = {"cc"};
};

/// NAME.h
StatusOr<std::string> objectHeader(const ObjectParts &parts);
/// The C file that has the tables and the functions of the header.
StatusOr<std::string> objectSource(const ObjectParts &parts);
/// The bytes of NAME.o or libNAME.so.
StatusOr<std::string> linkObject(const ObjectParts &parts);

} // namespace gradc
