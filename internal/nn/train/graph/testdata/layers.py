"""Writes layers.json: outputs and gradients of single layers in PyTorch, made with torch 2.8.0 (those from
"dense on the last axis" on with 2.15.0).

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


IDS = torch.tensor([[3, 0, 3], [1, 3, 2]])


def matmul(a, b, transpose_a, transpose_b):
    return torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b)


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
    "dense on the last axis": (F.linear, [[2, 3, 7], [4, 7], [4]]),
    "softmax": (lambda x: F.softmax(x, -1), [[2, 3, 5]]),
    "layer norm": (lambda x, gamma, beta: F.layer_norm(x, [6], gamma, beta, eps=1e-5), [[2, 3, 6], [6], [6]]),
    "embedding": (lambda table: F.embedding(IDS, table), [[5, 4]]),
    "l2 normalise": (lambda x: F.normalize(x, dim=-1), [[2, 3, 5]]),
    "transpose": (lambda x: x.permute(0, 2, 3, 1), [[2, 3, 4, 5]]),
    "reshape": (lambda x: x.reshape(2, 4, 15), [[2, 3, 4, 5]]),
    "mat mul": (lambda a, b: matmul(a, b, False, False), [[2, 3, 4, 5], [2, 3, 5, 6]]),
    "mat mul, left transposed": (lambda a, b: matmul(a, b, True, False), [[2, 5, 4], [2, 5, 6]]),
    "mat mul, right transposed": (lambda a, b: matmul(a, b, False, True), [[2, 4, 5], [2, 6, 5]]),
    "mat mul, both transposed": (lambda a, b: matmul(a, b, True, True), [[2, 5, 4], [2, 6, 5]]),
}


def run(layer, shapes):
    inputs = [pattern(s, 37 + 2 * k, 11 * k + 5, 149).requires_grad_() for k, s in enumerate(shapes)]
    y = layer(*inputs)
    (y * pattern(y.shape, 29, 3, 61)).sum().backward()
    flat = lambda t: [round(v, 7) for v in t.flatten().tolist()]
    return {"output": flat(y), "gradients": [flat(x.grad) for x in inputs]}


with open("layers.json", "w") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(run(*c))}" for k, c in CASES.items()) + "\n}\n")
