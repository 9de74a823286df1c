#!/usr/bin/env python3
"""Trains models on the CPU and on a CUDA device and demands the same losses within 1e-4.

  cuda_train.py GRADC SOURCE SCRATCH [--simulator DIR] [--models NAME:BATCH:STEPS,…] [--seeds N] [--profiles sm_75,…]

With --simulator the device is tests/cudasim's, with its checks for races; without it this machine's. Each step is an
epoch of one batch, so that its loss is in metrics.jsonl, and each is followed by an evaluation. The CPU does without
the algorithms winograd and pixels, which the device has not: where a program has no product by cuBLAS the weights after
the last step must be the same bit for bit. The first model is trained once more for each of N seeds, which shuffle the order of warps, blocks
and streams, and for each architecture: the same weights, bit for bit. On the simulated device every step after the
first must be one launch of a graph.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("source")
parser.add_argument("scratch")
parser.add_argument("--simulator")
parser.add_argument("--models", default="lenet:8:20,logreg:16:20,mlp:16:20,mlp_dropout:16:20")
parser.add_argument("--seeds", type=int, default=0)
parser.add_argument("--profiles", default="")
parser.add_argument("--rtol", type=float, default=1e-4)
parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="trainings at the same time")
args = parser.parse_args()


def device_environment(seed=0, log=None, profile=None):
    env = dict(os.environ)
    if args.simulator:
        ptx = os.path.join(args.scratch, "ptx")
        os.makedirs(ptx, exist_ok=True)
        env.update(LD_LIBRARY_PATH=args.simulator, GRADC_CUDA_PTX_DIR=ptx, CUDASIM_PTX_DIR=ptx, CUDASIM_SEED=str(seed),
                   GRADC_CACHE_DIR=os.path.join(args.scratch, "cache"))
        if profile:
            env["CUDASIM_PROFILE"] = profile
        if log:
            env["CUDASIM_LOG"] = log
    return env


def train(model, batch, steps, name, device, env):
    """Losses of the steps, and a hash of the weights."""
    out = os.path.join(args.scratch, name)
    shutil.rmtree(out, ignore_errors=True)
    command = [args.gradc, "train", os.path.join(args.source, "bench", "models", model + ".json"), "--out", out,
               "--batch", batch, "--epochs", str(steps), "--limit-batches", "1", "--progress", "none", "--device", device]
    for algorithm in ("winograd", "pixels") if device == "cpu" else ():  # a device has the direct ones
        command += ["--disable-pass", algorithm]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    # What a machine may lack is no failure of the code.
    if done.returncode == 6 and any(s in done.stderr for s in ("NVRTC, which compiles", "no CUDA driver", "sees no device")):
        print(f"skipped: {done.stderr.strip()}")
        sys.exit(0)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr}")
    with open(os.path.join(out, "metrics.jsonl")) as file:
        records = [json.loads(line) for line in file]
    losses = [r["train_loss"] for r in records if "train_loss" in r and r.get("kind", r.get("event", "epoch")) == "epoch"]
    with open(os.path.join(out, "last.safetensors"), "rb") as file:
        return losses, hashlib.sha256(file.read()).hexdigest()


def launches(log):
    """How many graphs ran, how many kernels and products outside of one, and how many products in all."""
    graphs = outside = products = 0
    with open(log) as file:
        for line in file:
            event = json.loads(line)
            graphs += event["event"] == "graph"
            outside += event["event"] in ("launch", "cublas") and event.get("replay", 0) == 0
            products += event["event"] == "cublas"
    return graphs, outside, products


def compare(model, batch, steps):
    """The lines to print, those that say what is wrong marked so, and a hash of the weights."""
    log = os.path.join(args.scratch, model + ".log") if args.simulator else None
    if log and os.path.exists(log):
        os.remove(log)
    begin = time.monotonic()
    got, weights = train(model, batch, steps, model + "-cuda", "cuda", device_environment(0, log))
    seconds = time.monotonic() - begin
    want, cpu_weights = train(model, batch, steps, model + "-cpu", "cpu", None)  # second: there may be no device
    graphs, outside, products = launches(log) if log else (steps, 0, 1)
    worst = max(abs(g - w) / max(abs(w), 1e-30) for g, w in zip(got, want))
    bad = len(got) != steps or len(want) != steps or not worst <= args.rtol
    bits = weights == cpu_weights
    lines = [f"{model}, batch {batch}: {len(got)} losses within {worst:.1e} of the CPU's{' WRONG' if bad else ''}, "
             f"{'the same' if bits else 'other'} bits in the weights{'' if bits or products else ' WRONG'}, {seconds:.0f} s"]
    if log:
        lines.append(f"{model}: {graphs} graph launches{' WRONG' if graphs < steps - 1 else ''}; {outside} launches outside of "
                     f"graphs, of first runs; {products} products by cuBLAS")
    return lines, weights


def repeat(model, batch, steps, way, env, weights):
    _, same = train(model, batch, steps, f"{model}-{way.replace(' ', '-')}", "cuda", env)
    return [f"{model}: {way}: {'same bits' if same == weights else 'WRONG, other bits ' + same}"]


wrong = 0
with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
    models = [(model, batch, int(steps)) for model, batch, steps in (entry.split(":") for entry in args.models.split(","))]
    first, *others = [pool.submit(compare, *model) for model in models]
    weights = first.result()[1]
    ways = [(f"order {seed}", device_environment(seed)) for seed in range(1, args.seeds + 1)]
    ways += [(name, device_environment(profile=name)) for name in args.profiles.split(",") if name]
    again = [pool.submit(repeat, *models[0], way, env, weights) for way, env in ways]
    for lines in [first.result()[0]] + [job.result() for job in again] + [job.result()[0] for job in others]:
        for line in lines:
            wrong += "WRONG" in line
            print(line, flush=True)
sys.exit(1 if wrong else 0)
