#include "passes/reproducer_util.h"

#include <fstream>
#include <sstream>

#include <unistd.h>

#include <fmt/format.h>

#include "ir/text.h"

namespace gradc {
namespace {

/// The command line of this process, as a shell would take it.
std::string commandLine() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::stringstream all;
  all << file.rdbuf();
  std::string text;
  for (std::string word; std::getline(all, word, '\0');) {
    bool plain = word.find_first_of(" '\"{}*$\\\n") == std::string::npos;
    text += fmt::format("{}{}", text.empty() ? "" : " ", plain ? word : "'" + word + "'");
  }
  return text;
}

std::string writeReproducer(void *context) {
  const Reproducer &reproducer = *static_cast<const Reproducer *>(context);
  std::string folder = reproducer.folder.empty() ? "." : reproducer.folder;
  std::string path = fmt::format("{}/gradc-reproducer-{}.gir", folder, getpid());
  std::ofstream file(path);
  file << reproducerText(reproducer);
  file.close();
  return file ? path : "";
}

} // namespace

std::string reproducerText(const Reproducer &reproducer) {
  return fmt::format("// gradc opt --passes='{}'\n// command: {}\n{}", toString(reproducer.rest),
                     commandLine(), print(reproducer.input, {.locations = true}));
}

ScopedReproducer::ScopedReproducer(Reproducer &reproducer)
    : former_(setReproducer({writeReproducer, &reproducer})) {}

} // namespace gradc
