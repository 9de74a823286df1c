// --verify-diagnostics: a test file says which diagnostics it expects, in comments beside what causes them.
//
//   %a = add(%x, %y) // expected-error {{lhs is f32[2] but rhs is f32[3]}}
//   // expected-remark@+1 {{fused}}
//
// error, warning, note and remark; @+N, @-N, @above, @below, @unknown (no place is known); -re: the text is a
// literal with {{extended regular expressions}} in it, otherwise a part of the message.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/diagnostics.h"

namespace gradc {

/// What is expected but was not reported, and the reverse, as lines to print; empty: all is as expected.
/// Line numbers of `text` begin at `firstLine`.
std::vector<std::string> compareDiagnostics(std::string_view text, std::string_view file, uint32_t firstLine,
                                            const Diagnostics &diag);

} // namespace gradc
