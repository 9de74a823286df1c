#!/usr/bin/env python3
"""One training step of a model in PyTorch's eager mode: prints {"ms": median, …}. parity.py sets it up fairly."""
import argparse
import json
import time

import torch
from torch import nn

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("model")
parser.add_argument("threads", type=int)
parser.add_argument("seconds", type=float)
parser.add_argument("--channels-last", action="store_true")
parser.add_argument("--batch", type=int, default=64)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(0)


def relu():
    return nn.ReLU(inplace=True)


def mlp(*dropout):
    hidden = []
    for inputs, units in ((784, 512), (512, 512)):
        hidden += [nn.Linear(inputs, units), relu(), *(nn.Dropout(p) for p in dropout)]
    return nn.Sequential(*hidden, nn.Linear(512, 10))


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), relu(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), relu(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), relu(), nn.Linear(120, 84), relu(), nn.Linear(84, 10))


MODELS = {
    "logreg": ((784,), lambda: nn.Linear(784, 10)),
    "mlp": ((784,), mlp),
    "mlp_dropout": ((784,), lambda: mlp(0.5)),
    "lenet": ((1, 28, 28), lenet),
}
shape, build = MODELS[args.model]
pictures = len(shape) == 3
layout = torch.channels_last if args.channels_last and pictures else torch.contiguous_format
net = build().to(memory_format=layout) if pictures else build()
net.train()
inputs = [torch.randn(args.batch, *shape).contiguous(memory_format=layout) for _ in range(16)]
labels = [torch.randint(10, (args.batch,)) for _ in inputs]
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


def step(i):
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(net(inputs[i % 16]), labels[i % 16])
    loss.backward()
    optimizer.step()


i, times = 0, []
warm = time.perf_counter() + args.seconds * 0.2
while time.perf_counter() < warm or i < 5:
    step(i)
    i += 1
end = time.perf_counter() + args.seconds
while time.perf_counter() < end or len(times) < 20:
    start = time.perf_counter()
    step(i)
    times.append(time.perf_counter() - start)
    i += 1
times.sort()
print(json.dumps({"ms": times[len(times) // 2] * 1e3, "min": times[0] * 1e3, "p90": times[int(len(times) * 0.9)] * 1e3}))
