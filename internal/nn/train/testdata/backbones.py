"""Writes backbones.json: thirty steps of torchvision's networks, made with torch 2.8.0 and
torchvision 0.23.0.

PyTorch computes in float64: with batch-norms in training, errors of rounding grow from step to step,
the faster the higher the rate and the smaller the batch, and only one side is to have them. The rates
are such that PyTorch's own losses in float32 stay within a thousandth as well.

Weights and examples are made by a hash of their place, so that they need not be stored: weights lie
in the layout [out, height, width, in], in the order of package nn's networks, where the shortcut of
a residual block comes first. There is no dropout.
"""
import json

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torchvision.models.resnet import BasicBlock

SIZE, EXAMPLES, CLASSES, STEPS = 64, 24, 5, 30


def uniform(stream, n, low, high):
    """n numbers, in float64 until the last: the finaliser of SplitMix64 of stream and place."""
    with np.errstate(over="ignore"):
        x = (np.uint64(stream) << np.uint64(32)) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        x = x ^ x >> np.uint64(31)
    return torch.from_numpy((low + (high - low) * ((x >> np.uint64(40)).astype(np.float64) / (1 << 24))).astype(np.float32))


def parts(module):
    """The layers that have parameters, in package nn's order."""
    children = list(module.named_children())
    if isinstance(module, BasicBlock):
        children.sort(key=lambda c: c[0] != "downsample")
    if not children and list(module.parameters(recurse=False)):
        yield module
    for _, child in children:
        yield from parts(child)


def set_weights(net):
    for k, part in enumerate(parts(net)):
        values = lambda role, n, low, high: uniform(16 * k + role, n, low, high)
        with torch.no_grad():
            w = part.weight
            if isinstance(part, nn.BatchNorm2d):
                c = w.numel()
                w.copy_(values(0, c, 0.6, 0.8))
                part.bias.copy_(values(1, c, -0.1, 0.1))
                part.running_mean.copy_(values(2, c, -0.1, 0.1))
                part.running_var.copy_(values(3, c, 0.7, 1.3))
                continue
            limit = (6 / w[0].numel()) ** 0.5
            data = values(0, w.numel(), -limit, limit)
            if w.dim() == 4:
                o, i, h, v = w.shape
                data = data.reshape(o, h, v, i).permute(0, 3, 1, 2)
            w.copy_(data.reshape(w.shape))
            if part.bias is not None:
                part.bias.copy_(values(1, part.bias.numel(), -0.1, 0.1))


def examples():
    """Waves of a direction, length and colour of their own, with noise: pictures that differ at a glance."""
    noise = uniform(1 << 20, EXAMPLES * SIZE * SIZE * 3, -0.3, 0.3).numpy().reshape(EXAMPLES, SIZE, SIZE, 3)
    shape = uniform(2 << 20, EXAMPLES * 4, 0, 1).double().numpy().reshape(EXAMPLES, 1, 1, 4)
    y, x = np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij")
    turn = (shape[..., 0:1] * x[None, :, :, None] + shape[..., 1:2] * y[None, :, :, None]) / 4
    colour = shape[..., 2:3] * 2 * np.pi + np.arange(3) * shape[..., 3:4] * 4
    pictures = (1.5 * np.sin(turn + colour) + noise).astype(np.float32)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous(), torch.tensor([(i * i + 1) % CLASSES for i in range(EXAMPLES)])


def train(name, rate, batch, learns=lambda n: True, fixed=False):
    net = torchvision.models.get_model(name, weights=None, num_classes=CLASSES)
    set_weights(net)
    for part in net.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0
    net.train()
    for n, part in net.named_modules():
        if isinstance(part, nn.BatchNorm2d) and (fixed or not learns(n)):
            part.eval()
    for n, p in net.named_parameters():
        p.requires_grad_(learns(n))
    x, y = examples()
    net, x = net.double(), x.double()
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=rate, momentum=0.9)
    losses = []
    for step in range(STEPS):
        positions = [(batch * step + j) % EXAMPLES for j in range(batch)]
        optimiser.zero_grad()
        loss = F.cross_entropy(net(x[positions]), y[positions])
        loss.backward()
        optimiser.step()
        losses.append(round(loss.item(), 7))
    return losses


top = lambda name: name.startswith(("layer4", "fc"))
with open("backbones.json", "w") as f:
    json.dump({
        "resnet18, partial": train("resnet18", 0.004, 8, top),
        "resnet18, partial, fixed statistics": train("resnet18", 0.004, 8, top, fixed=True),
        "resnet18, full": train("resnet18", 3e-5, 24),
        "mobilenet_v2, full": train("mobilenet_v2", 5e-6, 24),
        "mobilenet_v2, full, fixed statistics": train("mobilenet_v2", 0.004, 8, fixed=True),
    }, f, indent=0)
    f.write("\n")
