"""Writes networks.json: ten steps of small convolutional networks in PyTorch, made with torch 2.8.0.

Weights and examples are made by formulas, weights in the layout [out, height, width, in].
"""
import json

import torch
import torch.nn as nn
import torch.nn.functional as F


def pattern(n, a, b, m, scale):
    """n numbers from -scale to scale, in float64 until the last."""
    return torch.tensor([((a * i + b) % m - m // 2) / m * 2 * scale for i in range(n)], dtype=torch.float64).float()


def conv(i, o, k, bias=False, **more):
    return nn.Conv2d(i, o, k, bias=bias, **more)


def bn(c):
    return nn.BatchNorm2d(c, eps=1e-3, momentum=0.1)


class Residual(nn.Module):
    """A stem, a max pooling and two blocks of a ResNet."""

    def __init__(self):
        super().__init__()
        self.stem, self.stemnorm = conv(3, 6, 7, stride=2, padding=3), bn(6)
        self.a1, self.a1norm, self.a2, self.a2norm = conv(6, 6, 3, padding=1), bn(6), conv(6, 6, 3, padding=1), bn(6)
        self.b1, self.b1norm, self.b2, self.b2norm = conv(6, 10, 3, stride=2, padding=1), bn(10), conv(10, 10, 3, padding=1), bn(10)
        self.short, self.shortnorm = conv(6, 10, 1, stride=2), bn(10)
        self.logits = nn.Linear(10, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.stemnorm(self.stem(x))), 3, 2, 1)
        y = self.a2norm(self.a2(F.relu(self.a1norm(self.a1(x)))))
        x = F.relu(x + y)
        y = self.b2norm(self.b2(F.relu(self.b1norm(self.b1(x)))))
        x = F.relu(self.shortnorm(self.short(x)) + y)
        return self.logits(x.mean((2, 3)))


class Inverted(nn.Module):
    """Two inverted residuals, one with squeeze-and-excitation, and two branches joined."""

    def __init__(self):
        super().__init__()
        self.stem, self.stemnorm = conv(3, 6, 3, stride=2), bn(6)
        self.a1, self.a1norm = conv(6, 18, 1), bn(18)
        self.a2, self.a2norm = conv(18, 18, 3, padding=1, groups=18), bn(18)
        self.a3, self.a3norm = conv(18, 6, 1), bn(6)
        self.b1, self.b1norm = conv(6, 12, 1), bn(12)
        self.b2, self.b2norm = conv(12, 12, 3, stride=2, padding=1, groups=12), bn(12)
        self.squeeze, self.excite = nn.Linear(12, 4), nn.Linear(4, 12)
        self.b3, self.b3norm = conv(12, 8, 1), bn(8)
        self.left = conv(8, 8, 3, bias=True, padding=2, dilation=2, groups=2)
        self.logits = nn.Linear(16, 3)

    def forward(self, x):
        x = F.relu6(self.stemnorm(self.stem(F.pad(x, (0, 1, 0, 1)))))
        y = F.relu6(self.a1norm(self.a1(x)))
        y = F.relu6(self.a2norm(self.a2(y)))
        x = x + self.a3norm(self.a3(y))
        y = F.silu(self.b1norm(self.b1(x)))
        y = F.silu(self.b2norm(self.b2(y)))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(y.mean((2, 3))))))
        x = self.b3norm(self.b3(y * gate[:, :, None, None]))
        x = torch.cat([self.left(x), F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)], 1)
        return self.logits(x.mean((2, 3)))


def set_weights(net):
    """Fills each tensor by a formula of its place in the order of the parameters of package nn."""
    k = 0
    for part in net.children():
        k += 1
        a, m = 2 * k + 29, 997
        with torch.no_grad():
            w = part.weight
            if isinstance(part, nn.BatchNorm2d):
                c = w.numel()
                w.copy_(1 + pattern(c, a, 3, m, 0.3))
                part.bias.copy_(pattern(c, a, 5, m, 0.3))
                part.running_mean.copy_(pattern(c, a, 7, m, 0.3))
                part.running_var.copy_(1 + pattern(c, a, 11, m, 0.5))
                continue
            fan = w[0].numel()
            values = pattern(w.numel(), a, k, m, (6 / fan) ** 0.5)
            if w.dim() == 4:
                o, i, h, v = w.shape
                values = values.reshape(o, h, v, i).permute(0, 3, 1, 2)
            w.copy_(values.reshape(w.shape))
            if part.bias is not None:
                part.bias.copy_(pattern(part.bias.numel(), a, 2, m, 0.1))


def examples(n):
    x = pattern(n * 20 * 16 * 3, 7919, 13, 10007, 2.0).reshape(n, 20, 16, 3).permute(0, 3, 1, 2).contiguous()
    return x, torch.tensor([(i * i + 1) % 3 for i in range(n)])


def train(net, frozen=()):
    set_weights(net)
    net.train()
    for name, part in net.named_children():
        if name in frozen:
            part.eval()
            part.requires_grad_(False)
    x, y = examples(12)
    optimiser = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    losses = []
    for step in range(10):
        positions = [(5 * step + j) % 12 for j in range(5)]
        optimiser.zero_grad()
        loss = F.cross_entropy(net(x[positions]), y[positions])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    sums = {}
    for name, t in net.state_dict().items():
        if t.dim() > 0:
            t = t.permute(0, 2, 3, 1) if t.dim() == 4 else t
            t = t.reshape(-1).double()
            sums[name] = [t.sum().item(), (t * torch.arange(1, t.numel() + 1) / t.numel()).sum().item()]
    return {"losses": losses, "weights": sums}


norms = [n for n, p in Inverted().named_children() if isinstance(p, nn.BatchNorm2d)]
with open("networks.json", "w") as f:
    json.dump({
        "residual": train(Residual()),
        "inverted": train(Inverted()),
        "inverted, frozen norms": train(Inverted(), norms),
        "inverted, frozen below": train(Inverted(), ["stem", "stemnorm", "a1", "a1norm", "a2", "a2norm", "a3", "a3norm", "b1norm", "b2norm", "b3norm"]),
    }, f, indent=0)
    f.write("\n")
