"""Writes layers.json: outputs and gradients of single layers in PyTorch, made with torch 2.8.0.

The loss is the sum of the output times factors. Values are exact in float32.
"""
import json

import torch
import torch.nn.functional as F


def pattern(shape, a, b, m):
    n = torch.Size(shape).numel()
    return torch.tensor([((a * i + b) % m - m // 2) / 8 for i in range(n)]).reshape(shape)


def batch_norm(x, gamma, beta):
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-3)


def frozen(x, gamma, beta):
    c = gamma.numel()
    return F.batch_norm(x, pattern([c], 3, 1, 7), 1 + pattern([c], 5, 4, 8).abs(), gamma, beta, training=False, eps=1e-3)


def cross_entropy(x):
    target = pattern(x.shape, 5, 2, 13).abs()
    return -(target * F.log_softmax(x, 1)).sum().reshape(1) / 2.5


CASES = {
    "none": (lambda x: x * 1, [[2, 24]]),
    "relu": (F.relu, [[2, 24]]),
    "relu6": (F.relu6, [[2, 24]]),
    "silu": (F.silu, [[2, 24]]),
    "hardswish": (F.hardswish, [[2, 24]]),
    "sigmoid": (torch.sigmoid, [[2, 24]]),
    "tanh": (torch.tanh, [[2, 24]]),
    "gelu": (F.gelu, [[2, 24]]),
    "dense": (F.linear, [[5, 7], [4, 7], [4]]),
    "batch norm": (batch_norm, [[5, 3], [3], [3]]),
    "frozen batch norm": (frozen, [[5, 3], [3], [3]]),
    "cross-entropy": (cross_entropy, [[4, 5]]),
}


def run(layer, shapes):
    inputs = [pattern(s, 37 + 2 * k, 11 * k + 5, 149).requires_grad_() for k, s in enumerate(shapes)]
    y = layer(*inputs)
    (y * pattern(y.shape, 29, 3, 61)).sum().backward()
    flat = lambda t: [round(v, 7) for v in t.flatten().tolist()]
    return {"output": flat(y), "gradients": [flat(x.grad) for x in inputs]}


with open("layers.json", "w") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(run(*c))}" for k, c in CASES.items()) + "\n}\n")
