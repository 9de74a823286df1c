// How --help shows options: a short word for the value, the choices where there are few.
#pragma once

#include <memory>

namespace CLI {
class FormatterBase;
}

namespace gradc {

std::shared_ptr<CLI::FormatterBase> helpFormatter();

} // namespace gradc
