"""What every peer's process shares: command line, processors, the timing loop, one JSON line as the answer."""
import argparse
import json
import os
import time

STARTED = time.monotonic()


def arguments(doc):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network")
    parser.add_argument("mode", choices=["train", "infer"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--steps", type=int, default=12, help="at least")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--variant", default="eager")
    return parser.parse_args()


def measure(step, args):
    """Wall clock of each call on its own, milliseconds; a seventh of the time goes to warming up."""
    clock = time.perf_counter
    step()
    first = time.monotonic() - STARTED
    end, count = clock() + args.seconds * 0.15, 0
    while clock() < end or count < 2:
        step()
        count += 1
    times, end = [], clock() + args.seconds
    while clock() < end or len(times) < args.steps:
        start = clock()
        step()
        times.append(clock() - start)
    times.sort()
    quantile = lambda q: round(times[min(len(times) - 1, int(q * len(times)))] * 1e3, 5)
    return {"ms": quantile(0.5), "fastest_ms": quantile(0), "p10_ms": quantile(0.1), "p90_ms": quantile(0.9), "steps": len(times),
            "first_step_s": round(first, 3)}


def peak_rss_mb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024


def answer(result, **more):
    print(json.dumps({**result, "rss_mb": peak_rss_mb(), **more}), flush=True)
