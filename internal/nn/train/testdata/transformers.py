"""Writes transformers.json: the losses of 30 steps of a small text encoder (norms behind the residuals, examples of several
lengths) and a small Vision Transformer (norms before, learned factors), in float64 in PyTorch. Weights and examples are made by
formulas; all examples are one batch.
"""
import json
import math

import torch

torch.set_default_dtype(torch.float64)
F = torch.nn.functional


def pattern(shape, a, b, m, scale):
    n = math.prod(shape)
    return torch.tensor([((a * i + b) % m - m // 2) / m * 2 * scale for i in range(n)], dtype=torch.float32).double().reshape(shape)


def filled(shapes):
    w = {}
    for i, (name, shape) in enumerate(shapes.items()):
        x = pattern(shape, 29, 3 + i, 67, 0.5)
        if name.endswith("gamma"):
            x = 1 + 0.4 * x
        w[name] = x.requires_grad_()
    return w


def block(prefix, width, wide, scaled):
    s = {}
    before = {f"{prefix}norm1.gamma": (width,), f"{prefix}norm1.beta": (width,)}
    between = {f"{prefix}norm2.gamma": (width,), f"{prefix}norm2.beta": (width,)}
    if scaled:
        s |= before
    for part in ("query", "key", "value", "out"):
        s |= {f"{prefix}{part}.weight": (width, width), f"{prefix}{part}.bias": (width,)}
    if scaled:
        s |= {f"{prefix}scale1.gamma": (width,)} | between
    else:
        s |= before
    s |= {f"{prefix}wide.weight": (wide, width), f"{prefix}wide.bias": (wide,), f"{prefix}narrow.weight": (width, wide), f"{prefix}narrow.bias": (width,)}
    return s | ({f"{prefix}scale2.gamma": (width,)} if scaled else between)


def attend(w, p, x, heads, mask=None):
    n, t, c = x.shape
    q, k, v = (F.linear(x, w[f"{p}{part}.weight"], w[f"{p}{part}.bias"]).view(n, t, heads, -1).transpose(1, 2) for part in ("query", "key", "value"))
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(n, t, c)
    return F.linear(y, w[f"{p}out.weight"], w[f"{p}out.bias"])


def norm(w, p, x):
    return F.layer_norm(x, x.shape[-1:], w[p + ".gamma"], w[p + ".beta"], 1e-6)


def feed(w, p, x, approximate="none"):
    y = F.gelu(F.linear(x, w[f"{p}wide.weight"], w[f"{p}wide.bias"]), approximate=approximate)
    return F.linear(y, w[f"{p}narrow.weight"], w[f"{p}narrow.bias"])


def text():
    lengths = [3 + i * 5 % 7 for i in range(8)]
    ids = torch.tensor([[(7 * i + 3 * j + i * j) % 20 for j in range(10)] for i in range(8)])
    classes = torch.tensor([(i * i + 1) % 3 for i in range(8)])
    w = filled({"words.weight": (20, 8), "types.beta": (8,), "positions.weight": (12, 8), "norm.gamma": (8,), "norm.beta": (8,)}
               | block("block.", 8, 16, False) | {"logits.weight": (3, 8), "logits.bias": (3,)})
    real = torch.arange(10)[None] < torch.tensor(lengths)[:, None]

    def loss():
        x = norm(w, "norm", w["words.weight"][ids] + w["types.beta"] + w["positions.weight"][2:])
        x = norm(w, "block.norm1", x + attend(w, "block.", x, 2, real[:, None, None]))
        x = norm(w, "block.norm2", x + feed(w, "block.", x))
        pooled = (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return F.cross_entropy(F.linear(pooled, w["logits.weight"], w["logits.bias"]), classes)
    return w, loss


def picture():
    x0 = pattern((8, 6, 6, 3), 17, 7, 101, 2)
    classes = torch.tensor([(i * i + 1) % 3 for i in range(8)])
    w = filled({"conv.weight": (8, 2, 2, 3), "conv.bias": (8,), "class.weight": (1, 8), "positions.weight": (10, 8)}
               | block("block.", 8, 16, True) | {"norm.gamma": (8,), "norm.beta": (8,), "logits.weight": (3, 8), "logits.bias": (3,)})

    def loss():
        x = F.conv2d(x0.permute(0, 3, 1, 2), w["conv.weight"].permute(0, 3, 1, 2), w["conv.bias"], stride=2)
        x = torch.cat([w["class.weight"].expand(8, 1, 8), x.flatten(2).transpose(1, 2)], 1) + w["positions.weight"]
        x = x + w["block.scale1.gamma"] * attend(w, "block.", norm(w, "block.norm1", x), 2)
        x = x + w["block.scale2.gamma"] * feed(w, "block.", norm(w, "block.norm2", x), "tanh")
        return F.cross_entropy(F.linear(norm(w, "norm", x)[:, 0], w["logits.weight"], w["logits.bias"]), classes)
    return w, loss


out = {}
for name, make in {"text": text, "picture": picture}.items():
    w, loss = make()
    optimizer = torch.optim.Adam(list(w.values()), lr=0.005)
    out[name] = []
    for _ in range(30):
        optimizer.zero_grad()
        value = loss()
        value.backward()
        optimizer.step()
        out[name].append(round(value.item(), 8))
json.dump(out, open("transformers.json", "w"))
