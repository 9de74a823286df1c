#!/usr/bin/env python3
"""Compares the names and values that the stand-ins declare with those of NVIDIA's headers, where there are any.

  check_abi.py SOURCE INCLUDE    INCLUDE: a toolkit's include folder
"""
import pathlib
import re
import sys

PAIRS = [("tests/cudasim/driver/cuda_abi.h", ["cuda.h"]),
         ("tests/cudasim/driver/cuda_results.h", ["cuda.h"]),
         ("tests/cudasim/blas/cublas_abi.h", ["cublas_api.h", "cublasLt.h", "library_types.h"])]
ENTRY = re.compile(r"\b(CU[A-Z0-9_]*_[A-Z0-9_]+)\s*=\s*([^,}\n]+)")
TABLE = re.compile(r"X\((CU\w+), (-?\d+),")


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)


def values(text, known=None):
    """Names and numbers of enumerations; expressions may use names that came before."""
    found = dict(known or {})
    for name, expression in ENTRY.findall(text) + TABLE.findall(text):
        try:
            found[name] = int(eval(expression, {}, found))  # names, numbers and | only: see ENTRY
        except (NameError, SyntaxError, TypeError):
            pass
    return found


def problems(source, include):
    for ours, headers in PAIRS:
        theirs = {}
        for header in headers:
            theirs = values(without_comments((include / header).read_text(errors="replace")), theirs)
        mine = values(without_comments((source / ours).read_text()))
        assert len(mine) > 20, f"{ours}: only {len(mine)} values found"
        for name, value in mine.items():
            if name.endswith(("_MAX", "_NUM_OPTIONS")):
                continue  # the ends of the lists, which have no number there
            if name not in theirs:
                yield f"{ours}: {name} is in none of {', '.join(headers)}"
            elif theirs[name] != value:
                yield f"{ours}: {name} is {value}, {theirs[name]} in {', '.join(headers)}"


if __name__ == "__main__":
    found = list(problems(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
    print("\n".join(found))
    sys.exit(bool(found))
