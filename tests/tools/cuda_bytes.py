#!/usr/bin/env python3
"""Compares the bytes that a training step moves on the simulated CUDA device with the least that its plan allows.

  cuda_bytes.py GRADC SCRATCH SIMULATOR MODEL[:BATCH]… [--arch sm_80]

Prints a line a launch:

  least    the plan's lower bound in MB, as `gradc bench --model-only` counts it: what the launch reads and writes, once
  memory   sectors of 32 bytes that it touched, each once: what moves from and to memory where the L2 holds a launch
  L2       sectors of all its requests: what moves between L2 and multiprocessors where no L1 helps
  read, written    sectors a warp of f32; 4 is the least, fewer where lanes read the same

and fails where a launch moves more than 1.15 times the least from and to memory, or a step as a whole.
"""
import argparse
import json
import os
import subprocess
import sys

ALLOWED = 1.15
SECTOR = 32

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("scratch")
parser.add_argument("simulator")
parser.add_argument("models", nargs="+")
parser.add_argument("--arch", default="sm_80")
args = parser.parse_args()


def run(*command, **env):
    done = subprocess.run([args.gradc, *command], capture_output=True, text=True, env=dict(os.environ, **env))
    if done.returncode == 6 and "NVRTC, which compiles" in done.stderr:
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(0)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr}")
    return done.stdout


def estimated(model, batch):
    """The launches of the step that are kernels, in order."""
    for line in run("bench", model, *batch, "--device", "cuda", "--arch", args.arch, "--model-only", "--no-infer",
                    "--json").splitlines():
        return [launch for launch in json.loads(line)["launches"] if launch["function"]]


def counted(model, batch):
    plan, counters = os.path.join(args.scratch, "plan.gir"), os.path.join(args.scratch, "counters.jsonl")
    ptx = os.path.join(args.scratch, "ptx")
    os.makedirs(ptx, exist_ok=True)
    if os.path.exists(counters):
        os.remove(counters)
    run("compile", model, *batch, "--entry", "train-step", "--device", "cuda", "--arch", args.arch, "-o", plan)
    run("run", plan, "--func", "train_step", "--fill", "random", "--backend", "cuda", LD_LIBRARY_PATH=args.simulator,
        GRADC_CUDA_PTX_DIR=ptx, CUDASIM_PTX_DIR=ptx, CUDASIM_PROFILE=args.arch, CUDASIM_LOG=counters,
        GRADC_CACHE_DIR=os.path.join(args.scratch, "cache"))
    with open(counters) as file:
        return [event["counters"] for event in map(json.loads, file) if event["event"] == "launch"]


def sectors_of_warp(c, kind):
    return 4 * SECTOR * c[f"global_{kind}_sectors"] / max(1, c[f"global_{kind}_bytes"])


def both(c, what):
    return SECTOR * (c[f"global_load_{what}"] + c[f"global_store_{what}"])


wrong = 0
for entry in args.models:
    model, _, size = entry.partition(":")
    batch = ["--batch", size] if size else []
    launches, counters = estimated(model, batch), counted(model, batch)
    if [launch["function"] for launch in launches] != [c["kernel"] for c in counters]:
        sys.exit(f"{model}: the launches that ran are not those that were estimated")
    print(f"{model}, {args.arch}\n  least MB  memory         L2          read written  Minstr  kernel")
    rows = [(launch["bytes"], both(c, "distinct"), both(c, "sectors"), c, launch["name"])
            for launch, c in zip(launches, counters)]
    for least, memory, l2, c, name in rows:
        bad = memory > ALLOWED * least
        wrong += bad
        print(f"{least / 1e6:10.3f} {memory / 1e6:7.3f} {l2 / 1e6:8.2f} ({l2 / least:5.1f}x) "
              f"{sectors_of_warp(c, 'load'):6.2f} {sectors_of_warp(c, 'store'):6.2f} "
              f"{c['warp_instructions'] / 1e6:8.2f}  {name[:80]}{'  WRONG' if bad else ''}")
    least, memory, l2 = (sum(row[i] for row in rows) for i in range(3))
    bad = memory > ALLOWED * least
    wrong += bad
    print(f"{least / 1e6:10.3f} {memory / 1e6:7.3f} {l2 / 1e6:8.2f}: a step moves {memory / least:.2f} times the least"
          f"{', WRONG' if bad else ''}", flush=True)
sys.exit(1 if wrong else 0)
