#!/usr/bin/env python3
"""What compiled LeNets promise: sizes, libraries, the same bits as gradc, a chroot, processors.

  standalone.py GRADC EXAMPLES DATA SCRATCH [--steps 200]
"""
import argparse
import json
import os
import re
import shutil
import subprocess

from promises import check, copy_libraries, finish, run, sha256

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("examples")
parser.add_argument("data")
parser.add_argument("scratch")
parser.add_argument("--steps", type=int, default=200)
args = parser.parse_args()
lenet = os.path.join(args.examples, "lenet.json")


def path(*parts):
    return os.path.join(args.scratch, *parts)


def sha(*parts):
    return sha256(path(*parts))


def compile(output, *flags):
    run(args.gradc, "compile", lenet, "-o", path(output), *flags)


def train(program, out, steps, *flags):
    run(*program, "train", *([lenet] if program == gradc else []), "--data", args.data, "--out", path(out), "--epochs",
        "1", "--limit-batches", str(steps), "--progress", "none", *flags)


def text_bytes(file):
    """Code of an object: sections that are executed."""
    lines = run("size", "-A", path(file)).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(".text"))


gradc = [args.gradc]
shutil.rmtree(args.scratch, ignore_errors=True)
os.makedirs(args.scratch)

compile("lenet", "--data", args.data, "--entry", "train")
# Kernels for narrower vectors are longer, so the size is that for one processor, whatever this one is.
compile("lenet-amx", "--data", args.data, "--entry", "train", "--mcpu", "sapphirerapids")
size = os.path.getsize(path("lenet-amx"))
check(f"the executable has {size} bytes, at most 400 KB", size <= 400 * 1024)
needed = sorted(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", path("lenet"))))
check(f"it links {', '.join(needed)}", needed == ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libz.so.1"])
libraries = sorted(line.split()[0].split(".")[0] for line in run("ldd", path("lenet")).splitlines())
loaded = {"linux-vdso", "libstdc++", "libz", "libm", "libc", "/lib64/ld-linux-x86-64"}
# libstdc++ itself asks for libgcc_s.
check(f"it loads {', '.join(libraries)}", set(libraries) == loaded | {"libgcc_s"})
versions = set(re.findall(r"@([A-Z]+)_([0-9.]+)", run("nm", "-D", "-u", path("lenet"))))
newest = {of: max((v for name, v in versions if name == of), key=lambda v: [int(part) for part in v.split(".")])
          for of in sorted({name for name, _ in versions})}
oldest = {"GLIBC": [2, 34], "GLIBCXX": [3, 4, 29], "CXXABI": [1, 3, 13], "ZLIB": [1, 2, 9]}
check(f"its symbols are of {newest}, which systems of 2021 have",
      all([int(part) for part in v.split(".")] <= oldest[of] for of, v in newest.items()))

compile("lenet.o", "--entry", "infer", "--batch", "1")
code = text_bytes("lenet.o")
check(f"the object for inference has {code} bytes of code, at most 150 KB", code <= 150 * 1024)
undefined = [line.split()[-1] for line in run("nm", "-u", path("lenet.o")).splitlines()]
check(f"it needs {', '.join(undefined) or 'no symbol'}", not undefined)

# The same command makes the same bytes, wherever, by however many threads, with the cache and without.
digests = set()
for number in range(20):
    folder = f"again{number % 5}"
    os.makedirs(path(folder), exist_ok=True)
    one = ["taskset", "-c", "0"] if number % 4 < 2 else []
    run(*one, args.gradc, "compile", os.path.abspath(lenet), "-o", "lenet", "--data", args.data, "--entry", "train",
        *(["--no-cache"] if number % 2 else []), cwd=path(folder))
    digests.add(sha(folder, "lenet"))
check("20 compilations make the same bytes", digests == {sha("lenet")})

train(gradc, "gradc", args.steps)
train([path("lenet")], "alone", args.steps)
check(f"{args.steps} steps give the same weights", sha("gradc", "last.safetensors") == sha("alone", "last.safetensors"))
half = ["--max-time", "0.05s"]
for first, second, out in ((gradc, [path("lenet")], "to-alone"), ([path("lenet")], gradc, "to-gradc")):
    started = subprocess.run([*first, "train", *([lenet] if first == gradc else []), "--data", args.data, "--out", path(out),
                              "--epochs", "1", "--limit-batches", str(args.steps), "--progress", "none", *half],
                             capture_output=True, text=True)
    check(f"{out}: a stopped run says so ({started.returncode})", started.returncode == 75)
    train(second, out, args.steps, "--resume", "auto")
    check(f"{out}: resumed in the other, the same weights",
          sha("gradc", "last.safetensors") == sha(out, "last.safetensors"))



def first_step():
    """Milliseconds from the start to the end of the first step, without those of waiting for data."""
    train([path("lenet")], "first", 1)
    with open(path("first", "metrics.jsonl")) as file:
        event = next(e for e in map(json.loads, file) if e.get("event") == "first_step")
    return (event["seconds"] - event["data_seconds"]) * 1e3


# A time is told, not tested: what else runs on the machine decides, too. The aim is 50 ms.
print(f"the first step ends {min(first_step() for _ in range(5)):.1f} ms after the start, data apart")

# A folder that holds nothing but the program, its libraries and the data.
if os.geteuid() != 0:
    print("skipped: chroot needs root")
else:
    for flags, name in (((), "lenet"), (("--static",), "lenet-static")):
        if flags:
            compile(name, "--data", args.data, "--entry", "train", *flags)
        root = path("root-" + name)
        os.makedirs(os.path.join(root, "data"))
        shutil.copy(path(name), root)
        for file in os.listdir(args.data):
            shutil.copy(os.path.join(args.data, file), os.path.join(root, "data"))
        if not flags:
            copy_libraries(path(name), root)
        run("/usr/sbin/chroot", root, "/" + name, "train", "--data", "/data", "--out", "/run", "--epochs", "1", "--limit-batches",
            str(args.steps), "--progress", "none", env={})
        check(f"{name}: in an empty chroot, the same weights",
              sha("root-" + name, "run", "last.safetensors") == sha("gradc", "last.safetensors"))

# Other processors.
if not shutil.which("qemu-x86_64"):
    print("skipped: other processors need qemu-x86_64 (Debian's qemu-user)")
else:
    # Emulated vectors are slow: one step over 16 synthetic pictures, by one thread.
    small = [word for name in ("train", "validation", "test")
             for word in ("--set", f'/data/{name}={{"type": "synthetic", "examples": 16}}')]
    small += ["--set", "/train/batch_size=16"]
    short = ["train", "--epochs", "1", "--threads", "1", "--progress", "none", "--out"]

    def emulate(program, cpu, out, code=0):
        return run("qemu-x86_64", "-cpu", cpu, path(program), *short, path(out), code=code)

    run(args.gradc, *short, path("three"), lenet, *small)
    for level, cpu, code in (("x86-64-v3", "Haswell-noTSX", 0), ("x86-64-v4", "Haswell-noTSX", 6), ("x86-64-v2", "Nehalem", 0)):
        compile("level", "--entry", "train", "--mcpu", level, *small)
        said = emulate("level", cpu, level, code)
        if code == 6:
            check("it says what is missing", "this executable was compiled for x86-64-v4, and this processor lacks" in said)
        else:
            check(f"{level} code trains on {cpu}", os.path.exists(path(level, "last.safetensors")))
    compile("any", "--entry", "train", "--multi-versioned", *small)
    for cpu in ("Haswell-noTSX", "Nehalem"):
        emulate("any", cpu, "any-" + cpu)
        check(f"one file for all, on {cpu}", cpu != "Haswell-noTSX" or
              sha("any-" + cpu, "last.safetensors") == sha("three", "last.safetensors"))
finish()
