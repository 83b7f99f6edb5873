"""Writes gradcam.json: a small network, a picture, and its Grad-CAM maps by PyTorch's automatic differentiation.

    python make_gradcam.py > gradcam.json
"""
import json
import sys

import torch
from torch import nn

torch.manual_seed(4)
conv1 = nn.Conv2d(3, 6, 3, stride=2, padding=1)
conv2 = nn.Conv2d(6, 8, 3, padding=1)
norm = nn.BatchNorm1d(8)
norm.running_mean.uniform_(-0.5, 0.5)
norm.running_var.uniform_(0.5, 2)
nn.init.uniform_(norm.weight, 0.5, 1.5)
nn.init.uniform_(norm.bias, -0.5, 0.5)
hidden = nn.Linear(8, 7)
last = nn.Linear(7, 4)
norm.eval()
picture = torch.rand(1, 3, 12, 10) * 255
mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.25])
picture = picture.round()
x = (picture / 255 - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1)

feature = torch.relu(conv2(torch.nn.functional.silu(conv1(x))))
feature.retain_grad()


def head(a):
    return last(torch.nn.functional.gelu(hidden(norm(a.mean(dim=(2, 3))))))


def maps(logits_of, feature):
    out = []
    for c in range(4):
        g, = torch.autograd.grad(logits_of(feature)[0, c], feature, retain_graph=True)
        heat = torch.relu((g.mean(dim=(2, 3), keepdim=True) * feature).sum(dim=1))[0]
        out.append((heat / heat.max() if heat.max() > 0 else heat).flatten().tolist())
    return out


linear = nn.Linear(8, 4)
json.dump({
    "made_with": f"PyTorch {torch.__version__}",
    "height": 12, "width": 10,
    "picture": picture[0].permute(1, 2, 0).flatten().int().tolist(),
    "mean": mean.tolist(), "std": std.tolist(),
    # Convolutions as [out, height, width, in].
    "weights": {
        "conv1.weight": conv1.weight.permute(0, 2, 3, 1).flatten().tolist(), "conv1.bias": conv1.bias.tolist(),
        "conv2.weight": conv2.weight.permute(0, 2, 3, 1).flatten().tolist(), "conv2.bias": conv2.bias.tolist(),
        "norm.gamma": norm.weight.tolist(), "norm.beta": norm.bias.tolist(), "norm.mean": norm.running_mean.tolist(), "norm.variance": norm.running_var.tolist(),
        "hidden.weight": hidden.weight.flatten().tolist(), "hidden.bias": hidden.bias.tolist(),
        "last.weight": last.weight.flatten().tolist(), "last.bias": last.bias.tolist(),
        "linear.weight": linear.weight.flatten().tolist(), "linear.bias": linear.bias.tolist(),
    },
    "feature_shape": [feature.shape[2], feature.shape[3]],
    "maps": maps(head, feature),
    "linear_maps": maps(lambda a: linear(a.mean(dim=(2, 3))), feature),
}, sys.stdout)
