#!/usr/bin/env python3
"""What a LeNet compiled for CUDA devices promises: its size, libraries, the same bits as gradc, the same bytes, a chroot.

  standalone_cuda.py GRADC EXAMPLES DATA SCRATCH SIMULATOR [--steps 3]
"""
import argparse
import os
import re
import shutil
import sys

from promises import check, copy_libraries, finish, run, sha256

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("examples")
parser.add_argument("data")
parser.add_argument("scratch")
parser.add_argument("simulator")
parser.add_argument("--steps", type=int, default=3)
args = parser.parse_args()
lenet = os.path.abspath(os.path.join(args.examples, "lenet.json"))


def path(*parts):
    return os.path.join(args.scratch, *parts)


ptx = path("ptx")
device = dict(os.environ, LD_LIBRARY_PATH=args.simulator, GRADC_CUDA_PTX_DIR=ptx, CUDASIM_PTX_DIR=ptx)


def sha(*parts):
    return sha256(path(*parts))


def compile(output, *flags, **more):
    run(args.gradc, "compile", lenet, "--data", args.data, "--entry", "train", "--mcpu", "sapphirerapids", "--device", "cuda",
        "--arch", "sm_80,sm_90", "-o", output, *flags, env=device, **more)


short = ["--epochs", "1", "--limit-batches", str(args.steps), "--progress", "none"]
if not os.path.exists(os.path.join(args.simulator, "libcuda.so.1")):
    print("skipped: the simulated CUDA device is not built")
    sys.exit(0)
shutil.rmtree(args.scratch, ignore_errors=True)
os.makedirs(ptx)
compile(path("lenet"))
size = os.path.getsize(path("lenet"))
check(f"the executable for two architectures and a processor has {size} bytes, at most 1 MB", size <= 1000 * 1000)
needed = sorted(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-dW", path("lenet"))))
check(f"it links {', '.join(needed)}", needed == ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libz.so.1"])

digests = set()
for number in range(4):
    os.makedirs(path(f"again{number % 2}"), exist_ok=True)
    compile("lenet", *(["--no-cache"] if number >= 2 else []), cwd=path(f"again{number % 2}"))
    digests.add(sha(f"again{number % 2}", "lenet"))
check("4 compilations make the same bytes", digests == {sha("lenet")})

run(args.gradc, "train", lenet, "--device", "cuda", "--data", args.data, "--out", path("gradc"), *short, env=device)
run(path("lenet"), "train", "--data", args.data, "--out", path("alone"), *short, env=device)
check(f"{args.steps} steps give the same weights", sha("gradc", "last.safetensors") == sha("alone", "last.safetensors"))

# A folder that holds nothing but the program, its libraries, the driver and the data: no NVRTC, no cuBLAS, no gradc.
if os.geteuid() != 0:
    print("skipped: chroot needs root")
else:
    root = path("root")
    for folder, source in (("data", args.data), ("ptx", ptx)):
        shutil.copytree(source, os.path.join(root, folder))
    shutil.copy(path("lenet"), root)
    os.makedirs(os.path.join(root, "driver"))
    shutil.copy(os.path.join(args.simulator, "libcuda.so.1"), os.path.join(root, "driver"))
    for file in (path("lenet"), os.path.join(args.simulator, "libcuda.so.1")):
        copy_libraries(file, root)
    run("/usr/sbin/chroot", root, "/lenet", "train", "--data", "/data", "--out", "/run", *short,
        env={"LD_LIBRARY_PATH": "/driver", "CUDASIM_PTX_DIR": "/ptx"})
    check("in an empty chroot, the same weights", sha("root", "run", "last.safetensors") == sha("gradc", "last.safetensors"))
finish()
