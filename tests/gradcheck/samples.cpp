#include "tests/gradcheck/samples.h"

#include "tests/gradcheck/sample_table.h"

namespace gradc::test {

std::vector<Sample> gradientSamples(std::string_view op) {
  static const SampleTable table = [] {
    SampleTable all;
    addElementwiseSamples(all);
    addMovementSamples(all);
    addReductionSamples(all);
    addSpatialSamples(all);
    addCompositeSamples(all);
    return all;
  }();
  auto row = table.find(op);
  if (row == table.end())
    return {};
  SampleMaker maker(op);
  row->second(maker);
  return std::move(maker.samples);
}

std::string describe(std::string_view op, const Sample &sample) {
  std::vector<std::string> types;
  for (const Tensor &operand : sample.operands)
    types.push_back(toString(operand.type()));
  return fmt::format("{}({}) {}", op, fmt::join(types, ", "), toString(sample.attrs));
}

} // namespace gradc::test
