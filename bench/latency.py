#!/usr/bin/env python3
"""Latency of one inference, batch 1, one thread: the compiled object called from C, and ONNX Runtime, in turns.

  latency.py GRADC [--models lenet,mlp] [--rounds 3] [--seconds 1] [--python PYTHON]

PYTHON has onnxruntime, onnx and numpy; without it only the object is timed. Both get the model of bench/models, the
peer as an ONNX graph of the same layers.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PEER = r'''
import json, sys, time
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
model, seconds = json.load(open(sys.argv[1])), float(sys.argv[2])
rng = np.random.default_rng(0)
nodes, weights, shapes = [], [], {"image": [1] + model["inputs"]["image"]["shape"][1:]}
def weight(name, *shape):
    weights.append(numpy_helper.from_array((rng.standard_normal(shape) * .05).astype("f4"), name))
    return name
for n in model["nodes"]:
    name, x, op = n["name"], n["inputs"][0], n["op"]
    s = shapes[x]
    if op == "conv2d":
        p, k, f = n.get("padding", 0), n["kernel"], n["filters"]
        nodes.append(helper.make_node("Conv", [x, weight(name + ".w", f, s[1], k, k), weight(name + ".b", f)], [name], pads=[p] * 4))
        shapes[name] = [1, f, s[2] + 2 * p - k + 1, s[3] + 2 * p - k + 1]
    elif op.endswith("pool2d"):
        k = n["kernel"]
        nodes.append(helper.make_node("MaxPool" if op[0] == "m" else "AveragePool", [x], [name], kernel_shape=[k, k], strides=[n.get("stride", k)] * 2))
        shapes[name] = [1, s[1], s[2] // k, s[3] // k]
    elif op == "flatten":
        nodes.append(helper.make_node("Flatten", [x], [name]))
        shapes[name] = [1, int(np.prod(s))]
    elif op == "dense":
        u = n["units"]
        nodes.append(helper.make_node("Gemm", [x, weight(name + ".w", u, s[1]), weight(name + ".b", u)], [name], transB=1))
        shapes[name] = [1, u]
    elif op == "dropout":
        nodes.append(helper.make_node("Identity", [x], [name]))
        shapes[name] = s
    else:
        nodes.append(helper.make_node(op.capitalize(), [x], [name]))
        shapes[name] = s
    if "activation" in n:
        nodes.append(helper.make_node(n["activation"].capitalize(), [name], [name + "~"]))
        for later in model["nodes"]:
            later["inputs"] = [name + "~" if i == name else i for i in later["inputs"]]
        model["outputs"] = [name + "~" if i == name else i for i in model["outputs"]]
        shapes[name + "~"] = shapes[name]
y = model["outputs"][0]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("image", TensorProto.FLOAT, shapes["image"])],
                          [helper.make_tensor_value_info(y, TensorProto.FLOAT, shapes[y])], weights)
proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
# Bound buffers: what a program in C++ would do; the interpreter's share stays a few microseconds.
binding, x = session.io_binding(), rng.standard_normal(shapes["image"]).astype("f4")
out = np.zeros(shapes[y], "f4")
binding.bind_input("image", "cpu", 0, np.float32, x.shape, x.ctypes.data)
binding.bind_output(y, "cpu", 0, np.float32, out.shape, out.ctypes.data)
run, clock, times = session.run_with_iobinding, time.perf_counter, []
for _ in range(200): run(binding)
end = clock() + seconds
while clock() < end:
    t = clock(); run(binding); times.append(clock() - t)
times.sort()
print(json.dumps({"median_us": times[len(times) // 2] * 1e6, "p99_us": times[len(times) * 99 // 100] * 1e6, "min_us": times[0] * 1e6, "version": ort.__version__}))
'''

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("gradc")
parser.add_argument("--models", default="lenet,mlp")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=1)
parser.add_argument("--python")
args = parser.parse_args()


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


with tempfile.TemporaryDirectory() as folder:
    for name in args.models.split(","):
        model = os.path.join(HERE, "models", name + ".json")
        for form in ("obj", "header"):
            run(args.gradc, "compile", model, "--entry", "infer", "--batch", "1", "--emit", form, "-o",
                os.path.join(folder, name + (".o" if form == "obj" else ".h")))
        program = os.path.join(folder, name)
        with open(model) as file:
            prefix = json.load(file)["name"]
        run("cc", "-std=c11", "-O3", "-march=native", "-I", folder, f'-DHEADER="{name}.h"', f"-DMODEL={prefix}",
            f"-DUPPER={prefix.upper()}",
            os.path.join(HERE, "latency.c"), program + ".o", "-o", program, "-lm")
        ours, theirs = [], []
        for _ in range(args.rounds):
            ours.append(json.loads(run(program, str(args.seconds))))
            if args.python:
                theirs.append(json.loads(run(args.python, "-c", PEER, model, str(args.seconds))))
        median = statistics.median(o["median_us"] for o in ours)
        p99 = statistics.median(o["p99_us"] for o in ours)
        jitter = statistics.median(o["control_p99_us"] / o["control_median_us"] for o in ours)
        line = (f"{name}: object median {median:.2f} us, p99 {p99:.2f} us ({p99 / median:.2f} x; a loop without "
                f"memory as long: {jitter:.2f} x), weights {ours[0]['param_bytes']} bytes, "
                f"one pass over as many {statistics.median(o['read_us'] for o in ours):.2f} us")
        if theirs:
            peer = statistics.median(t["median_us"] for t in theirs)
            tail = statistics.median(t["p99_us"] for t in theirs)
            line += (f"; ONNX Runtime {theirs[0]['version']} median {peer:.2f} us, p99 {tail:.2f} us "
                     f"({tail / peer:.2f} x); {peer / median:.2f} x ours")
        print(line, flush=True)
