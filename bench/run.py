#!/usr/bin/env python3
"""gradc against PyTorch, JAX and ONNX Runtime, interleaved in one run, every measurement a fresh process.

  bench/run.py --gradc build/release/bin/gradc --peers-python VENV/bin/python
  bench/run.py --rows 'train/*' --threads 1 --rounds 5     # a part of the table
  bench/run.py --no-measure --render                       # table and picture of docs/ from the last run

Each round runs every peer and gradc in turn; a figure is the median over the rounds of per-process medians, its range
that of the rounds. A peer more than a quarter slower than the best after the first round is not run again. All get the
same processors, one OpenMP pool and an allocator that keeps its pages, rotate among several batches, and compile and
warm up before the clock starts. What cannot run is recorded with its reason.

PyTorch 1.13 is Debian's (python3-torch, libopenblas0-openmp); --peers-python has torch, jax, onnxruntime, onnx and
numpy from PyPI. Lines are appended to --out; of each row the last run that measured it counts.
"""
import argparse
import fnmatch
import json
import os
import shlex
import statistics
import subprocess
import sys
import time

import render
from machines import MACHINES
from networks import NETWORKS
from rows import rows

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
KEEPS_PAGES = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
OPENBLAS = "/usr/lib/x86_64-linux-gnu/openblas-openmp"
SLOWER = 1.25  # than the best of the first round: not measured again


def environment(threads, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "OPENBLAS_", "MKL_", "KMP_"))}
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**kept, **counts, "GLIBC_TUNABLES": KEEPS_PAGES, **more}


class Runner:
    """Starts one measurement and reads its answer."""

    def __init__(self, args):
        self.args = args
        self.processors = sorted(os.sched_getaffinity(0))

    def answer(self, command, threads, wrapped=True, **more):
        # The highest processors: interrupts tend to land on the first.
        pinned = ["taskset", "-c", ",".join(map(str, self.processors[-threads:])), *command]
        wrap = shlex.split(self.args.wrap) if wrapped else ["nice"]
        try:
            done = subprocess.run(wrap + pinned, env=environment(threads, **more), capture_output=True, text=True,
                                  timeout=1200)
        except subprocess.TimeoutExpired:
            return {"error": "did not end in 20 minutes"}
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                return json.loads(line)
        complaint = [line for line in done.stderr.splitlines() if "rror" in line] or done.stderr.splitlines()
        return {"error": complaint[0][-200:] if complaint else f"exit code {done.returncode}"}

    def peer(self, peer, row, threads):
        family, _, variant = peer.partition(" ")
        python = "/usr/bin/python3" if family == "torch-1.13" else self.args.peers_python
        script = {"torch-1.13": "peer_torch.py", "torch": "peer_torch.py", "jax": "peer_jax.py",
                  "onnxruntime": "peer_onnxruntime.py"}[family]
        command = [python, os.path.join(HERE, script), row.network, row.mode, "--threads", str(threads),
                   "--batch", str(row.examples), "--precision", row.precision, "--variant", variant or "eager"]
        more = {"LD_LIBRARY_PATH": OPENBLAS} if family == "torch-1.13" else {}
        if variant.startswith("compile"):  # fills Inductor's cache: compiling is not what is measured
            self.answer(command + ["--seconds", "0", "--steps", "1"], threads, wrapped=False, **more)
        return self.answer(command + ["--seconds", str(self.args.seconds), "--steps", str(self.args.steps)], threads,
                           **more)

    def gradc(self, row, threads):
        model = os.path.join(HERE, "models", row.network + ".json")
        if not os.path.exists(model):
            return {"error": "no model file"}
        training = row.mode == "train"
        command = [self.args.gradc, "bench", model, "--threads", str(threads), "--json", "--batch", str(row.examples),
                   "--seconds", str(self.args.seconds), "--no-infer" if training else "--no-train"]
        if row.precision != "f32":
            command += ["--precision", row.precision]
        result = self.answer(command, threads)
        if "error" in result:
            return result
        kind = "train_step" if training else "infer"
        return {"ms": result[kind + "_ms"], "fastest_ms": result[kind + "_fastest_ms"], "p10_ms": result[kind + "_p10_ms"],
                "cpu": result["cpu"], "kernels": result[kind + "_kernels"], "peak_bytes": result["peak_bytes"],
                "compile_ms": result["compile_ms"]}


def contenders(row, patterns):
    """Each peer in the forms that are worth trying for this row."""
    layouts = ("", "-cl") if NETWORKS[row.network].pictures else ("",)
    names = [f"torch {form}{layout}" for form in ("eager", "compile") for layout in layouts] + ["jax"]
    if row.precision == "f32":
        names += [f"torch-1.13 eager{layout}" for layout in layouts]
    if row.mode == "infer":
        names += ["torch jit", "torch-1.13 jit", "onnxruntime"]
    if row.precision == "f32-amx":  # against our own f32
        names = []
    return [name for name in names if any(fnmatch.fnmatch(name, p) for p in patterns.split(","))]


def near_the_best(known, row, threads, field):
    """Without the peers that were too slow in another run."""
    best = known.best_peer((row.name, threads)) if known else None
    if not best:
        return field
    peers = known.peers((row.name, threads))
    return [who for who in field if who in peers and render.median(peers[who]) <= SLOWER * best[1]]


def measure_row(runner, row, threads, args, write):
    """All contenders in turn, round by round."""
    known = render.read(args.known) if args.known else None
    field = near_the_best(known, row, threads, contenders(row, args.peers))
    times = {}
    for number in range(args.rounds):
        for who in field + (["gradc"] if args.gradc else []):
            if number and who not in times:
                continue
            result = runner.gradc(row, threads) if who == "gradc" else runner.peer(who, row, threads)
            write({"kind": "time", "row": row.name, "threads": threads, "who": who, "round": number, **result})
            if "ms" in result:
                times.setdefault(who, []).append(result["ms"])
            shown = f"{result['ms']:10.4f} ms" if "ms" in result else result["error"]
            print(f"{row.name:20} {threads} threads  {who:24} {shown}", flush=True)
        best = min((statistics.median(t) for who, t in times.items() if who != "gradc"), default=0)
        field = [who for who in field if who in times and statistics.median(times[who]) <= SLOWER * best]


def measure_peaks(runner, threads, write):
    """What the machine reaches, of one thread and of the most that the rows use."""
    report = runner.answer([runner.args.gradc, "doctor", "--json", "--threads", str(max(threads))], max(threads))
    for peaks in report.get("peaks", []):
        write({"kind": "peaks", "cpu": report["cpu"], **peaks})
        print(f"{peaks['threads']} threads: {peaks['f32_gflops']:.0f} GFLOP/s of f32", flush=True)


def selected(patterns):
    found = [row for row in rows() if any(fnmatch.fnmatch(row.name, p) for p in patterns.split(","))]
    if not found:
        sys.exit(f"run.py: no row matches '{patterns}'; rows are {', '.join(row.name for row in rows())}")
    return found


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradc", default=os.path.join(ROOT, "build/release/bin/gradc"), help="'' to run peers only")
    parser.add_argument("--peers-python", default=sys.executable, help="an interpreter that has the peers")
    parser.add_argument("--peers", default="*", help="patterns of names, as 'torch *,jax'; '' to run gradc only")
    parser.add_argument("--rows", default="*", help="patterns of names, as 'train/*,infer1/mlp'")
    parser.add_argument("--known", metavar="FILE", help="lines of another run: leaves out peers that were too slow there")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement")
    parser.add_argument("--steps", type=int, default=12, help="of each measurement at least")
    parser.add_argument("--wrap", default="", help="prefix of every timed command, as a lock or a priority")
    parser.add_argument("--machine", choices=MACHINES,
                        help="whose bars and page, of bench/machines.py; default: named as the processor")
    parser.add_argument("--out", default=os.path.join(ROOT, "build/bench.jsonl"))
    parser.add_argument("--no-peaks", action="store_true", help="do not measure the machine's peaks first")
    parser.add_argument("--freeze", action="store_true", help="make bars of the peers of --out, in bench/bars/")
    parser.add_argument("--render", action="store_true", help="rewrite tables and picture in docs/")
    parser.add_argument("--no-measure", action="store_true", help="only --freeze and --render what --out has")
    return parser.parse_args()


def measure(args):
    runner = Runner(args)
    run = time.strftime("%Y-%m-%d %H:%M:%S")
    threads = [int(t) for t in args.threads.split(",")]
    os.makedirs(os.path.dirname(args.out), exist_ok=True)
    with open(args.out, "a", encoding="utf-8") as out:
        def write(line):
            out.write(json.dumps({"run": run, **line}) + "\n")
            out.flush()
        if args.gradc and not args.no_peaks:
            measure_peaks(runner, threads, write)
        for row in selected(args.rows):
            for count in threads:
                measure_row(runner, row, count, args, write)


def main():
    args = parse()
    if not args.no_measure:
        measure(args)
    results = render.read(args.out, args.machine)
    if args.freeze:
        render.freeze(results)
    if args.render:
        render.write(results)
    print(render.table(results))


if __name__ == "__main__":
    main()
