"""Trains a small network with PyTorch's fake quantisation: python rounding.py > rounding.json

Weights are on steps of each output channel that follow their largest magnitude, values on those of fixed ranges, as in package quantise.
"""
import json

import numpy as np
import torch
from torch.nn import functional as F


def pattern(shape, a, b, m):
    i = np.arange(int(np.prod(shape)))
    return ((i * a + b) % m / m * 2 - 1).astype(np.float32).reshape(shape)


def steps(low, high):
    size = np.float32(np.float32(high) - np.float32(low)) / np.float32(255)
    return float(size), int(np.round(-np.float32(low) / size)) - 128


def value(x, low, high):
    size, zero = steps(low, high)
    return torch.fake_quantize_per_tensor_affine(x, size, zero, -128, 127)


def weight(w):
    size = w.detach().reshape(len(w), -1).abs().amax(1) / 127
    size = ((size.view(torch.int32) + 0xFF) & ~0xFF).view(torch.float32)  # 16 significant bits, up
    return torch.fake_quantize_per_channel_affine(w, size, torch.zeros(len(w), dtype=torch.int32), 0, -127, 127)


# Layouts as tlpipe has them: rows [n][h][w][c], kernels [out][kh][kw][in].
x = torch.tensor(pattern((6, 4, 4, 2), 37, 11, 149))
y = torch.tensor([0, 1, 2, 0, 1, 2])
p = [torch.tensor(v, requires_grad=True) for v in (
    pattern((3, 3, 3, 2), 29, 3, 61) * 0.4, pattern((3,), 5, 2, 13) * 0.1, pattern((3, 48), 31, 7, 101) * 0.2, pattern((3,), 7, 1, 11) * 0.1)]
losses, gradients = [], None
for step in range(20):
    a = value(x, -0.8, 0.7)  # cuts some numbers off
    a = F.conv2d(a.permute(0, 3, 1, 2), weight(p[0]).permute(0, 3, 1, 2), p[1], padding=1)
    a = value(F.relu(a), 0, 0.9).permute(0, 2, 3, 1).reshape(6, -1)
    z = value(F.linear(a, weight(p[2]), p[3]), -1.5, 1.5)
    loss = F.cross_entropy(z, y)
    loss.backward()
    losses.append(loss.item())
    with torch.no_grad():
        if gradients is None:
            gradients = [v.grad.flatten().tolist() for v in p]
        for v in p:
            v -= 0.05 * v.grad
            v.grad = None
print(json.dumps({"losses": losses, "gradients": gradients, "weights": [v.flatten().tolist() for v in p]}))
