#!/usr/bin/env python3
"""Compiled training steps against the interpreter, step by step from the same weights.

  teacher_forced.py GRADC MODEL SCRATCH [--batch 4] [--steps 5] [--rtol 1e-4] [--atol 1e-5] [--precision f32]
                    [-- flags of gradc compile]

Weights are what the model's initialisers give. Each step runs @train_step on the interpreter and on compiled code, from
the same variables and a fresh random batch, and compares every new variable and the loss; the next step starts from
what the compiled code made. So an error is seen in the step that makes it, and rounding does not pile up.

A step has kinks: where the last bit decides on which side of zero the input of a relu lies, or to which bf16 a number
rounds, a gradient jumps. So where numbers differ by more than the tolerance, the interpreter computes the step again
from neighbours of the same variables (the low mantissa bits, up to 2^-17 of a number, are drawn anew), and each array as a
whole must be as near to the first result as twice the farthest of these.
"""
import argparse
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import zipfile

split = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
compile_flags = sys.argv[split + 1:]
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("model")
parser.add_argument("scratch")
parser.add_argument("--batch", type=int, default=4)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--rtol", default="1e-4")
parser.add_argument("--atol", default="1e-5")
parser.add_argument("--precision", default="f32")
parser.add_argument("--neighbours", type=int, default=5)
parser.add_argument("--classes", type=int, default=10)
args = parser.parse_args(sys.argv[1:split])


def gradc(*words, may_differ=False):
    command = [args.gradc, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not (may_differ and done.returncode == 4):
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stderr[-2000:]}")
    return done


def npy(dtype, shape, data):
    """One array in NumPy's format, version 1.0."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    header += " " * (63 - (len(header) + 10) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def batch(step):
    """Random values for the model's inputs; integers are class numbers."""
    rng = random.Random(step)
    arrays = {}
    with open(args.model) as file:
        inputs = json.load(file)["inputs"]
    for name, spec in inputs.items():
        shape = [args.batch if dim == "N" else dim for dim in spec["shape"]]
        count = 1
        for dim in shape:
            count *= dim
        if spec.get("dtype", "f32") == "i32":
            values = struct.pack(f"<{count}i", *(rng.randrange(args.classes) for _ in range(count)))
            arrays[name] = npy("<i4", shape, values)
        else:
            values = struct.pack(f"<{count}f", *(rng.random() for _ in range(count)))
            arrays[name] = npy("<f4", shape, values)
    return arrays


def write_npz(path, arrays):
    with zipfile.ZipFile(path, "w") as file:
        for name, data in arrays.items():
            file.writestr(name + ".npy", data)


def weights_of(path):
    """The arrays of a .safetensors file, all f32."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: npy("<f4", spec["shape"], data[slice(*spec["data_offsets"])]) for name, spec in header.items()}


def variables_of(path, results):
    """The arrays of an .npz that are variables: what is no result of another kind."""
    with zipfile.ZipFile(path) as file:
        return {name[:-4]: file.read(name) for name in file.namelist() if name[:-4] not in results}


def neighbour(variables, seed):
    """The same arrays with other low bits; what is before the numbers in an .npy stays."""
    rng = random.Random(seed)
    result = {}
    for name, data in variables.items():
        start = 10 + struct.unpack("<H", data[8:10])[0]
        low_bits = int.from_bytes(b"\x3f\0\0\0" * ((len(data) - start) // 4), "little")
        noise = int.from_bytes(rng.randbytes(len(data) - start), "little") & low_bits
        numbers = int.from_bytes(data[start:], "little") ^ noise
        result[name] = data[:start] + numbers.to_bytes(len(data) - start, "little")
    return result


def distances(other):
    """How far each array of a result is from the interpreter's, where it is not the same."""
    lines = gradc("diff", at("want.npz"), at(other), "--distance", "0", may_differ=True).stderr.splitlines()
    return {name: float(what.split()[-1]) for name, what in (line.split(": ", 1) for line in lines)}


def beyond_neighbours(run, variables):
    """The arrays whose distance no kink explains, and what the distances are."""
    allowed = {}
    for seed in range(args.neighbours):
        write_npz(at("neighbour.npz"), neighbour(variables, seed))
        gradc(*run("neighbour.npz"), "--backend", "interp", "--output", at("near.npz"))
        for name, distance in distances("near.npz").items():
            allowed[name] = max(allowed.get(name, 0), distance)
    got = distances("got.npz")
    wrong = [f"{name}: distance {d:.3g}, neighbours {allowed.get(name, 0):.3g}" for name, d in got.items()
             if not d <= 2 * allowed.get(name, 0) + float(args.rtol)]
    farthest = max(got, key=got.get)
    return wrong, f"{farthest} by {got[farthest]:.3g}, neighbours {allowed.get(farthest, 0):.3g}"


def at(name):
    return os.path.join(args.scratch, name)


shutil.rmtree(args.scratch, ignore_errors=True)
os.makedirs(args.scratch)
size = ["--batch", str(args.batch)]
gradc("train", args.model, *size, "--epochs", "1", "--limit-batches", "1", "--progress", "none", "--set",
      "/train/optimizer/learning_rate=0", "--out", at("initial"))
gradc("compile", args.model, *size, "--entry", "train-step", "--emit", "gir", "--stage", "dce", "--precision", args.precision,
      *compile_flags, "-o", at("step.gir"))
with open(args.model) as file:
    model = json.load(file)
other_results = {"loss"} | {metric.get("name", metric["op"]) for metric in model.get("metrics", [])}
variables = weights_of(at("initial/last.safetensors"))
learning_rate = str(model["train"]["optimizer"]["learning_rate"])
failed = False
for step in range(args.steps):
    write_npz(at("state.npz"), variables)
    write_npz(at("batch.npz"), batch(step))

    def run(state):
        return ["run", at("step.gir"), "--func", "train_step", "--fill", "zeros", "--input", at(state), "--input",
                at("batch.npz"), "--input", f"learning_rate={learning_rate}", "--input", f"step={step}", "--input", "seed=1"]

    gradc(*run("state.npz"), "--backend", "interp", "--output", at("want.npz"))
    gradc(*run("state.npz"), "--backend", "cpu", "--precision", args.precision, "--output", at("got.npz"))
    diff = gradc("diff", at("want.npz"), at("got.npz"), "--rtol", args.rtol, "--atol", args.atol, may_differ=True)
    if diff.returncode == 0:
        print(f"step {step}: agrees (rtol {args.rtol}, atol {args.atol})", flush=True)
    else:
        wrong, farthest = beyond_neighbours(run, variables)
        failed |= bool(wrong)
        print(f"step {step}: {'differs' if wrong else 'agrees but for kinks'}, the most {farthest}", flush=True)
        print("".join(line + "\n" for line in wrong) + (diff.stderr if wrong else ""), end="")
    variables = variables_of(at("got.npz"), other_results)
sys.exit(1 if failed else 0)
