#!/usr/bin/env python3
"""One measurement of PyTorch in one process; works with Debian's 1.13 and PyPI's newest.

  peer_torch.py NETWORK train|infer --threads N [--variant eager|jit|compile[-cl]] [--precision bf16]
  peer_torch.py NETWORK train --device cuda [--variant eager|graph|compile-graph[-cl]] [--precision tf32|bf16]

-cl is channels-last. bf16 is autocast: master weights and optimiser stay f32, as in gradc's --precision bf16. graph is
the whole step, the optimiser's too, as one CUDA graph; on a device the batches lie in its memory from the beginning.
"""
import contextlib
import warnings

import timing

args = timing.arguments(__doc__)
import torch
from torch import nn
from torch.nn import functional as F

from networks import NETWORKS

warnings.simplefilter("ignore")
torch.set_num_threads(args.threads)
torch.manual_seed(0)
network = NETWORKS[args.network]
batch = args.batch or network.batch
parts = args.variant.split("-")
variant, channels_last, graph = parts[0], "cl" in parts, "graph" in parts
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = args.precision != "f32"
torch.backends.cudnn.benchmark = True
layout = torch.channels_last if channels_last and network.pictures else torch.contiguous_format


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = sequence(body), sequence(shortcut)

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Transformer(nn.Module):
    """Pre-norm block: attention with one product for query, key and value, then the two layers with GELU."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def attention(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        if hasattr(F, "scaled_dot_product_attention"):
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = torch.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5, -1) @ v
        return self.out(y.transpose(1, 2).reshape(n, length, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Mean(nn.Module):
    def __init__(self, *axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.mean(self.axes)


BUILD = {
    "conv": lambda i, o, k, s, p, bias: nn.Conv2d(i, o, k, s, p, bias=bias),
    "dense": nn.Linear,
    "batch_norm": nn.BatchNorm2d,
    "relu": lambda: nn.ReLU(inplace=True),
    "max_pool": nn.MaxPool2d,
    "flatten": nn.Flatten,
    "dropout": nn.Dropout,
    "mean": lambda: Mean(2, 3),
    "mean_sequence": lambda: Mean(1),
    "residual": Residual,
    "transformer": Transformer,
}


def sequence(layers):
    modules = [BUILD[kind](*values) for kind, *values in layers]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)


def autocast():
    """Entering even a disabled autocast takes longer than a small layer."""
    return torch.autocast(args.device, dtype=torch.bfloat16) if args.precision == "bf16" else contextlib.nullcontext()


def fastest_sgd(parameters):
    parameters = list(parameters)
    for choice in ({"fused": True}, {"foreach": True}, {}):
        try:
            return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, **choice)
        except (TypeError, RuntimeError):
            pass


net = sequence(network.layers).to(args.device)
inputs = [torch.randn(batch, *network.input, device=args.device) for _ in range(network.feeds)]
if network.pictures:
    net = net.to(memory_format=layout)
    inputs = [x.contiguous(memory_format=layout) for x in inputs]
labels = [torch.randint(network.classes, (batch,), device=args.device) for _ in inputs]
turn, loss = 0, None


def training_step():
    net.train()
    optimizer = fastest_sgd(net.parameters())

    def loss_of(x, y):
        return F.cross_entropy(net(x), y)
    if variant == "compile":
        loss_of = torch.compile(loss_of)

    def step_on(x, y):
        global loss
        optimizer.zero_grad(set_to_none=True)
        with autocast():
            loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
    run = captured(step_on) if graph else step_on

    def step():
        global turn
        run(inputs[turn], labels[turn])
        turn = (turn + 1) % len(inputs)
    return step


def captured(step_on):
    """A step as one graph, which reads a batch of its own."""
    x, y = inputs[0].clone(), labels[0].clone()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # what compiles, chooses algorithms and makes state
        for _ in range(3):
            step_on(x, y)
    torch.cuda.current_stream().wait_stream(side)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        step_on(x, y)

    def run(batch, classes):
        x.copy_(batch)
        y.copy_(classes)
        recorded.replay()
    return run


def inference():
    net.eval()
    f = net
    if variant == "jit":
        f = torch.jit.freeze(torch.jit.trace(net, inputs[0]))
        try:
            f = torch.jit.optimize_for_inference(f)
        except RuntimeError:
            pass
    if variant == "compile":
        f = torch.compile(net, options={"freezing": True})

    def step():
        global turn
        f(inputs[turn])
        turn = (turn + 1) % len(inputs)
    return step


if args.mode == "train":
    result = timing.measure(training_step(), args, torch.cuda.synchronize if args.device == "cuda" else None)
    assert torch.isfinite(loss.detach()), "the loss is not finite"
else:
    with torch.no_grad() if variant == "compile" else torch.inference_mode(), autocast():
        result = timing.measure(inference(), args)
timing.answer(result, version=torch.__version__)
