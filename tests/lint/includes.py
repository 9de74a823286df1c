#!/usr/bin/env python3
"""Fails when a source file includes what its folder may not: arrows go one way (docs/architecture.md)."""
import pathlib
import re
import sys

# folder: what it may include of ours, besides itself
ALLOWED = {
    "support": [],
    "ir": ["support/"],
    "passes": ["ir/", "support/"],
    "frontend": ["ir/", "support/"],
    "runtime": ["support/"],
    "standalone": ["support/", "runtime/"],
    "codegen": ["ir/", "support/", "runtime/abi.h", "runtime/cuda/abi.h"],
    "driver": ["ir/", "support/", "passes/", "frontend/", "runtime/", "codegen/"],
    "api": ["ir/", "support/", "passes/", "frontend/", "runtime/", "codegen/", "driver/"],
}
# the rooms of the CPU's generator: what they may include of each other; codegen/cpu/'s own headers serve them all
ROOMS = {
    "codegen/cpu/elements/": [],
    "codegen/cpu/contract/": ["codegen/cpu/elements/"],
    "codegen/cpu/loops/": ["codegen/cpu/elements/", "codegen/cpu/contract/"],
    "codegen/cpu/amx/": ["codegen/cpu/elements/", "codegen/cpu/contract/"],
    "codegen/cpu/winograd/": ["codegen/cpu/elements/", "codegen/cpu/contract/"],
}
# foreign headers: where alone they may stand
CONFINED = [
    (r"llvm/|llvm-c/", r"codegen/cpu/.*", "LLVM's headers stand in codegen/cpu only"),
    (r"nlohmann/", r".*\.cpp", "nlohmann/json's headers stand in .cpp files only"),
    (r"CLI/", r"driver/command_line\.cpp", "CLI11's headers stand in driver/command_line.cpp only"),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


def room_of(path):
    return next((room for room in ROOMS if path.startswith(room)), None)


def problem(path, quote, header):
    folder = path.split("/")[0]
    for pattern, place, why in CONFINED:
        if re.match(pattern, header) and not re.fullmatch(place, path):
            return why
    if quote == "<" or header.endswith(".inc") or header.startswith("llvm/"):
        return None
    room, other = room_of(path), room_of(header)
    if room and other and other not in [room] + ROOMS[room]:
        return f"{room} may include {', '.join(ROOMS[room]) or 'no other room'}"
    if any(header.startswith(prefix) for prefix in [folder + "/"] + ALLOWED[folder]):
        return None
    if header.split("/")[0] in ALLOWED:
        return f"{folder}/ may include {', '.join(ALLOWED[folder]) or 'nothing else of ours'}"
    return "headers of ours are named by their path from the root"


def problems(root):
    for folder in ALLOWED:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".h", ".cpp", ".c"):
                continue
            name = path.relative_to(root).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                why = match and problem(name, match[1], match[2])
                if why and not match[2].startswith("xxhash"):
                    yield f"{name}:{number}: error: includes {match[2]}, but {why}"


def self_test():
    assert problem("ir/a.cpp", '"', "passes/pass.h")
    assert problem("runtime/a.cpp", '"', "ir/ir.h")
    assert problem("codegen/cpu/a.cpp", '"', "runtime/executor.h")
    assert problem("ir/a.cpp", '"', "op.h")
    assert problem("passes/a.cpp", '"', "llvm/IR/Module.h")
    assert problem("codegen/cpu/elements/a.cpp", '"', "codegen/cpu/contract/a.h")
    assert not problem("codegen/cpu/amx/a.cpp", '"', "codegen/cpu/contract/a.h")
    assert problem("frontend/a.h", "<", "nlohmann/json.hpp")
    assert not problem("codegen/cpu/a.cpp", '"', "runtime/abi.h")
    assert not problem("ir/a.cpp", '"', "ir/ops/util.h")


if __name__ == "__main__":
    self_test()
    found = list(problems(pathlib.Path(sys.argv[1])))
    print("\n".join(found))
    sys.exit(bool(found))
