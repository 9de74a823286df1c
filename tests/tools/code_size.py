#!/usr/bin/env python3
"""Fails when the code of a benchmark's model is much larger than it was: code_size.py GRADC MODELS SCRATCH

Code that says everything twice, or a prefetch a thousand times, is right and slow; no other test sees it. The code is for
one processor, so that its size is the same wherever the test runs. A change that is worth more bytes raises its bound.
"""
import pathlib
import re
import subprocess
import sys

PROCESSOR = "sapphirerapids"  # has every unit that code is made for
HEADROOM = 1.25
# (model, precision): bytes of code and constants of its programs for training
BYTES = {
    ("mlp", "f32"): 35_904,
    ("mlp", "f32-amx"): 88_373,
    ("mlp", "bf16"): 78_621,
    ("lenet", "f32"): 68_063,
    ("lenet", "bf16"): 179_610,
    ("transformer", "f32"): 150_893,
    ("transformer", "f32-amx"): 248_619,
    ("transformer", "bf16"): 193_050,
    ("resnet18", "f32"): 451_725,
}


def code_bytes(gradc, model, precision, scratch):
    command = [gradc, "compile", model, "--entry", "train", "--precision", precision, "--mcpu", PROCESSOR, "--report",
               "-o", scratch / "code.o"]
    report = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(re.search(r"(\d+) bytes of code and constants", report)[1])


def main(gradc, models, scratch):
    models, scratch = pathlib.Path(models), pathlib.Path(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    too_large = 0
    for (model, precision), expected in BYTES.items():
        size = code_bytes(gradc, models / f"{model}.json", precision, scratch)
        over = size > HEADROOM * expected
        too_large += over
        print(f"{model:12} {precision:8} {size:8} bytes, {size / expected:.2f} of {expected}" + " TOO LARGE" * over)
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
