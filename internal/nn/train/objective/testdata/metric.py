"""Losses of metric learning and of pairs, and their gradients, by PyTorch in float64: writes metric.json.

The formulas are written out from the papers; PyTorch differentiates them.
"""
import json
import math
import os

import torch
import torch.nn.functional as F

torch.manual_seed(7)
ROWS, WIDTH, CLASSES = 9, 5, 4
labels = torch.tensor([0, 1, 0, 2, 1, 1, 2, 0, 3])
keys = torch.tensor([0, 1, 2, 3, 4, 5, 6, 2, 8])  # two rows have one key


def unit():
    x = F.normalize(torch.randn(ROWS, WIDTH, dtype=torch.float64), dim=1).float().double()
    return x.requires_grad_()


def supervised_contrastive(x, temperature):
    z = x @ x.T / temperature
    z = z.masked_fill(torch.eye(ROWS, dtype=torch.bool), -math.inf)
    logs = F.log_softmax(z, dim=1)
    each = []
    for i in range(ROWS):
        alike = [j for j in range(ROWS) if j != i and labels[j] == labels[i]]
        if alike:
            each.append(-logs[i, alike].mean())
    return torch.stack(each).mean()


def triplet(x, margin):
    d = ((x[:, None] - x[None]) ** 2).sum(-1)
    each = []
    for i in range(ROWS):
        others = [n for n in range(ROWS) if labels[n] != labels[i]]
        for p in range(ROWS):
            if p == i or labels[p] != labels[i]:
                continue
            farther = [n for n in others if d[i, n] > d[i, p]]
            n = min(farther, key=lambda n: d[i, n]) if farther else max(others, key=lambda n: d[i, n])
            each.append(F.relu(d[i, p] - d[i, n] + margin))
    return torch.stack(each).mean()


def prototypical(x, temperature):
    means, queries, classes = [], [], []
    seen = list(dict.fromkeys(labels.tolist()))
    for number, c in enumerate(seen):
        rows = [i for i in range(ROWS) if labels[i] == c]
        support = max(len(rows) // 2, min(len(rows), 1))
        means.append(x[rows[:support]].mean(0))
        queries += rows[support:]
        classes += [number] * len(rows[support:])
    z = -((x[queries][:, None] - torch.stack(means)[None]) ** 2).sum(-1) / temperature
    return F.cross_entropy(z, torch.tensor(classes))


def margin_softmax(x, w, margin, scale, cosine):
    c = x @ F.normalize(w, dim=1).T
    if cosine:
        told = c - margin
    else:
        sine = torch.sqrt(1 - c**2)
        told = torch.where(c > math.cos(math.pi - margin), c * math.cos(margin) - sine * math.sin(margin), c - margin * math.sin(margin))
    mine = F.one_hot(labels, CLASSES).bool()
    return F.cross_entropy(scale * torch.where(mine, told, c), labels)


def infonce(a, b, log_scale):
    z = log_scale.exp() * a @ b.T
    alike = (keys[:, None] == keys[None]) & ~torch.eye(ROWS, dtype=torch.bool)
    z = z.masked_fill(alike, -math.inf)
    own = torch.arange(ROWS)
    return (F.cross_entropy(z, own) + F.cross_entropy(z.T, own)) / 2


def siglip(a, b, log_scale, bias):
    z = log_scale.exp() * a @ b.T + bias
    sign = 2.0 * (keys[:, None] == keys[None]) - 1
    return -F.logsigmoid(sign * z).sum() / ROWS


out = {"rows": ROWS, "width": WIDTH, "classes": labels.tolist(), "keys": keys.tolist(), "cases": {}}


def add(name, of, *inputs):
    loss = of(*inputs)
    loss.backward()
    out["cases"][name] = {
        "loss": loss.item(),
        "inputs": [x.detach().flatten().tolist() for x in inputs],
        "gradients": [x.grad.flatten().tolist() for x in inputs],
    }


add("supervised_contrastive", lambda x: supervised_contrastive(x, 0.1), unit())
add("triplet", lambda x: triplet(x, 0.2), unit())
add("prototypical", lambda x: prototypical(x, 0.5), unit())
for name, margin, cosine in (("arcface", 0.5, False), ("arcface, wide", 2.0, False), ("cosface", 0.35, True)):
    add(name, lambda x, w: margin_softmax(x, w, margin, 16, cosine), unit(), torch.randn(CLASSES, WIDTH, dtype=torch.float64).requires_grad_())
number = lambda v: torch.tensor([v], dtype=torch.float64, requires_grad=True)
add("infonce", infonce, unit(), unit(), number(math.log(1 / 0.07)))
add("siglip", siglip, unit(), unit(), number(math.log(10)), number(-10.0))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "metric.json"), "w") as f:
    json.dump(out, f)
