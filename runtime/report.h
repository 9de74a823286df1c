// report.html: one file without scripts or links, to be mailed or kept beside the weights.
#pragma once

#include <string>
#include <vector>

#include "runtime/records.h"

namespace gradc {

struct ReportInput {
  std::string title;
  std::string summary; // the model as text
  std::vector<EpochRecord> epochs;
  std::vector<StepTime> steps; // of the training step
};

std::string makeReport(const ReportInput &input);

} // namespace gradc
