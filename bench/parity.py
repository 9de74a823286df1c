#!/usr/bin/env python3
"""A training step of gradc against PyTorch's eager mode at its best, interleaved in one run.

  bench/parity.py [--models lenet,mlp] [--threads 1,2] [--rounds 5] [--seconds 3]

PyTorch is Debian's python3-torch with one OpenMP pool (libopenblas0-openmp), channels-last where it helps, and an
allocator that keeps its pages. Each figure is the median over the rounds of per-process medians. Both sides rotate
among 16 batches, and feeding them counts. Prints ms per step, their ratio, and the spread.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
TUNED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp"


def pinned(threads, command):
    cpus = ",".join(str(c) for c in sorted(os.sched_getaffinity(0))[:threads])
    return ["taskset", "-c", cpus] + command


def torch_ms(model, threads, seconds, channels_last):
    env = dict(os.environ, GLIBC_TUNABLES=TUNED, LD_LIBRARY_PATH=OPENBLAS, OMP_NUM_THREADS=str(threads),
               OPENBLAS_NUM_THREADS=str(threads))
    command = ["/usr/bin/python3", os.path.join(HERE, "torch_step.py"), model, str(threads), str(seconds)]
    if channels_last:
        command.append("--channels-last")
    result = subprocess.run(pinned(threads, command), env=env, check=True, capture_output=True, text=True)
    return json.loads(result.stdout)["ms"]


def gradc_ms(model, threads, gradc):
    command = [gradc, "bench", os.path.join(HERE, "models", model + ".json"), "--threads", str(threads), "--json"]
    result = subprocess.run(pinned(threads, command), check=True, capture_output=True, text=True)
    return json.loads(result.stdout)["train_step_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="lenet,mlp")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--gradc", default=os.path.join(ROOT, "build/release/bin/gradc"))
    args = parser.parse_args()

    print(f"{'model':12} {'threads':>7} {'torch ms':>9} {'gradc ms':>9} {'ratio':>6}  {'torch range':16} gradc range")
    worst = float("inf")
    for model in args.models.split(","):
        layouts = [False, True] if model == "lenet" else [False]
        for threads in map(int, args.threads.split(",")):
            ours, theirs = [], {layout: [] for layout in layouts}
            for _ in range(args.rounds):
                for layout in layouts:
                    theirs[layout].append(torch_ms(model, threads, args.seconds, layout))
                ours.append(gradc_ms(model, threads, args.gradc))
            best = min(theirs.values(), key=statistics.median)
            t, g = statistics.median(best), statistics.median(ours)
            worst = min(worst, t / g)
            print(f"{model:12} {threads:7} {t:9.3f} {g:9.3f} {t / g:6.2f}  {min(best):6.3f} - {max(best):6.3f}  "
                  f"{min(ours):6.3f} - {max(ours):6.3f}", flush=True)
    print(f"worst ratio {worst:.2f} (1.00 is parity)")


if __name__ == "__main__":
    sys.exit(main())
