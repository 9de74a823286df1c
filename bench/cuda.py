#!/usr/bin/env python3
"""gradc against PyTorch and JAX on a CUDA device: the training steps of bench/models, as a table for docs/.

  bench/cuda.py --gradc build/ci/bin/gradc --out FILE.jsonl
  bench/cuda.py --networks resnet18,lenet --precisions tf32 --peers 'torch graph*,jax'
  bench/cuda.py --no-measure --out FILE.jsonl        # the table of what FILE has

Every measurement is a fresh process; several compile at the same time, one at a time runs on the device. Milliseconds a
step, the median of samples of several steps each. The peers' batches lie in the device's memory from the beginning;
gradc gathers and copies each from the host's, as in a training.
"""
import argparse
import concurrent.futures
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import tempfile

from networks import NETWORKS

HERE = os.path.dirname(os.path.abspath(__file__))
PRECISIONS = ("f32", "tf32", "bf16")
SLOWER = 1.05  # than the best of another run: not measured again


def contenders(network, precision, patterns, known):
    """Each peer in the forms that are worth trying, without those that were too slow in another run."""
    layouts = ("", "-cl") if NETWORKS[network].pictures and precision != "f32" else ("",)
    names = [f"torch {form}{layout}" for form in ("eager", "graph", "compile-graph") for layout in layouts] + ["jax"]
    before = {who: ms for who, ms in known.get((network, precision), {}).items() if who != "gradc"}
    return [name for name in names if any(fnmatch.fnmatch(name, p) for p in patterns.split(",")) and
            (not before or before.get(name, float("inf")) <= SLOWER * min(before.values()))]


def command(who, network, precision, args, lock):
    if who == "gradc":
        return ["flock", lock, args.gradc, "bench", os.path.join(HERE, "models", network + ".json"), "--device", "cuda",
                "--precision", precision, "--json", "--no-infer", "--seconds", str(args.seconds), "--batch",
                str(NETWORKS[network].batch)]
    family, _, variant = who.partition(" ")
    return [args.python, os.path.join(HERE, f"peer_{family}.py"), network, "train", "--device", "cuda", "--precision",
            precision, "--variant", variant or "jit", "--seconds", str(args.seconds), "--lock", lock]


def measure(who, network, precision, args, lock):
    line = {"network": network, "precision": precision, "who": who}
    try:
        done = subprocess.run(command(who, network, precision, args, lock), capture_output=True, text=True, timeout=300)
    except subprocess.TimeoutExpired:
        return {**line, "error": "did not end in 5 minutes"}
    answers = [json.loads(text) for text in done.stdout.splitlines() if text.startswith("{")]
    if not answers:
        return {**line, "error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]}
    if who != "gradc":
        return {**line, **answers[0]}
    kernels = answers[0]["train_step_kernels"]
    return {**line, "ms": answers[0]["train_step_ms"], "p10_ms": answers[0]["train_step_p10_ms"],
            "kernels_ms": sum(kernel["ms"] for kernel in kernels), "launches": len(kernels),
            "compile_ms": answers[0]["compile_ms"]}


def read(path):
    """Medians by row, then by who."""
    times = {}
    with open(path, encoding="utf-8") as file:
        for line in map(json.loads, file):
            if "ms" in line:
                times.setdefault((line["network"], line["precision"]), {}).setdefault(line["who"], []).append(line["ms"])
    return {row: {who: statistics.median(ms) for who, ms in field.items()} for row, field in times.items()}


def table(results):
    rows = ["| step | precision | gradc, ms | best peer, ms | | gradc is |", "|---|---|---|---|---|---|"]
    for (network, precision), field in results.items():
        medians = dict(field)
        own = medians.pop("gradc", None)
        who, best = min(medians.items(), key=lambda item: item[1], default=("", None))
        rows.append(f"| {network} | {precision} | {own or float('nan'):.4f} | {best or float('nan'):.4f} | {who} | "
                    f"{f'{best / own:.2f} × as fast' if own and best else ''} |")
    return "\n".join(rows)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradc", default=os.path.join(os.path.dirname(HERE), "build/release/bin/gradc"))
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the peers")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--precisions", default=",".join(PRECISIONS))
    parser.add_argument("--peers", default="*", help="patterns of names, as 'torch graph*,jax'; '' to run gradc only")
    parser.add_argument("--known", metavar="FILE", help="lines of another run: leaves out peers that were too slow there")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--jobs", type=int, default=6, help="processes that compile at the same time")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(HERE), "build/cuda.jsonl"))
    parser.add_argument("--no-measure", action="store_true", help="only the table of what --out has")
    return parser.parse_args()


def main():
    args = parse()
    if not args.no_measure:
        os.makedirs(os.path.dirname(os.path.abspath(args.out)), exist_ok=True)
        known = read(args.known) if args.known else {}
        jobs = [(who, network, precision) for precision in args.precisions.split(",") for network in args.networks.split(",")
                for who in contenders(network, precision, args.peers, known) + ["gradc"]] * args.rounds
        with tempfile.NamedTemporaryFile() as lock, open(args.out, "a", encoding="utf-8") as out, \
                concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for line in pool.map(lambda job: measure(*job, args, lock.name), jobs):
                out.write(json.dumps(line) + "\n")
                out.flush()
                print(f"{line['precision']:5} {line['network']:12} {line['who']:22} {line.get('ms', line.get('error'))}",
                      flush=True)
    print(table(read(args.out)))


if __name__ == "__main__":
    main()
