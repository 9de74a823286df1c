"""What every peer's process shares: command line, processors, the timing loop, one JSON line as the answer."""
import argparse
import contextlib
import fcntl
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
    parser.add_argument("--precision", default="f32", choices=["f32", "tf32", "bf16"], help="tf32 on a CUDA device only")
    parser.add_argument("--variant", default="eager")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--lock", help="a file to hold while timing, so that others may compile meanwhile")
    return parser.parse_args()


SAMPLE_SECONDS = 0.005  # of steps that a device runs one after the other


@contextlib.contextmanager
def holding(path):
    with open(path, "a", encoding="utf-8") if path else contextlib.nullcontext() as file:
        if file:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def measure(step, args, wait=None):
    """Wall clock, milliseconds; a seventh of the time goes to warming up. Each call counts on its own, or, where `wait`
    waits for a device, so many as fill a sample: a device's queue is not empty between two steps of a training."""
    step()
    if wait:
        wait()
    first = time.monotonic() - STARTED
    with holding(args.lock):
        return {**timed(step, args, wait), "first_step_s": round(first, 3)}


def timed(step, args, wait):
    clock = time.perf_counter
    begin = clock()
    end, count = begin + args.seconds * 0.15, 0
    while clock() < end or count < 2:
        step()
        count += 1
    if wait:
        wait()
    together = 1 + int(SAMPLE_SECONDS * count / (clock() - begin)) if wait else 1
    times, end = [], clock() + args.seconds
    while clock() < end or len(times) < args.steps:
        start = clock()
        for _ in range(together):
            step()
        if wait:
            wait()
        times.append((clock() - start) / together)
    times.sort()
    quantile = lambda q: round(times[min(len(times) - 1, int(q * len(times)))] * 1e3, 5)
    return {"ms": quantile(0.5), "fastest_ms": quantile(0), "p10_ms": quantile(0.1), "p90_ms": quantile(0.9),
            "steps": len(times) * together}


def peak_rss_mb():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) // 1024


def answer(result, **more):
    print(json.dumps({**result, "rss_mb": peak_rss_mb(), **more}), flush=True)
