"""The measured networks as data: what the peers build, and what the floors are computed from.

bench/models/*.json are the same networks for gradc; a test holds both to the same numbers of parameters.
A layer is a tuple: ("conv", in, out, kernel, stride, padding, bias), ("dense", in, out), ("batch_norm", channels),
("relu",), ("max_pool", kernel, stride), ("flatten",), ("dropout", rate), ("mean",) over the picture,
("residual", layers, layers of the shortcut), ("transformer", width, heads, hidden), ("mean_sequence",).
"""
from dataclasses import dataclass


def conv(inputs, outputs, kernel, stride=1, padding=0, bias=True):
    return ("conv", inputs, outputs, kernel, stride, padding, bias)


def dense(inputs, outputs):
    return ("dense", inputs, outputs)


RELU, FLATTEN, DROPOUT = ("relu",), ("flatten",), ("dropout", 0.5)


def mlp(*after_hidden):
    return [dense(784, 512), RELU, *after_hidden, dense(512, 512), RELU, *after_hidden, dense(512, 10)]


def basic_block(inputs, outputs, stride):
    def normed(i, o, kernel, step):
        return [conv(i, o, kernel, step, kernel // 2, bias=False), ("batch_norm", o)]
    body = normed(inputs, outputs, 3, stride) + [RELU] + normed(outputs, outputs, 3, 1)
    return [("residual", body, normed(inputs, outputs, 1, stride) if stride != 1 else []), RELU]


def resnet18():
    layers = [conv(3, 64, 3, 1, 1, bias=False), ("batch_norm", 64), RELU]
    for inputs, outputs in ((64, 64), (64, 128), (128, 256), (256, 512)):
        layers += basic_block(inputs, outputs, 1 if inputs == outputs else 2) + basic_block(outputs, outputs, 1)
    return layers + [("mean",), dense(512, 10)]


def pool(kernel, stride):
    return ("max_pool", kernel, stride)


@dataclass(frozen=True)
class Network:
    input: tuple  # without the batch
    layers: list
    batch: int = 64
    classes: int = 10
    feeds: int = 16  # batches that take turns
    winograd: bool = False  # its arithmetic is mostly 3×3 convolutions of stride 1

    @property
    def pictures(self):
        return len(self.input) == 3


NETWORKS = {
    "logreg": Network((784,), [dense(784, 10)]),
    "mlp": Network((784,), mlp()),
    "mlp_dropout": Network((784,), mlp(DROPOUT)),
    "lenet": Network((1, 28, 28), [
        conv(1, 6, 5, 1, 2), RELU, pool(2, 2), conv(6, 16, 5), RELU, pool(2, 2), FLATTEN,
        dense(400, 120), RELU, dense(120, 84), RELU, dense(84, 10)]),
    "cifar_vgg": Network((3, 32, 32), [
        conv(3, 64, 3, 1, 1), RELU, conv(64, 64, 3, 1, 1), RELU, pool(2, 2),
        conv(64, 128, 3, 1, 1), RELU, conv(128, 128, 3, 1, 1), RELU, pool(2, 2), FLATTEN,
        dense(8192, 256), RELU, dense(256, 10)], winograd=True),
    "alexnet": Network((3, 224, 224), [
        conv(3, 64, 11, 4, 2), RELU, pool(3, 2), conv(64, 192, 5, 1, 2), RELU, pool(3, 2),
        conv(192, 384, 3, 1, 1), RELU, conv(384, 256, 3, 1, 1), RELU, conv(256, 256, 3, 1, 1), RELU, pool(3, 2),
        FLATTEN, DROPOUT, dense(9216, 4096), RELU, DROPOUT, dense(4096, 4096), RELU, dense(4096, 1000)],
        batch=16, classes=1000, feeds=4, winograd=True),
    "resnet18": Network((3, 32, 32), resnet18(), batch=32, winograd=True),
    "transformer": Network((128, 256), [("transformer", 256, 4, 1024), ("mean_sequence",), dense(256, 10)]),
}


def walk(layers, shape, visit):
    """Calls visit(layer, input shape, output shape) for every layer; returns the last shape. Batch left out."""
    for layer in layers:
        kind, out = layer[0], shape
        if kind == "residual":
            out = walk(layer[1], shape, visit)
            walk(layer[2], shape, visit)
        elif kind == "conv":
            _, _, filters, kernel, stride, padding, _ = layer
            out = (filters,) + tuple((n + 2 * padding - kernel) // stride + 1 for n in shape[1:])
        elif kind == "max_pool":
            out = shape[:1] + tuple((n - layer[1]) // layer[2] + 1 for n in shape[1:])
        elif kind == "flatten":
            out = (shape[0] * shape[1] * shape[2],)
        elif kind == "mean":
            out = shape[:1]
        elif kind == "mean_sequence":
            out = shape[1:]
        elif kind == "dense":
            out = shape[:-1] + (layer[2],)
        visit(layer, shape, out)
        shape = out
    return shape


def flops(name, training, batch):
    """Two per multiply-add of products and convolutions; training is thrice that, less the first layer's gradient of
    its data, which nobody needs (a transformer's norm needs it)."""
    network, each = NETWORKS[name], []

    def visit(layer, shape, out):
        if layer[0] == "conv":
            each.append(2 * layer[1] * layer[3] ** 2 * out[0] * out[1] * out[2])
        elif layer[0] == "dense":
            each.append(2 * layer[1] * layer[2])
        elif layer[0] == "transformer":
            length, width, hidden = shape[0], layer[1], layer[3]
            each.extend([0, 2 * length * (4 * width * width + 2 * width * hidden + 2 * length * width)])
    walk(network.layers, network.input, visit)
    return batch * ((3 * sum(each) - each[0]) if training else sum(each))


def parameters(name):
    network, counts = NETWORKS[name], []

    def visit(layer, shape, out):
        if layer[0] == "conv":
            counts.append(layer[1] * layer[2] * layer[3] ** 2 + layer[6] * layer[2])
        elif layer[0] == "dense":
            counts.append(layer[1] * layer[2] + layer[2])
        elif layer[0] == "batch_norm":
            counts.append(2 * layer[1])
        elif layer[0] == "transformer":
            width, hidden = layer[1], layer[3]
            counts.append(4 * (width * width + width) + 2 * width * hidden + hidden + width + 4 * width)
    walk(network.layers, network.input, visit)
    return sum(counts)


def weight_bytes(name):
    return 4 * parameters(name)
