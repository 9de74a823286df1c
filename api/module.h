// What is behind the library's Module.
#pragma once

#include "api/gradc.h"
#include "ir/ir.h"

namespace gradc::api {

struct Module::Impl {
  ::gradc::Module module;
};
Module wrap(::gradc::Module module);

} // namespace gradc::api
