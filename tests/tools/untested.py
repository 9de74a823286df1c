#!/usr/bin/env python3
"""Lists what the tests do not touch; an empty list is a test.

  untested.py SOURCE GRADC

Looks at every message that a user can see (the diagnostics of ir, frontend, passes, the verifier's rules, the
failures of support, runtime and driver), every attribute of every op, and every rule of canonicalize. A message
counts as tested where a test expects its longest literal part; an attribute where a test file sets it on the op; a
rule where a test file of canonicalize says `rule: NAME`.
"""
import os
import re
import subprocess
import sys

source, gradc = sys.argv[1:]
FOLDERS = ["ir", "frontend", "passes", "support", "runtime", "standalone", "codegen", "driver", "api"]
CALLS = r"error|warning|remark|note|refuse|fail|failure|ioFailure|ioError|bad|refused|problem|wrong"
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
# Messages that no test can provoke, each with its reason.
EXEMPT = {
    "out of memory: cannot allocate {} bytes": "needs a machine that is out of memory",
    "LLVM cannot make code for {}: {}": "a failure inside of LLVM",
    "NVRTC {} fails: {}": "a failure inside of NVRTC",
    "cuBLAS: {} failed with status {}": "a failure inside of cuBLAS",
    "linking compiled kernels: ": "a failure inside of LLVM",
    "more than 4 GiB do not fit an .npz file": "needs 4 GiB",
    "the validation split leaves no training examples": "a split below 1 leaves one, unless the data set is empty",
    "program '{}': variable '{}' does not fit the model's": "both are made from one model",
    "a kernel's types are those that its region yields": "parser and verifier take them from the region",
    "cannot make a folder '{}': {}": "the folder of temporary files is there and refuses a new one",
    "cannot make '{}' executable: {}": "the file was written the moment before",
    "the model is wrong": "a model that failed has a message of its own",
}


def files(folder, *endings):
    for root, _, names in os.walk(os.path.join(source, folder)):
        for name in sorted(names):
            if name.endswith(endings):
                yield os.path.join(root, name)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def call_text(text, start):
    """From the opening parenthesis to its match, strings skipped."""
    depth, at = 0, start
    while at < len(text):
        if text[at] == '"':
            at = LITERAL.match(text, at).end()
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            return text[start:at]
    return text[start:]


def first_message(call):
    """The first literal of a call that is a sentence, with those that follow it directly."""
    at = 0
    while match := LITERAL.search(call, at):
        message, at = match.group(1), match.end()
        while more := re.compile(r'\s*"((?:[^"\\]|\\.)*)"').match(call, at):
            message, at = message + more.group(1), more.end()
        if " " in message.strip() and re.search("[a-z]{2}", message):
            return message
    return None


def messages():
    found = {}
    starts = re.compile(r"(?<![\w:])(?:\w+[.>:]+)*(%s)\(|ExitCode::\w+, (?:fmt::)?(format)?\(?|return (?:fmt::)?(format)\(|unexpected\((?:fmt::)?(format)\(" % CALLS)
    for folder in FOLDERS:
        for path in files(folder, ".cpp", ".h"):
            text = re.sub(r"^\s*//.*$", "", read(path), flags=re.M)
            for match in starts.finditer(text):
                if match.group(0).startswith("return") and not is_problem(text, match.start()):
                    continue
                open_at = text.find("(", match.start()) if "(" in match.group(0) else match.start()
                message = first_message(call_text(text, open_at) if text[open_at] == "(" else text[open_at:open_at + 300].split(";")[0])
                if message:
                    found.setdefault(message, os.path.relpath(path, source))
    return found


def is_problem(text, at):
    """Whether the function around a `return format(` gives a problem's text."""
    head = text.rfind("\n}", 0, at)
    return re.search(r"Problem|optional<std::string>|std::string why|std::string check", text[head:at]) is not None


def longest_part(message):
    text = message.replace('\\"', '"').replace("\\n", "\n").replace("\\\\", "\\")
    text = text.replace("{{", "\0").replace("}}", "\1")
    parts = [p.replace("\0", "{").replace("\1", "}") for p in re.split(r"\{[^{}]*\}|\n", text)]
    return max((p.strip() for p in parts), key=len)


def tests_text():
    text = []
    for path in files("tests", ".gir", ".json", ".test", ".cpp", ".py", ".txt", ".h"):
        if os.path.basename(path) != "untested.py":
            text.append(read(path))
    return "\n".join(text)


def attributes():
    """(op, attribute) for all ops, from the reference that gradc prints."""
    reference = subprocess.run([gradc, "ops", "--markdown"], capture_output=True, text=True, check=True).stdout
    op = None
    for line in reference.splitlines():
        if match := re.match(r"### `(\w+)\(", line):
            op = match.group(1)
        elif op and (match := re.match(r"- `(\w+)` \(", line)):
            yield op, match.group(1)


def rules():
    text = "".join(read(path) for path in files("passes", ".cpp") if "canonicalize" in path)
    return re.findall(r'^\s*\{"([a-z0-9-]+)", \{', text, flags=re.M)


tests = tests_text()
missing = []
for message, path in sorted(messages().items(), key=lambda item: (item[1], item[0])):
    part = longest_part(message)
    if part not in tests and message not in EXEMPT:
        missing.append(f"{path}: message: {message}")
for op, attribute in attributes():
    if not re.search(r"\b%s\b[^\n]*\b%s\b" % (op, attribute), tests) and not re.search(
            r'"%s"[\s\S]{0,400}"%s"' % (op, attribute), tests):
        missing.append(f"op {op}: attribute {attribute}")
for rule in rules():
    if f"rule: {rule}\n" not in tests:
        missing.append(f"canonicalize: rule {rule}")

print("\n".join(missing) if missing else "all messages, attributes and rules are tested")
sys.exit(1 if missing else 0)
