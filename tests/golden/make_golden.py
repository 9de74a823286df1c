#!/usr/bin/python3
"""Writes golden values of every op, forward and gradient, as computed by PyTorch 1.13 (python3-torch).

Developers run it when the op table changes; the tests read the files it wrote and need no PyTorch:

    /usr/bin/python3 tests/golden/make_golden.py        # writes tests/golden/<op>.json

A file is a list of cases {"attrs", "operands", "results", "cotangent", "gradients"}: a tensor is
{"type", "data"} with "nan", "inf", "-inf" as words; `gradients` has one entry per operand, null where none is
asked for. The oracle shares no code and no formulas with gradc.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(0)
RNG = np.random.RandomState(7)
CASES = {}

NAMES = {torch.float64: "f64", torch.float32: "f32", torch.int32: "i32", torch.int64: "i64",
         torch.bool: "bool", torch.bfloat16: "bf16", torch.float16: "f16", torch.uint8: "u8", torch.int8: "i8"}


def rand(*shape, low=-2.0, high=2.0):
    """Multiples of 1/64: they print short and are exact in every float type down to f32."""
    return torch.tensor(np.round(RNG.uniform(low, high, shape) * 64) / 64, dtype=torch.float64)


def distinct(*shape):
    n = int(np.prod(shape))
    return torch.tensor((RNG.permutation(n).reshape(shape) - n / 2 + 0.25) / 16, dtype=torch.float64)


def ints(high, *shape, low=0, dtype=torch.int32):
    return torch.tensor(RNG.randint(low, high, shape), dtype=dtype)


def bools(*shape):
    return torch.tensor(RNG.randint(0, 2, shape), dtype=torch.bool)


def number(x):
    if isinstance(x, (bool, int)):
        return x
    if math.isnan(x):
        return "nan"
    if math.isinf(x):
        return "inf" if x > 0 else "-inf"
    return float("%.15g" % x)


def tensor(t):
    t = t.detach()
    shape = ",".join(str(d) for d in t.shape)
    data = t.double() if t.dtype in (torch.bfloat16, torch.float16) else t
    return {"type": "%s[%s]" % (NAMES[t.dtype], shape), "data": [number(x) for x in data.flatten().tolist()]}


def case(op, operands, f, attrs=None, wrt=None, grad=True):
    """wrt: which operands get gradients, of the first result; all floats unless given."""
    leaves = [o.clone() for o in operands]
    if wrt is None:
        wrt = [i for i, o in enumerate(operands) if o.dtype == torch.float64]
    for i in wrt if grad else []:
        leaves[i].requires_grad_(True)
    results = f(*leaves)
    results = results if isinstance(results, tuple) else (results,)
    y = results[0]
    entry = {"attrs": attrs or {}, "operands": [tensor(o) for o in operands], "results": [tensor(r) for r in results]}
    if grad and wrt and y.dtype == torch.float64:
        cotangent = rand(*y.shape, low=0.25, high=2.0)
        if y.requires_grad:
            y.backward(cotangent)
        entry["cotangent"] = tensor(cotangent)
        zeros = [torch.zeros_like(o) for o in leaves]
        entry["gradients"] = [tensor(leaves[i].grad if leaves[i].grad is not None else zeros[i]) if i in wrt else None
                              for i in range(len(operands))]
    CASES.setdefault(op, []).append(entry)


SPECIAL = torch.tensor([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e300, -1e300, 40.0, -40.0], dtype=torch.float64)


def elementwise():
    unary = {
        "neg": torch.neg, "abs": torch.abs, "sign": torch.sign, "exp": torch.exp, "square": torch.square,
        "tanh": torch.tanh, "sigmoid": torch.sigmoid, "erf": torch.erf, "floor": torch.floor, "relu": F.relu,
        "gelu": F.gelu, "softplus": lambda x: F.softplus(x, threshold=1000),
    }
    for op, f in unary.items():
        for shape in [(), (5,), (2, 1, 3), (1, 1)]:
            case(op, [rand(*shape)], f)
        x = SPECIAL.clone()
        if op in ("gelu", "softplus"):  # PyTorch's own formulas give NaN at infinity here
            x = x[3:]
        if op != "sign":  # torch.sign(nan) is 0, ours is nan
            case(op, [x], f, grad=False)
        case(op, [x[3:]], f)
    for op, f in {"log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt}.items():
        for shape in [(), (5,), (2, 1, 3)]:
            case(op, [rand(*shape, low=0.25, high=4.0)], f)
        case(op, [torch.tensor([math.inf, 0.0, 1e-300, math.nan, -1.0], dtype=torch.float64)], f, grad=False)
    for slope in (0.01, 0.25, -0.5):
        case("leaky_relu", [rand(3, 4)], lambda x: F.leaky_relu(x, slope), {"slope": slope})
    for alpha in (1.0, 0.5, 2.0):
        case("elu", [rand(3, 4)], lambda x: F.elu(x, alpha), {"alpha": alpha})
    case("leaky_relu", [SPECIAL], F.leaky_relu)
    case("elu", [SPECIAL], F.elu)

    binary = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
              "maximum": torch.maximum, "minimum": torch.minimum}
    for op, f in binary.items():
        for shape in [(), (6,), (1, 4), (2, 1, 3)]:
            a = distinct(*shape)
            case(op, [a, a + rand(*shape, low=0.25, high=2.0) * (-1.0 if len(shape) % 2 else 1.0) + 1 / 128], f)
        pairs = torch.cartesian_prod(SPECIAL, SPECIAL)
        case(op, [pairs[:, 0].contiguous(), pairs[:, 1].contiguous()], f, grad=False)
        if op != "div":
            a, b = ints(2**31 - 1, 7, low=-2**31), ints(2**31 - 1, 7, low=-2**31)
            case(op, [a, b], f)
            a, b = ints(2**62, 5, low=-2**62, dtype=torch.int64), ints(2**62, 5, low=-2**62, dtype=torch.int64)
            case(op, [a, b], f)
    for shape in [(), (6,), (1, 4), (2, 1, 3)]:
        case("pow", [rand(*shape, low=0.25, high=2.0), rand(*shape)], torch.pow)
    edge = torch.tensor([0.0, 0.0, 0.0, 2.0, -2.0, -2.0], dtype=torch.float64)
    case("pow", [edge, torch.tensor([0.0, 2.0, 1.0, 0.0, 3.0, 0.0], dtype=torch.float64)], torch.pow, wrt=[0])
    case("pow", [edge[:4], torch.tensor([0.0, 2.0, 1.0, 0.0], dtype=torch.float64)], torch.pow, wrt=[1])

    compare = {"eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge}
    for op, f in compare.items():
        pairs = torch.cartesian_prod(SPECIAL, SPECIAL)
        case(op, [pairs[:, 0].contiguous(), pairs[:, 1].contiguous()], f)
        case(op, [ints(3, 9), ints(3, 9)], f)
        case(op, [ints(2**62 + 2, 9, low=2**62, dtype=torch.int64), ints(2**62 + 2, 9, low=2**62, dtype=torch.int64)], f)
    for op, f in {"and": torch.logical_and, "or": torch.logical_or}.items():
        case(op, [bools(3, 5), bools(3, 5)], f)
    case("not", [bools(7)], torch.logical_not)
    for shape in [(), (6,), (2, 1, 3)]:
        case("select", [bools(*shape), rand(*shape), rand(*shape)], torch.where)
    case("select", [bools(6), ints(9, 6), ints(9, 6)], torch.where)


def cast():
    x = rand(9, low=-100, high=100)
    case("cast", [x], lambda x: x.to(torch.float64), {"dtype": "f64"})
    for name, dtype in [("f32", torch.float32), ("bf16", torch.bfloat16), ("f16", torch.float16),
                        ("i32", torch.int32), ("i64", torch.int64), ("i8", torch.int8), ("bool", torch.bool)]:
        case("cast", [x], lambda x: x.to(dtype), {"dtype": name}, grad=False)
    odd = torch.tensor([1 / 3, 1.00390625, 1.01171875, 65519.0, 65520.0, 1e-8, 3e38, 1e-40, -0.0, math.inf, math.nan],
                       dtype=torch.float32)
    for name, dtype in [("bf16", torch.bfloat16), ("f16", torch.float16), ("f64", torch.float64)]:
        case("cast", [odd], lambda x: x.to(dtype), {"dtype": name}, grad=False)
    for a in (ints(2**31 - 1, 5, low=-2**31), ints(2**62, 5, low=-2**62, dtype=torch.int64), bools(5)):
        for name, dtype in [("i32", torch.int32), ("i64", torch.int64), ("i8", torch.int8), ("u8", torch.uint8),
                            ("f32", torch.float32), ("f64", torch.float64), ("bool", torch.bool)]:
            case("cast", [a], lambda a: a.to(dtype), {"dtype": name}, grad=False)


def movement():
    def broadcast(x, axes, shape):
        view = [1] * len(shape)
        for i, axis in enumerate(axes):
            view[axis] = x.shape[i]
        return x.reshape(view).expand(shape)

    for source, axes, shape in [((), [], [2, 3]), ((3,), [0], [3, 2]), ((3,), [1], [2, 3]), ((2, 3), [0, 2], [2, 4, 3]),
                                ((2, 1), [1, 3], [3, 2, 2, 1]), ((4,), [0], [4])]:
        case("broadcast", [rand(*source)], lambda x: broadcast(x, axes, shape), {"axes": axes, "shape": shape})
    for source, shape in [((), [1]), ((6,), [2, 3]), ((2, 3, 2), [4, 3]), ((1, 4), [4])]:
        case("reshape", [rand(*source)], lambda x: x.reshape(shape), {"shape": shape})
    for source, order in [((4,), [0]), ((2, 3), [1, 0]), ((2, 3, 4), [2, 0, 1]), ((2, 1, 3, 2), [0, 2, 3, 1])]:
        case("transpose", [rand(*source)], lambda x: x.permute(order), {"permutation": order})
    case("slice", [rand(9)], lambda x: x[2:8:3], {"start": [2], "limit": [8], "stride": [3]})
    case("slice", [rand(4, 5)], lambda x: x[1:3, 0:5:2], {"start": [1, 0], "limit": [3, 5], "stride": [1, 2]})
    case("slice", [rand(2, 3, 4)], lambda x: x[:, 1:2, 3:], {"start": [0, 1, 3], "limit": [2, 2, 4]})

    def pad(x, low, high, interior, value):
        for axis in range(x.dim()):
            gaps = x.shape[axis] + (x.shape[axis] - 1) * interior[axis]
            size = list(x.shape)
            size[axis] = low[axis] + gaps + high[axis]
            wide = torch.full(size, value, dtype=x.dtype)
            at = low[axis] + torch.arange(x.shape[axis]) * (interior[axis] + 1)
            x = wide.index_copy(axis, at, x)
        return x

    for source, low, high, interior, value in [((3,), [1], [2], [0], 0.0), ((2, 3), [0, 2], [1, 0], [0, 0], -1.5),
                                               ((2, 3), [1, 0], [0, 1], [2, 1], 0.5), ((1, 1), [0, 0], [0, 0], [3, 3], 0.0)]:
        case("pad", [rand(*source)], lambda x: pad(x, low, high, interior, value),
             {"low": low, "high": high, "interior": interior, "value": value})
    for shapes, axis in [([(2,), (3,)], 0), ([(2, 1), (2, 3), (2, 2)], 1), ([(1, 2, 2), (3, 2, 2)], 0), ([(2, 2)], 1)]:
        case("concat", [rand(*s) for s in shapes], lambda *xs: torch.cat(xs, axis), {"axis": axis})
    for source, axes in [((5,), [0]), ((2, 3), [0, 1]), ((2, 3, 2), [1])]:
        case("reverse", [rand(*source)], lambda x: torch.flip(x, axes), {"axes": axes})

    def gather(x, i, axis):
        i = i.long().clamp(0, x.shape[axis] - 1)
        flat = torch.index_select(x, axis, i.flatten())
        return flat.reshape(x.shape[:axis] + i.shape + x.shape[axis + 1:])

    for source, index, axis in [((4,), (3,), 0), ((3, 2), (5,), 0), ((2, 3, 2), (2, 2), 1), ((2, 4), (), 1)]:
        case("gather", [rand(*source), ints(source[axis], *index)], lambda x, i: gather(x, i, axis), {"axis": axis})
    case("gather", [rand(4, 2), torch.tensor([-5, 0, 3, 4, 99], dtype=torch.int32)], lambda x, i: gather(x, i, 0))

    def scatter(i, u, axis, size):
        flat = u.reshape(u.shape[:axis] + (-1,) + u.shape[axis + i.dim():])
        zeros = torch.zeros(flat.shape[:axis] + (size,) + flat.shape[axis + 1:], dtype=u.dtype)
        return zeros.index_add(axis, i.long().clamp(0, size - 1).flatten(), flat)

    for index, updates, axis, size in [((5,), (5,), 0, 3), ((4,), (4, 2), 0, 4), ((2, 2), (3, 2, 2), 1, 3), ((), (2, 3), 1, 4)]:
        case("scatter_add", [ints(size, *index), rand(*updates)], lambda i, u: scatter(i, u, axis, size),
             {"axis": axis, "size": size})
    case("scatter_add", [torch.tensor([7, -1, 0], dtype=torch.int32), rand(3, 2)], lambda i, u: scatter(i, u, 0, 2), {"size": 2})


def reductions():
    shapes = [((4,), [0]), ((2, 3), [0]), ((2, 3), [1]), ((2, 3, 4), [0, 2]), ((2, 3, 4), [0, 1, 2]), ((3, 1, 2), [1])]
    for source, axes in shapes:
        for keep in (False, True):
            attrs = {"axes": axes, "keep_dims": keep}
            case("reduce_sum", [rand(*source)], lambda x: x.sum(axes, keepdim=keep), attrs)
            case("reduce_mean", [rand(*source)], lambda x: x.mean(axes, keepdim=keep), attrs)
            case("reduce_max", [distinct(*source)], lambda x: x.amax(axes, keepdim=keep), attrs)
            case("reduce_min", [distinct(*source)], lambda x: x.amin(axes, keepdim=keep), attrs)
    nans = torch.tensor([[1.0, math.nan, 2.0], [-math.inf, 0.0, math.inf]], dtype=torch.float64)
    for op, f in [("reduce_sum", torch.sum), ("reduce_max", torch.amax), ("reduce_min", torch.amin)]:
        case(op, [nans], lambda x: f(x, 1), {"axes": [1]}, grad=False)
    for source, axis in [((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 2), 1)]:
        case("argmax", [distinct(*source)], lambda x: x.argmax(axis).int(), {"axis": axis})
    case("argmax", [nans], lambda x: x.argmax(1).int(), {"axis": 1})
    case("argmax", [torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], dtype=torch.float64)], lambda x: x.argmax(1).int(), {"axis": 1})
    for batch in [(), (2,), (2, 1)]:
        for ta in (False, True):
            for tb in (False, True):
                a = rand(*batch, *((4, 2) if ta else (2, 4)))
                b = rand(*batch, *((3, 4) if tb else (4, 3)))
                case("matmul", [a, b], lambda a, b: (a.mT if ta else a) @ (b.mT if tb else b),
                     {"transpose_a": ta, "transpose_b": tb})


def padded(x, p, value=0.0):
    return F.pad(x, (p[2], p[3], p[0], p[1]), value=value)


def spatial():
    convs = [  # x, w, stride, padding (top, bottom, left, right), dilation, groups
        ((1, 1, 3, 3), (1, 1, 2, 2), [1, 1], [0, 0, 0, 0], [1, 1], 1),
        ((2, 3, 5, 4), (4, 3, 3, 2), [1, 1], [1, 1, 1, 1], [1, 1], 1),
        ((2, 2, 5, 5), (3, 2, 2, 3), [2, 1], [1, 0, 0, 2], [1, 1], 1),
        ((1, 4, 4, 5), (6, 2, 2, 2), [1, 2], [0, 1, 2, 0], [2, 1], 2),
        ((2, 3, 4, 4), (3, 1, 3, 3), [1, 1], [1, 1, 1, 1], [1, 1], 3),
        ((1, 1, 2, 2), (2, 1, 1, 1), [3, 3], [0, 0, 0, 0], [1, 1], 1),
    ]
    for xs, ws, stride, padding, dilation, groups in convs:
        attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}

        def conv(x, w):
            return F.conv2d(padded(x, padding), w, stride=tuple(stride), dilation=tuple(dilation), groups=groups)

        x, w = rand(*xs), rand(*ws)
        case("conv2d", [x, w], conv, attrs)
        dy = rand(*conv(x, w).shape)

        def grad_input(dy, w):
            at = torch.zeros(xs, dtype=torch.float64, requires_grad=True)
            return torch.autograd.grad(conv(at, w), at, dy, create_graph=True)[0]

        def grad_weight(x, dy):
            at = torch.zeros(ws, dtype=torch.float64, requires_grad=True)
            return torch.autograd.grad(conv(x, at), at, dy, create_graph=True)[0]

        case("conv2d_grad_input", [dy, w], grad_input, {**attrs, "input": list(xs[2:])})
        case("conv2d_grad_weight", [x, dy], grad_weight, {**attrs, "kernel": list(ws[2:])})

    windows = [((1, 1, 4, 4), [2, 2], [2, 2], [0, 0, 0, 0]), ((2, 2, 5, 4), [3, 2], [1, 2], [0, 0, 0, 0]),
               ((1, 2, 5, 5), [3, 3], [2, 2], [1, 1, 1, 1]), ((2, 1, 4, 3), [2, 3], [3, 1], [1, 0, 0, 2])]
    for xs, window, stride, padding in windows:
        attrs = {"window": window, "stride": stride, "padding": padding}
        pool = {"kernel": window, "stride": stride, "padding": padding}

        def largest(x):
            return F.max_pool2d(padded(x, padding, -math.inf), window, stride)

        def total(x):
            return F.avg_pool2d(padded(x, padding), window, stride, divisor_override=1)

        def mean(x):
            return F.avg_pool2d(padded(x, padding), window, stride)

        x = distinct(*xs)
        case("window_max", [x], largest, attrs)
        case("max_pool2d", [x], largest, pool)
        case("window_sum", [x], total, attrs)
        case("avg_pool2d", [x], mean, pool)
        dy = rand(*largest(x).shape)

        def max_grad(x, dy):
            at = x.detach().clone().requires_grad_(True)
            return torch.autograd.grad(largest(at), at, dy, create_graph=True)[0]

        def sum_grad(dy):
            at = torch.zeros(xs, dtype=torch.float64, requires_grad=True)
            return torch.autograd.grad(total(at), at, dy, create_graph=True)[0]

        case("window_max_grad", [x, dy], max_grad, attrs, wrt=[1])
        case("window_sum_grad", [dy], sum_grad, {**attrs, "input": list(xs[2:])})
    case("max_pool2d", [distinct(1, 2, 4, 6)], lambda x: F.max_pool2d(x, (2, 3)), {"kernel": [2, 3]})
    case("avg_pool2d", [distinct(1, 2, 4, 6)], lambda x: F.avg_pool2d(x, (2, 3)), {"kernel": [2, 3]})
    ties = torch.tensor(RNG.randint(0, 2, (2, 2, 6, 6)), dtype=torch.float64)  # PyTorch takes the first, as we do
    nans = ties.clone()
    nans[0, 0, 2, 3] = math.nan  # one: of several PyTorch takes the last, we take the first
    for x in (ties, nans):
        case("window_max", [x], lambda x: F.max_pool2d(x, 3, 2), {"window": [3, 3], "stride": [2, 2]})
        case("max_pool2d", [x], lambda x: F.max_pool2d(x, 2), {"kernel": [2, 2]})


def composites():
    for source, axis in [((3,), 0), ((2, 3), 1), ((2, 3, 4), 1), ((2, 3, 4), -1)]:
        view = [1] * len(source)
        view[axis] = source[axis]
        case("bias", [rand(*source), rand(source[axis])], lambda x, b: x + b.reshape(view), {"axis": axis})
    for source in [(4,), (1, 4), (3, 4), (2, 3, 4)]:
        case("dense", [rand(*source), rand(5, 4)], F.linear)
        case("dense", [rand(*source), rand(5, 4), rand(5)], F.linear)
    for source, axis in [((5,), -1), ((2, 4), -1), ((2, 4), 0), ((2, 3, 2), 1), ((3, 1), -1)]:
        case("softmax", [rand(*source)], lambda x: F.softmax(x, axis), {"axis": axis})
        case("log_softmax", [rand(*source)], lambda x: F.log_softmax(x, axis), {"axis": axis})
    big = torch.tensor([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0]], dtype=torch.float64)
    case("softmax", [big], lambda x: F.softmax(x, -1))
    case("log_softmax", [big], lambda x: F.log_softmax(x, -1))
    for n, c in [(1, 1), (3, 4), (5, 2)]:
        labels = ints(c, n)
        case("softmax_cross_entropy", [rand(n, c), labels], lambda x, t: F.cross_entropy(x, t.long(), reduction="none"))
        case("softmax_cross_entropy", [rand(n, c), rand(n, c, low=0, high=1)],
             lambda x, t: F.cross_entropy(x, t, reduction="none"))
        case("accuracy", [distinct(n, c), labels], lambda x, t: (x.argmax(1) == t).double(), grad=False)
    case("softmax_cross_entropy", [big, torch.tensor([1, 2], dtype=torch.int32)],
         lambda x, t: F.cross_entropy(x, t.long(), reduction="none"))
    for source in [(3,), (2, 3, 2), (1, 2, 1, 3)]:
        case("flatten", [rand(*source)], lambda x: x.reshape(x.shape[0], -1))


def philox(counter, key):
    """Philox4x32-10 from the paper's definition, in Python integers."""
    mask = 0xFFFFFFFF
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & mask, (p0 >> 32) ^ c[3] ^ k[1], p0 & mask]
        k = [(k[0] + 0x9E3779B9) & mask, (k[1] + 0xBB67AE85) & mask]
    return c


# The known answers of the Random123 distribution (kat_vectors).
assert philox([0] * 4, [0] * 2) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
assert philox([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0]) == \
    [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def uniform(seed, step, row0, stream, shape):
    h = 0xCBF29CE484222325
    for byte in stream.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    key = (seed ^ h) % 2**64
    rows = shape[0] if shape else 1
    count = int(np.prod(shape))
    size = count // rows
    out = []
    for i in range(count):
        row, column = divmod(i, size)
        g = ((row0 + row) * -(-size // 4) + column // 4) % 2**64
        x = philox([g % 2**32, g >> 32, step % 2**32, (step % 2**64) >> 32], [key % 2**32, key >> 32])
        out.append((x[column % 4] >> 8) / 2**24)
    return torch.tensor(out, dtype=torch.float64).reshape(shape)


def others():
    for seed, step, row0, stream, shape in [(0, 0, 0, "drop", [4]), (1, 2, 3, "drop", [2, 3]), (-1, 2**40 + 1, 2**40, "a/b", [3, 5]),
                                            (7, 0, 5, "", [])]:
        scalars = [torch.tensor(v, dtype=torch.int64) for v in (seed, step, row0)]
        for dtype in ("f32", "f64"):
            values = uniform(seed, step, row0, stream, shape).to(torch.float32 if dtype == "f32" else torch.float64)
            case("random_uniform", scalars, lambda *_: values, {"stream": stream, "shape": shape, "dtype": dtype})
        x = rand(*shape)
        for rate in (0.0, 0.5, 0.9):
            keep = uniform(seed, step, row0, stream, shape) >= rate
            case("dropout", [x, torch.tensor(rate, dtype=torch.float64)] + scalars,
                 lambda x, r, *_: torch.where(keep, x / (1 - r), torch.zeros_like(x)), {"stream": stream}, wrt=[0])
    for shape, axis, dtype in [([4], 0, torch.int32), ([2, 3], 1, torch.float64), ([2, 3, 2], 0, torch.int64)]:
        view = [1] * len(shape)
        view[axis] = shape[axis]
        case("iota", [], lambda: torch.arange(shape[axis], dtype=dtype).reshape(view).expand(shape),
             {"shape": shape, "axis": axis, "dtype": NAMES[dtype]})
    for value in (rand(2, 3), ints(9, 4), bools(3), torch.tensor(1.5)):
        case("constant", [], lambda: value, {"value": tensor(value)})


def networks():
    """What ResNets and transformers need; last, so that the numbers of the others stay."""
    for shape in [(), (5,), (2, 1, 3)]:
        case("gelu", [rand(*shape)], lambda x: F.gelu(x, approximate="tanh"), {"approximate": "tanh"})
    for batch in [(2,), (2, 1, 3)]:
        for tb in (False, True):
            case("matmul", [rand(*batch, 2, 4), rand(*((3, 4) if tb else (4, 3)))],
                 lambda a, b: a @ (b.mT if tb else b), {"transpose_b": tb})
    for source in [(4, 3), (2, 3, 2), (3, 2, 2, 2), (1, 2, 3, 1, 2)]:
        for epsilon, momentum in [(1e-5, 0.1), (0.1, 0.75)]:
            channels = source[1]
            operands = [rand(*source), rand(channels), rand(channels), rand(channels), rand(channels, low=0.5, high=2.0)]

            def train(x, weight, bias, mean, variance):
                mean, variance = mean.clone(), variance.clone()
                y = F.batch_norm(x, mean, variance, weight, bias, True, momentum, epsilon)
                return y, mean, variance

            case("batch_norm_train", operands, train, {"epsilon": epsilon, "momentum": momentum}, wrt=[0, 1, 2])
            case("batch_norm_infer", operands,
                 lambda x, weight, bias, mean, variance: F.batch_norm(x, mean, variance, weight, bias, eps=epsilon),
                 {"epsilon": epsilon}, wrt=[0, 1, 2])
    for source, dims in [((4,), 1), ((2, 5), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((3, 1, 2), 3)]:
        for epsilon in (1e-5, 0.1):
            normalized = source[len(source) - dims:]
            case("layer_norm", [rand(*source), rand(*normalized), rand(*normalized)],
                 lambda x, weight, bias: F.layer_norm(x, normalized, weight, bias, epsilon), {"epsilon": epsilon})


for group in (elementwise, cast, movement, reductions, spatial, composites, others, networks):
    group()
folder = pathlib.Path(__file__).parent
for op, cases in CASES.items():
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
    (folder / (op + ".json")).write_text("[\n" + lines + "\n]\n")
print("%d cases of %d ops with PyTorch %s" % (sum(map(len, CASES.values())), len(CASES), torch.__version__))
