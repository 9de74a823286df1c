#!/usr/bin/env python3
"""Every stage of a compilation is a file that means something.

  stages.py GRADC MODEL SCRATCH [--batch 16]

Dumps MODEL's compilation with --print-ir-dir, then for each dump: `gradc opt` gives the same text again (so it parses
and verifies), and @train_step, once it exists, computes on the same random arguments what the stage before computed:
the same bits where the pass says it is exact, within tolerance elsewhere. The planned stage runs in memory mode too.
"""
import argparse
import os
import shutil
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("model")
parser.add_argument("scratch")
parser.add_argument("--batch", default="16")
parser.add_argument("--functions", default="train_step,loss,eval,infer")
args = parser.parse_args()


def gradc(*words):
    command = [args.gradc, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


exact = {line.split()[0] for line in gradc("opt", "--list-passes").splitlines() if "exact" in line}
dumps = os.path.join(args.scratch, "dumps")
shutil.rmtree(args.scratch, ignore_errors=True)
os.makedirs(dumps)
gradc("compile", args.model, "--batch", args.batch, "--entry", "train-step", "--emit", "gir", "--print-ir-dir", dumps,
      "-o", os.path.join(args.scratch, "final.gir"))

names = sorted(os.listdir(dumps))
if len(names) < 8:
    sys.exit(f"only {len(names)} stages were dumped: {names}")
before = {}
for name in names:
    path = os.path.join(dumps, name)
    with open(path) as file:
        text = file.read()
    if gradc("opt", path) != text:
        sys.exit(f"{name}: gradc opt does not print the same text again")
    done = []
    for function in args.functions.split(","):
        if f"func @{function}(" not in text:
            continue
        result = os.path.join(args.scratch, f"{name}.{function}.npz")
        run = ["run", path, "--func", function, "--backend", "interp", "--fill", "random", "--output", result]
        gradc(*run)
        passed = name.split("-", 1)[1].removesuffix(".gir")
        if function in before:
            tolerance = [] if passed in exact else ["--rtol", "1e-5", "--atol", "1e-6"]
            gradc("diff", before[function], result, *tolerance)
        before[function] = result
        if "plan-memory" in name:
            gradc(*run[:-1], result + ".memory.npz", "--memory")
            gradc("diff", result, result + ".memory.npz")
        done.append(function)
    print(f"{name}: same text again; {', '.join('@' + f for f in done) or 'no function'} interpreted", flush=True)
