#!/usr/bin/env python3
"""One measurement of ONNX Runtime's inference in one process; inputs are bound beforehand, nothing is copied.

  peer_onnxruntime.py NETWORK infer --threads N --batch B
"""
import timing

args = timing.arguments(__doc__)
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from networks import NETWORKS

network = NETWORKS[args.network]
batch = args.batch or network.batch
random = np.random.default_rng(0)
nodes, constants = [], []


def constant(*shape):
    name = f"c{len(constants)}"
    constants.append(numpy_helper.from_array(random.uniform(-0.05, 0.05, shape).astype("f4"), name))
    return name


def add(op, *inputs, **attributes):
    nodes.append(helper.make_node(op, inputs, [f"v{len(nodes)}"], **attributes))
    return nodes[-1].output[0]


def model():
    x = "x"
    for kind, *v in network.layers:
        if kind == "conv":
            inputs, outputs, kernel, stride, padding, _ = v
            x = add("Conv", x, constant(outputs, inputs, kernel, kernel), constant(outputs), strides=[stride] * 2,
                    pads=[padding] * 4)
        elif kind == "dense":
            x = add("Gemm", x, constant(v[1], v[0]), constant(v[1]), transB=1)
        elif kind == "relu":
            x = add("Relu", x)
        elif kind == "max_pool":
            x = add("MaxPool", x, kernel_shape=[v[0]] * 2, strides=[v[1]] * 2)
        elif kind == "flatten":
            x = add("Flatten", x)
        elif kind != "dropout":
            raise SystemExit(f"no ONNX form of '{kind}'")
    ports = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
             for name, shape in (("x", (batch, *network.input)), (x, (batch, network.classes)))]
    return helper.make_model(helper.make_graph(nodes, args.network, *ports, constants), ir_version=8,
                             opset_imports=[helper.make_opsetid("", 17)])


options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
session = onnxruntime.InferenceSession(model().SerializeToString(), options, providers=["CPUExecutionProvider"])
bindings = []
for _ in range(network.feeds):
    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(random.standard_normal((batch, *network.input), dtype="f4"))
    binding.bind_ortvalue_input("x", value)
    out = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros((batch, network.classes), "f4"))
    binding.bind_ortvalue_output(session.get_outputs()[0].name, out)
    bindings.append((binding, value, out))
turn = 0


def step():
    global turn
    session.run_with_iobinding(bindings[turn][0])
    turn = (turn + 1) % len(bindings)


timing.answer(timing.measure(step, args), version=onnxruntime.__version__)
