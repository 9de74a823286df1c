// Reads the document into a Graph; see graph.h. Private to graph*.cpp.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "frontend/graph.h"

namespace gradc {

class GraphReader {
public:
  GraphReader(const JsonDocument &document, Diagnostics &diag) : document_(document), diag_(diag) {}
  Result<Graph> read();

private:
  /// What a block's input stands for: an operand as its user wrote it.
  struct Bound {
    size_t scope = 0;
    const Json *operand = nullptr;
  };
  /// Names within one use of a block (or the whole model: scope 0) begin with the prefix.
  struct Scope {
    std::string prefix;
    std::map<std::string, Bound, std::less<>> inputs;
  };
  struct Entity {
    enum class Kind : uint8_t { Input, Param, Node, Block, Failed } kind = Kind::Input;
    size_t index = 0;              // a block's: the scope of its last repetition
    const Json *outputs = nullptr; // of a block
  };

  // graph.cpp
  void readInputs();
  void readParams();
  void readOutputs();
  void readTerms(const char *key, std::vector<GraphTerm> &terms);
  void readTerm(const Json &term, std::vector<GraphTerm> &terms, bool single);
  void resolveNodes();
  void resolveTies(GraphNode &node, size_t scope);
  std::vector<Reference> resolveOperands(size_t scope, const Json *list);
  std::optional<Reference> resolve(size_t scope, const Json &operand, int depth = 0);
  std::optional<Reference> resolveEntity(const Entity &entity, int result, const Json &operand, int depth);
  const Entity *lookUp(size_t scope, std::string_view name) const;
  std::string proposeName(size_t scope, std::string_view name) const;
  void sortNodes();
  void reportCycle(const std::vector<size_t> &path);
  bool claimName(const std::string &name, Entity entity, JsonPlace place);
  void checkArity(const LayerUse &use, size_t given);

  // graph_expand.cpp
  void expandNodes(size_t scope, const Json &nodes);
  void expandNode(size_t scope, const Json &node);
  void expandBlock(size_t scope, const Json &node, const std::string &name);
  bool expandOnce(size_t user, const Json &node, const Json &block, Scope scope, const Json *previousOutputs);
  bool checkBlockUse(const Json &node, const Json &block, const std::string &name);
  const Json *findBlock(const Json &node, const std::string &name);
  Json substitute(const Json &value, const Json &node, const Json &block);

  template <class... Args> bool fail(const Json &at, fmt::format_string<Args...> format, Args &&...args) {
    reported_ = diag_.error(document_.loc(at), format, std::forward<Args>(args)...);
    return false;
  }

  const JsonDocument &document_;
  Diagnostics &diag_;
  std::optional<Reported> reported_;
  Graph graph_;
  std::map<std::string, Entity, std::less<>> entities_;
  std::vector<Scope> scopes_{Scope{}};
  std::vector<size_t> nodeScopes_; // by node
  std::vector<std::string> openBlocks_;
};

} // namespace gradc
