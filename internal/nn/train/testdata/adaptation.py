"""Writes adaptation.json: trainings on two domains in PyTorch, in float64, made with torch 2.15.0.

The network is Dense 6→5, tanh (the features), Dense 5→4 (the logits); a discriminator, where there is one, is Dense 5→2 on
the features behind a gradient reversal, or Dense 20→2 on their products with the probabilities. Each loss is the
cross-entropy of the source's rows and half of the loss that is named. Twenty steps of plain gradient descent on the
same sixteen rows, source and target in turn.
"""
import json
import math

import torch
import torch.nn.functional as F


def pattern(shape, a, b, m, scale):
    n = math.prod(shape)
    x = [((a * i + b) % m - m // 2) / m * 2 * scale for i in range(n)]
    return torch.tensor(x, dtype=torch.float32).double().reshape(shape)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, by):
        ctx.by = by
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.by * g, None


x = pattern([16, 6], 17, 7, 101, 2)
classes = torch.tensor([(i * i + 3) % 4 for i in range(16)])
source = torch.arange(16) % 2 == 0
domain = (~source).long()


def kernels(a, multiples=(-3, -2, -1, 0, 1), fixed=None):
    d = ((a[:, None] - a[None]) ** 2).sum(2)
    if fixed:
        return torch.exp(-d / (2 * fixed ** 2))
    return sum(torch.exp(-d / (2 * 2.0 ** k * d.detach().mean())) for k in multiples)


def discrepancy(k):
    n = len(k) // 2
    s = torch.where(source, 1.0, -1.0).double() / n
    return (k * s[:, None] * s[None]).sum()


def coral(f):
    d = f.shape[1]
    return ((torch.cov(f[source].T) - torch.cov(f[~source].T)) ** 2).sum() / (4 * d * d)


def linear(k):
    order = torch.cat([torch.where(source)[0], torch.where(~source)[0]])
    k = k[order][:, order]
    n = len(k) // 2
    return sum(k[i, (i + 1) % n] + k[n + i, n + (i + 1) % n] - k[i, n + (i + 1) % n] - k[(i + 1) % n, n + i] for i in range(n)) / n


def confusion(z):
    p = F.softmax(z[~source] / 2.5, 1)
    h = -(p * p.log()).sum(1).detach()
    w = 1 + torch.exp(-h)
    w = len(p) * w / w.sum()
    c = (p * w[:, None]).T @ p
    c = c / c.sum(1, keepdim=True)
    return (c.sum() - c.trace()) / len(c)


def information(z):
    p = F.softmax(z[~source], 1)
    m = p.mean(0)
    return -(p * p.log()).sum(1).mean() + (m * m.log()).sum()


def entropy(z):
    p = F.softmax(z[~source], 1)
    return -(p * p.log()).sum(1).mean()


def consistency(z):
    plain, varied = z[~source].chunk(2)
    p, label = F.softmax(plain.detach(), 1).max(1)
    return ((p >= 0.4).double() * F.cross_entropy(varied, label, reduction="none")).mean()


def discriminate(d, weights=None):
    loss = F.cross_entropy(d, domain, reduction="none")
    return loss.mean() if weights is None else (weights * loss).sum() / len(loss)


def certain(z):
    p = F.softmax(z, 1).detach()
    w = 1 + torch.exp((p * p.log()).sum(1))
    return w / w.sum() * len(w)


def products(f, z):
    p = F.softmax(z, 1).detach()
    return (f[:, :, None] * p[:, None, :]).flatten(1)


LAMBDA = 0.7
losses = {
    "deep_coral": lambda f, z, w: coral(f),
    "mmd": lambda f, z, w: discrepancy(kernels(f)),
    "mmd, linear": lambda f, z, w: linear(kernels(f)),
    "joint_mmd": lambda f, z, w: discrepancy(kernels(f) * kernels(F.softmax(z, 1), fixed=0.92)),
    "class_confusion": lambda f, z, w: confusion(z),
    "information": lambda f, z, w: information(z),
    "entropy": lambda f, z, w: entropy(z),
    "consistency": lambda f, z, w: consistency(z),
    "dann": lambda f, z, w: discriminate(Reverse.apply(f, LAMBDA) @ w["d"].T),
    "cdan": lambda f, z, w: discriminate(Reverse.apply(products(f, z), LAMBDA) @ w["d"].T, certain(z)),
}
out = {}
for name, loss in losses.items():
    w = {"h": pattern([5, 6], 29, 3, 67, 0.8), "z": pattern([4, 5], 31, 8, 71, 0.7), "d": pattern([2, 20 if name == "cdan" else 5], 23, 5, 59, 0.6)}
    for t in w.values():
        t.requires_grad_()
    first, terms, features = [], [], None
    for step in range(20):
        f = torch.tanh(x @ w["h"].T)
        f.retain_grad()
        z = f @ w["z"].T
        term = loss(f, z, w)
        total = F.cross_entropy(z[source], classes[source]) + 0.5 * term
        for t in w.values():
            t.grad = None
        total.backward()
        if features is None:
            features = f.grad.flatten().tolist()
        terms.append(term.item())
        with torch.no_grad():
            for t in w.values():
                if t.grad is not None:
                    t -= 0.1 * t.grad
    out[name] = {"terms": terms, "h": w["h"].flatten().tolist(), "z": w["z"].flatten().tolist()}
# One pass of entropy minimisation over scale and shift of a batch-norm, whose running statistics are the means of the
# batches' (momentum=None): four batches of four of the same rows, plain gradient descent.
norm = torch.nn.BatchNorm1d(5, eps=1e-3, momentum=None).double()
h, z = pattern([5, 6], 29, 3, 67, 0.8), pattern([4, 5], 31, 8, 71, 0.7)
terms = []
for batch in range(4):
    logits = torch.tanh(norm(x[4 * batch:4 * batch + 4] @ h.T)) @ z.T
    p = F.softmax(logits, 1)
    loss = -(p * p.log()).sum(1).mean()
    norm.zero_grad()
    loss.backward()
    terms.append(loss.item())
    with torch.no_grad():
        for t in norm.parameters():
            t -= 0.5 * t.grad
out["tent"] = {
    "terms": terms, "gamma": norm.weight.tolist(), "beta": norm.bias.tolist(),
    "mean": norm.running_mean.tolist(), "variance": norm.running_var.tolist(),
}
with open("adaptation.json", "w") as file:
    file.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}\n")
