#!/usr/bin/env python3
"""Networks of shapes that no table has, beside PyTorch (eager, channels-last), to find where kernels fall off:
small batches of pictures, strides, dilations, groups, odd numbers of channels, pools with padding.

  bench/shapes.py --gradc build/release/bin/gradc [--python PYTHON_WITH_TORCH] [--only 'mobilenet*'] [--kernels]

One thread; milliseconds of a training step and of an inference. --kernels lists what takes 6 % and more of the time below
half of the peak. With --torch NAME it is the peer's process and prints its two times.
"""
import argparse
import fnmatch
import itertools
import json
import subprocess
import sys
import tempfile

import timing


def conv(filters, kernel=3, stride=1, padding=None, groups=1, dilation=1, activation="relu", bias=True):
    kernel = kernel if isinstance(kernel, list) else [kernel, kernel]
    if padding is None:
        padding = [(k - 1) * dilation // 2 for k in kernel]
    return {"op": "conv2d", "filters": filters, "kernel": kernel, "stride": stride, "padding": padding, "groups": groups,
            "dilation": dilation, "bias": bias, **({"activation": activation} if activation else {})}


def dense(units, activation=None):
    return {"op": "dense", "units": units, **({"activation": activation} if activation else {})}


def pool(op="max_pool2d", kernel=2, stride=2, padding=0):
    return {"op": op, "kernel": kernel, "stride": stride, "padding": padding}


NORM, RELU, FLAT, MEAN = {"op": "batch_norm"}, {"op": "relu"}, {"op": "flatten"}, {"op": "reduce_mean", "axes": [2, 3]}
MAX, DROP = pool(), {"op": "dropout", "rate": 0.5}
AVERAGE = {"op": "avg_pool2d", "kernel": 2, "stride": 2}


def normed(filters, kernel=1, stride=1, groups=1):
    return [conv(filters, kernel, stride, groups=groups, activation=None, bias=False), NORM, RELU]


def separable(inputs, filters, stride=1):
    return normed(inputs, 3, stride, groups=inputs) + normed(filters)


MOBILENET = [*normed(32, 3), *separable(32, 64), *separable(64, 128, 2), *separable(128, 128), *separable(128, 256, 2),
             *separable(256, 256), MEAN, dense(10)]
ODD = [conv(24), conv(48), MAX, conv(96), conv(96), MAX, FLAT, dense(100, "relu"), dense(10)]
LENET = [conv(6, 5, padding=2, activation="tanh"), AVERAGE, conv(16, 5, padding=0, activation="tanh"), AVERAGE, FLAT,
         dense(120, "tanh"), dense(84, "tanh"), dense(10)]
WIDE = [dense(2048, "relu"), dense(2048, "relu"), dense(1000)]
PICTURE, DIGIT = [3, 32, 32], [1, 28, 28]
NETWORKS = {  # of one example, examples, layers
    **{f"mobilenet-{n}": (PICTURE, n, MOBILENET) for n in (1, 8, 32)},
    **{f"odd-channels-{n}": (PICTURE, n, ODD) for n in (1, 10, 100)},
    **{f"lenet-tanh-{n}": (DIGIT, n, LENET) for n in (1, 32, 256)},
    **{f"dense-2048-{n}": ([1024], n, WIDE) for n in (1, 16, 256)},
    "grouped-16": (PICTURE, 16, [conv(64), *normed(128), *normed(128, 3, groups=32), conv(256, 1),
                                 conv(256, 3, 2, groups=32), conv(512, 1), conv(512, groups=8), MEAN, dense(10)]),
    "dilated-8": ([3, 64, 64], 8, [conv(32), conv(32, dilation=2), conv(64, dilation=4), conv(64, 3, 2),
                                   conv(64, dilation=2), MEAN, dense(10)]),
    "resnet-stem-8": ([3, 112, 112], 8, [conv(64, 7, 2), pool("max_pool2d", 3, 2, 1), conv(64), conv(64), conv(128, 3, 2),
                                         conv(128), MEAN, dense(100)]),
    "vgg-112-2": ([3, 112, 112], 2, [conv(32), conv(32), MAX, conv(64), conv(64), MAX, conv(128), MAX, FLAT,
                                     dense(256, "relu"), dense(10)]),
    "bottleneck-16": ([64, 28, 28], 16, [*normed(64), *normed(64, 3), *normed(256), conv(128, 1), conv(128, 3, 2),
                                         conv(512, 1), MEAN, dense(10)]),
    "text-32": ([64, 1, 200], 32, [conv(100, [1, 3]), conv(100, [1, 5]), pool("max_pool2d", [1, 2], [1, 2]),
                                   conv(128, [1, 3]), MEAN, dense(5)]),
    "large-kernels-16": ([3, 64, 64], 16, [conv(32, 11, 4, 2), conv(64, 9), conv(64, 7), MEAN, dense(10)]),
    "dropout-50": (PICTURE, 50, [conv(32), conv(32), MAX, DROP, conv(64), conv(64), MAX, DROP, FLAT, dense(512, "relu"),
                                 DROP, dense(10)]),
}


def model(name):
    shape, batch, layers = NETWORKS[name]
    nodes, last = [], "x"
    for number, layer in enumerate(layers):
        nodes.append({"name": f"n{number}", "inputs": [last], **layer})
        last = f"n{number}"
    data = {kind: {"type": "synthetic", "examples": batch} for kind in ("train", "test")}
    return {"format": "gradc/1", "name": name.replace("-", "_"), "nodes": nodes, "outputs": [last], "data": data,
            "inputs": {"x": {"shape": ["N", *shape]}, "label": {"shape": ["N"], "dtype": "i32"}},
            "loss": {"op": "softmax_cross_entropy", "inputs": [last, "label"]},
            "train": {"batch_size": batch, "epochs": 1,
                      "optimizer": {"type": "sgd", "learning_rate": 0.01, "momentum": 0.9}}}


def torch_times(name):
    import torch
    from torch import nn
    torch.set_num_threads(1)
    activations = {"relu": nn.ReLU, "tanh": nn.Tanh}

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    def modules(layer):
        get = layer.get
        made = {"conv2d": lambda: nn.LazyConv2d(get("filters"), get("kernel"), get("stride"), get("padding"),
                                                get("dilation"), get("groups"), get("bias")),
                "dense": lambda: nn.LazyLinear(get("units")), "batch_norm": nn.LazyBatchNorm2d, "relu": nn.ReLU,
                "flatten": nn.Flatten, "reduce_mean": Mean, "dropout": lambda: nn.Dropout(get("rate")),
                "max_pool2d": lambda: nn.MaxPool2d(get("kernel"), get("stride"), get("padding")),
                "avg_pool2d": lambda: nn.AvgPool2d(get("kernel"), get("stride"))}[layer["op"]]()
        return [made] + ([activations[layer["activation"]]()] if "activation" in layer else [])

    shape, batch, layers = NETWORKS[name]
    layout = torch.channels_last if len(shape) == 3 else torch.contiguous_format
    inputs = [torch.randn(batch, *shape).contiguous(memory_format=layout) for _ in range(4)]
    network = nn.Sequential(*[m for layer in layers for m in modules(layer)])
    classes = network(inputs[0]).shape[1]
    network = network.to(memory_format=layout)
    labels, loss = torch.randint(0, classes, (batch,)), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9)

    def step(x):
        optimizer.zero_grad()
        loss(network(x), labels).backward()
        optimizer.step()

    def infer(x):
        with torch.inference_mode():
            network(x)

    def median(f):
        f(inputs[0])
        batches = itertools.cycle(inputs)
        return timing.timed(lambda: f(next(batches)), argparse.Namespace(seconds=0.5, steps=3), None)["ms"]

    train = median(step)
    network.eval()
    return {"train": train, "infer": median(infer)}


def gradc_times(gradc, name):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(model(name), file)
        file.flush()
        answer = subprocess.run([gradc, "bench", file.name, "--threads", "1", "--json"], check=True,
                                stdout=subprocess.PIPE)
    report = json.loads(answer.stdout)
    return {"train": report["train_step_ms"], "infer": report["infer_ms"], "report": report}


def slow_kernels(report):
    for part in ("train_step_kernels", "infer_kernels"):
        total = sum(kernel["ms"] for kernel in report[part])
        for kernel in report[part]:
            if kernel["ms"] > 0.06 * total and kernel["share_of_peak"] < 0.5:
                print(f"    {part.split('_')[0]}: {kernel['ms']:.3f} ms, {kernel['share_of_peak']:.0%} of "
                      f"{kernel['bound_by']}: {kernel['name'][:70]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradc")
    parser.add_argument("--python", help="measure PyTorch with this interpreter")
    parser.add_argument("--only", default="*")
    parser.add_argument("--kernels", action="store_true")
    parser.add_argument("--torch", metavar="NAME")
    args = parser.parse_args()
    if args.torch:
        return print(json.dumps(torch_times(args.torch)))
    if not args.gradc:
        parser.error("--gradc is missing")
    print("| network, examples | step | PyTorch | inference | PyTorch |\n|---|---|---|---|---|")
    for name in fnmatch.filter(NETWORKS, args.only):
        ours, peer = gradc_times(args.gradc, name), {}
        if args.python:
            answer = subprocess.run([args.python, __file__, "--torch", name], check=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            peer = json.loads(answer.stdout)
        cells = []
        for part in ("train", "infer"):
            cells += [f"{ours[part]:.3g}", f"{peer[part]:.3g} ({peer[part] / ours[part]:.2f} ×)" if peer else ""]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        if args.kernels:
            slow_kernels(ours["report"])


if __name__ == "__main__":
    sys.exit(main())
