#!/usr/bin/env python3
"""Trains briefly in several ways and demands the same weights, bit for bit.

  same_bits.py GRADC EXAMPLES DATA SCRATCH [--steps 30] [--precision f32] [--passes]

Ways: 1, 2, 3 and 4 threads, code for AVX2 instead of this machine's, the same run twice, every op a kernel of its own,
code from the disk cache and without.
With --passes also each exact pass disabled in turn.
"""
import argparse
import hashlib
import os
import shutil
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("examples")
parser.add_argument("data")
parser.add_argument("scratch")
parser.add_argument("--steps", type=int, default=30)
parser.add_argument("--models", default="lenet,mlp")
parser.add_argument("--precision", default="f32")
parser.add_argument("--passes", action="store_true")
args = parser.parse_args()


def weights(model, name, *flags):
    out = os.path.join(args.scratch, name)
    shutil.rmtree(out, ignore_errors=True)
    command = [args.gradc, "train", os.path.join(args.examples, model + ".json"), "--data", args.data, "--out", out,
               "--epochs", "1", "--limit-batches", str(args.steps), "--progress", "none", "--precision", args.precision,
               *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr}")
    with open(os.path.join(out, "last.safetensors"), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def ways():
    for threads in ("2", "3", "4"):
        yield f"{threads} threads", ["--threads", threads]
    yield "AVX2 code", ["--mcpu", "haswell"]
    yield "again", ["--threads", "1"]
    yield "no disk cache", ["--no-cache"]
    yield "unfused", ["--disable-pass", "fuse"]
    if args.passes:
        for name in ("canonicalize", "cse", "dce", "constant-fold", "layout"):
            yield f"without {name}", ["--disable-pass", name]


wrong = 0
for model in args.models.split(","):
    want = weights(model, "base", "--threads", "1")
    print(f"{model}: {args.steps} steps, 1 thread: {want}")
    for name, flags in ways():
        got = weights(model, "other", *flags)
        wrong += got != want
        print(f"{model}: {name}: {'same bits' if got == want else 'DIFFERENT ' + got}", flush=True)
sys.exit(1 if wrong else 0)
