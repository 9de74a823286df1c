#!/usr/bin/env python3
"""Writes what PyTorch makes of small instances of bench/torch_models.py: tests/lit/models/Inputs/<name>.{json,npz}.

The .json is the model of bench/models with its sizes cut down; <name>.npz holds weights, buffers and a batch under
gradc's names, <name>.expected.npz the loss, the new buffers and the gradients, computed in f64. Developers run it with
any PyTorch when the models change; the tests read what it wrote.
"""
import json
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import torch_models  # noqa: E402

FOLDER = ROOT / "tests/lit/models/Inputs"
BATCH, CLASSES = 4, 10
TRANSFORMER = {"width": 32, "heads": 4, "hidden": 48}
LENGTH = 6


def replaced(value, numbers):
    if isinstance(value, dict):
        return {k: replaced(v, numbers) for k, v in value.items()}
    if isinstance(value, list):
        return [replaced(v, numbers) for v in value]
    return numbers.get(value, value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def gradc_names(name, tensor):
    """Tensors of the twin as gradc calls them."""
    if not name.startswith("qkv."):
        return {name: tensor}
    parts = tensor.chunk(3)
    return {"%s.%s" % (n, name[4:]): part for n, part in zip(("query", "key", "value"), parts)}


def write(name, net, x, numbers):
    model = json.loads((ROOT / "bench/models" / (name + ".json")).read_text())
    small = replaced(model, numbers)
    del small["metrics"]
    small["train"] = {**model["train"], "batch_size": BATCH}
    small["description"] = "bench/models/%s.json, smaller" % name
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / (name + ".json")).write_text(json.dumps(small, indent=1) + "\n")

    net = net.double().train()
    with torch.no_grad():  # norms that start at one and zero would hide mistakes
        for key, value in list(net.named_parameters()) + list(net.named_buffers()):
            if "bn" in key or "ln" in key or "downsample.1" in key or "running" in key:
                if value.dtype == torch.float64:
                    value.copy_(0.5 + torch.rand_like(value))
            value.copy_(value.float())  # what f32 can hold
    label = torch.randint(CLASSES, (BATCH,))
    given = {}
    for key, value in net.state_dict().items():
        if "num_batches" not in key:
            given.update({n: t.clone() for n, t in gradc_names(key, value).items()})
    loss = F.cross_entropy(net(x), label)
    loss.backward()
    expected = {"loss": loss}
    for key, value in net.named_parameters():
        expected.update({n + ".grad": t for n, t in gradc_names(key, value.grad).items()})
    for key, value in net.named_buffers():
        if "num_batches" not in key:
            expected[key] = value
    inputs = {"image" if name == "resnet18" else "x": x}
    arrays = {k: v.detach().numpy().astype(np.float32) for k, v in {**given, **inputs}.items()}
    np.savez_compressed(FOLDER / (name + ".npz"), label=label.numpy().astype(np.int32), **arrays)
    np.savez_compressed(FOLDER / (name + ".expected.npz"),
                        **{k: v.detach().numpy().astype(np.float32) for k, v in expected.items()})
    print(name, "loss %.6f" % loss.item(), sum(p.numel() for p in net.parameters()), "parameters")


torch.manual_seed(5)
write("resnet18", torch_models.ResNet18((4, 6, 8, 12)), torch.rand(BATCH, 3, 16, 16).double().float().double(),
      {64: 4, 128: 6, 256: 8, 512: 12, 32: 16})
write("transformer", torch_models.Transformer(**TRANSFORMER),
      torch.randn(BATCH, LENGTH, TRANSFORMER["width"]).double().float().double(),
      {128: LENGTH, 256: 32, 64: 8, 1024: 48, 0.125: 8 ** -0.5})
