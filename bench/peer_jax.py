#!/usr/bin/env python3
"""One measurement of JAX in one process: the whole training step is one jax.jit that owns its state (donated buffers).

  peer_jax.py NETWORK train|infer --threads N [--precision bf16]
  peer_jax.py NETWORK train --device cuda [--precision tf32|bf16]

bf16 casts weights and activations inside the step; master weights and optimiser stay f32. XLA takes its number of
threads from the processors that the process may use.
"""
import os

import timing

args = timing.arguments(__doc__)
os.environ.setdefault("JAX_PLATFORMS", args.device)
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from networks import NETWORKS

network = NETWORKS[args.network]
batch = args.batch or network.batch
random = np.random.default_rng(0)
jax.config.update("jax_default_matmul_precision", {"f32": "highest"}.get(args.precision, "default"))
COMPUTE = jnp.bfloat16 if args.precision == "bf16" else jnp.float32


def uniform(fan_in, *shape):
    return jnp.asarray(random.uniform(-1, 1, shape).astype("f4") * fan_in ** -0.5)


def weight_and_bias(inputs, outputs):
    return uniform(inputs, inputs, outputs), uniform(inputs, outputs)


def make(layer):
    """(trained values, running values) of one layer."""
    kind, *v = layer
    if kind == "conv":
        inputs, outputs, kernel, _, _, bias = v
        fan_in = inputs * kernel * kernel
        w = uniform(fan_in, kernel, kernel, inputs, outputs)
        return ((w, uniform(fan_in, outputs)) if bias else (w,)), ()
    if kind == "dense":
        return weight_and_bias(*v), ()
    if kind == "batch_norm":
        return (jnp.ones(v[0]), jnp.zeros(v[0])), (jnp.zeros(v[0]), jnp.ones(v[0]))
    if kind == "residual":
        body, shortcut = make_all(v[0]), make_all(v[1])
        return (body[0], shortcut[0]), (body[1], shortcut[1])
    if kind == "transformer":
        width, _, hidden = v
        norm = (jnp.ones(width), jnp.zeros(width))
        return (norm, norm, weight_and_bias(width, 3 * width), weight_and_bias(width, width),
                weight_and_bias(width, hidden), weight_and_bias(hidden, width)), ()
    return (), ()


def make_all(layers):
    made = [make(layer) for layer in layers]
    return [trained for trained, _ in made], [running for _, running in made]


def affine(p, x):
    return x @ p[0].astype(COMPUTE) + p[1].astype(COMPUTE)


def layer_norm(p, x):
    x = x.astype(jnp.float32)
    centred = x - x.mean(-1, keepdims=True)
    y = centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return (y * p[0] + p[1]).astype(COMPUTE)


def attention(qkv, out, heads, x):
    n, length, width = x.shape
    q, k, v = jnp.moveaxis(affine(qkv, x).reshape(n, length, 3, heads, width // heads), 2, 0)
    scores = jnp.einsum("nqhd,nkhd->nhqk", q, k) * (width // heads) ** -0.5
    weights = jax.nn.softmax(scores.astype(jnp.float32)).astype(COMPUTE)
    return affine(out, jnp.einsum("nhqk,nkhd->nqhd", weights, v).reshape(n, length, width))


def batch_norm(p, running, x, training):
    x = x.astype(jnp.float32)
    mean, variance = running
    if training:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        count = x.size // x.shape[-1]
        running = tuple(lax.stop_gradient(0.9 * old + 0.1 * new)
                        for old, new in zip(running, (mean, variance * count / (count - 1))))
    y = (x - mean) * (lax.rsqrt(variance + 1e-5) * p[0]) + p[1]
    return y.astype(COMPUTE), running


def apply(layer, p, running, x, key, training):
    kind, *v = layer
    if kind == "conv":
        y = lax.conv_general_dilated(x, p[0].astype(COMPUTE), (v[3], v[3]), [(v[4], v[4])] * 2,
                                     dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return (y + p[1].astype(COMPUTE) if v[5] else y), running
    if kind == "dense":
        return affine(p, x), running
    if kind == "relu":
        return jax.nn.relu(x), running
    if kind == "max_pool":
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, v[0], v[0], 1), (1, v[1], v[1], 1), "VALID"), running
    if kind == "flatten":
        return x.reshape(x.shape[0], -1), running
    if kind == "mean":
        return x.mean((1, 2)), running
    if kind == "mean_sequence":
        return x.mean(1), running
    if kind == "dropout":
        return (jnp.where(jax.random.bernoulli(key, 1 - v[0], x.shape), x / (1 - v[0]), 0) if training else x), running
    if kind == "batch_norm":
        return batch_norm(p, running, x, training)
    if kind == "residual":
        y, body = apply_all(v[0], p[0], running[0], x, key, training)
        x, shortcut = apply_all(v[1], p[1], running[1], x, key, training)
        return x + y, (body, shortcut)
    if kind == "transformer":
        norm1, norm2, qkv, out, up, down = p
        x = x + attention(qkv, out, v[1], layer_norm(norm1, x))
        return x + affine(down, jax.nn.gelu(affine(up, layer_norm(norm2, x)), approximate=False)), running
    raise ValueError(kind)


def apply_all(layers, ps, runnings, x, key, training):
    after = []
    for i, layer in enumerate(layers):
        sub = jax.random.fold_in(key, i) if layer[0] == "dropout" and training else key
        x, running = apply(layer, ps[i], runnings[i], x, sub, training)
        after.append(running)
    return x, after


def loss_of(ps, runnings, x, y, key):
    logits, after = apply_all(network.layers, ps, runnings, x.astype(COMPUTE), key, True)
    log_probability = jax.nn.log_softmax(logits.astype(jnp.float32))
    return -jnp.take_along_axis(log_probability, y[:, None], axis=1).mean(), after


def train_step(ps, velocity, runnings, key, x, y):
    key, sub = jax.random.split(key)
    (loss, runnings), gradient = jax.value_and_grad(loss_of, has_aux=True)(ps, runnings, x, y, sub)
    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, gradient)
    ps = jax.tree.map(lambda p, v: p - 1e-3 * v, ps, velocity)
    return ps, velocity, runnings, key, loss


shape = network.input[1:] + network.input[:1] if network.pictures else network.input
inputs = [jnp.asarray(random.standard_normal((batch, *shape), dtype="f4")) for _ in range(network.feeds)]
labels = [jnp.asarray(random.integers(0, network.classes, (batch,)).astype("i4")) for _ in inputs]
parameters, running = make_all(network.layers)
turn = 0
if args.mode == "train":
    # Every buffer is donated, so none may be shared.
    copy = lambda tree: jax.tree.map(lambda v: v.copy(), tree)
    state = (copy(parameters), jax.tree.map(jnp.zeros_like, parameters), copy(running), jax.random.PRNGKey(0))
    compiled = jax.jit(train_step, donate_argnums=(0, 1, 2, 3))

    def step():
        global state, turn
        *state, loss = compiled(*state, inputs[turn], labels[turn])
        if args.device == "cpu":
            wait()
        turn = (turn + 1) % len(inputs)
        return loss

    def wait():
        jax.block_until_ready(state)
    result = timing.measure(step, args, wait if args.device == "cuda" else None)
    assert bool(jnp.isfinite(step())), "the loss is not finite"
else:
    compiled = jax.jit(lambda ps, x: apply_all(network.layers, ps, running, x.astype(COMPUTE), None, False)[0])

    def step():
        global turn
        compiled(parameters, inputs[turn]).block_until_ready()
        turn = (turn + 1) % len(inputs)
    result = timing.measure(step, args)
timing.answer(result, version=jax.__version__)
