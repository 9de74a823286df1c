#!/usr/bin/env python3
"""Finds lit tests that check less than they seem to: misspelt directives, a missing colon, a prefix that no FileCheck
looks for, directives in a file without FileCheck, expected-error without --verify-diagnostics, files without RUN."""
import pathlib
import re
import sys

SUFFIXES = r"-NEXT|-SAME|-NOT|-DAG|-LABEL|-EMPTY|-COUNT-\d+"
LIT_KEYWORDS = {"RUN", "XFAIL", "REQUIRES", "UNSUPPORTED", "ALLOW_RETRIES", "END", "DEFINE", "REDEFINE"}
PROSE = {"TODO", "NOTE", "JSON", "IR", "SSA", "SGD", "RELU", "CPU", "HTTP", "NAN", "ULP"}
EXPECTED = re.compile(r"expected-(error|warning|note|remark)(-re)?(@([+-]\d+|above|below|unknown))? \{\{.+?\}\}")


def prefixes(runs):
    """The prefixes that the FileCheck commands of the RUN lines look for."""
    found = set()
    for command in re.findall(r"FileCheck\b[^|&;\n]*", runs):
        named = re.findall(r"--?check-prefix(?:es)?[= ]([\w,-]+)", command)
        found.update(prefix for names in named for prefix in names.split(",")) if named else found.add("CHECK")
    return found


def comment(line, is_text):
    """The text of a line where directives may stand."""
    match = re.match(r"\s*(?://|#|;)+\s*(.*)", line)
    if match:
        return match[1]
    if is_text:
        return line.strip()
    match = re.search(r"\s//\s*(.*)", line)
    return match[1] if match else None


def near(word, prefixes_):
    """A word that is a prefix with a typing error: one letter missing, added, changed or swapped."""
    for prefix in prefixes_:
        if word == prefix:
            continue
        if sorted(word) == sorted(prefix):
            return prefix
        for i in range(len(prefix)):
            if word == prefix[:i] + prefix[i + 1:]:
                return prefix
        for i in range(len(word)):
            if word[:i] + word[i + 1:] == prefix:
                return prefix
        if len(word) == len(prefix) and sum(a != b for a, b in zip(word, prefix)) == 1:
            return prefix
    return None


def check_directive(text, declared):
    """What is wrong with a comment that looks like a directive, or None."""
    match = re.match(r"([A-Z][A-Z0-9_]*(?:-[A-Z0-9_]+)*)(\s*)(:?)", text)
    if not match:
        return None
    word, space, colon = match.groups()
    base = re.sub(f"({SUFFIXES})$", "", word)
    if base in LIT_KEYWORDS:
        return None if colon and not space else f"'{word}' has no colon"
    if base in declared:
        if colon and not space:
            return None
        follows = text[len(word):].strip()
        # A capital word that begins prose is no directive, unless the suffix shows what it was meant to be.
        return f"'{word}' has no colon" if word != base or follows.startswith(":") or word == "CHECK" else None
    if any(word.startswith(prefix + "-") or word.startswith(prefix + "_") for prefix in declared):
        return f"'{word}' is no directive: known are PREFIX:, {SUFFIXES.replace('|', ':, ')}:"
    meant = near(base, declared | {"CHECK", "RUN"})
    if meant and (colon or word != base):
        return f"'{word}' is misspelt: '{meant}' is meant"
    if colon and not space and base not in PROSE:
        return f"no FileCheck looks for the prefix '{base}'"
    return None


def problems(text, is_text=False):
    lines = text.splitlines()
    runs = "\n".join(line.split("RUN:", 1)[1] for line in lines if "RUN:" in line).replace("\\\n", " ")
    if not runs:
        yield 1, "no RUN line"
        return
    declared = prefixes(runs)
    used = set()
    for number, line in enumerate(lines, 1):
        body = comment(line, is_text)
        if "RUN:" in line:
            continue
        if body:
            why = check_directive(body, declared)
            if why:
                yield number, why
        for prefix in declared:
            if re.search(rf"\b{prefix}({SUFFIXES})?:", line):
                used.add(prefix)
        if re.search(r"\bexpected-(error|warning|note|remark)\b", line):
            if "--verify-diagnostics" not in runs:
                yield number, "expected-… without --verify-diagnostics"
            elif len(re.findall(r"\bexpected-[a-z]+", line)) != len(EXPECTED.findall(line)):
                yield number, "expected-… is not followed by {{text}}"
        elif re.search(r"//\s*expec?te?d?-\w+.*\{\{", line):
            yield number, "expected-… is misspelt"
    for prefix in sorted(declared - used):
        yield 1, f"no line has the prefix '{prefix}' that FileCheck looks for"


def self_test():
    run = "// RUN: gradc opt %s | FileCheck %s\n"
    good = run + "// CHECK: a\n// CHECK-NEXT: b\n// A comment: with prose.\n// CHECK-COUNT-3: c\n"
    assert not list(problems(good)), list(problems(good))
    bad = {
        "no RUN": "// CHECK: a\n",
        "missing colon": run + "// CHECK: a\n// CHECK-NEXT b\n",
        "space before colon": run + "// CHECK: a\n// CHECK-NEXT : b\n",
        "misspelt suffix": run + "// CHECK: a\n// CHECK-NXET: b\n",
        "underscore": run + "// CHECK: a\n// CHECK_NEXT: b\n",
        "misspelt word": run + "// CHECK: a\n// CHEKC: b\n",
        "undeclared prefix": run + "// CHECK: a\n// OTHER: b\n",
        "without FileCheck": "// RUN: gradc opt %s\n// CHECK: a\n",
        "unused prefix": "// RUN: gradc opt %s | FileCheck %s --check-prefixes=A,B\n// A: x\n",
        "not verified": "// RUN: gradc opt %s\n%x = 1 // expected-error {{x}}\n",
        "no braces": "// RUN: gradc opt %s --verify-diagnostics\n%x = 1 // expected-error x\n",
        "misspelt expected": "// RUN: gradc opt %s --verify-diagnostics\n%x = 1 // expeted-error {{x}}\n",
    }
    for name, text in bad.items():
        assert list(problems(text)), name


if __name__ == "__main__":
    self_test()
    root = pathlib.Path(sys.argv[1])
    failed = False
    for path in sorted((root / "tests/lit").rglob("*")):
        if path.suffix not in (".gir", ".json", ".test") or "Inputs" in path.parts:
            continue
        for line, why in problems(path.read_text(), path.suffix == ".test"):
            failed = True
            print(f"{path.relative_to(root)}:{line}: error: {why}")
    sys.exit(failed)
