"""Writes training.json: short trainings in PyTorch, made with torch 2.8.0.

The network is Dense 6→8, batch-norm, ReLU, Dense 8→3. The first layer has no bias: batch-norm
takes it off, its gradient would be rounding errors, and Adam makes steps of those. Weights and examples are made by formulas,
and the order of the examples by the generator that package train uses: PCG-DXSM, seeded through
the finaliser of SplitMix64.
"""
import json

import torch

M64 = (1 << 64) - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & M64
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & M64
    return x ^ x >> 31


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & M64
    return h


class PCG:
    def __init__(self, hi, lo):
        self.state = hi << 64 | lo

    def uint64(self):
        self.state = (self.state * (2549297995355413924 << 64 | 4865540595714422341)
                      + (6364136223846793005 << 64 | 1442695040888963407)) & ((1 << 128) - 1)
        hi, lo = self.state >> 64, self.state & M64
        hi ^= hi >> 32
        hi = hi * 0xDA942042E4DD58B5 & M64
        hi ^= hi >> 48
        return hi * (lo | 1) & M64


def order(n, seed, epoch):
    random = PCG(mix(mix(seed) ^ epoch << 32), mix(mix(seed + 1) ^ fnv1a("order of the examples")))
    out = list(range(n))
    for i in range(n - 1, 0, -1):
        j = random.uint64() * (i + 1) >> 64
        out[i], out[j] = out[j], out[i]
    return out


def batches(positions, size):
    runs = [positions[i:i + size] for i in range(0, len(positions), size)]
    if len(runs) > 1 and len(runs[-1]) == 1:
        last = runs.pop()
        runs[-1] = runs[-1] + last
    return runs


def pattern(n, a, b, m, scale):
    """n numbers from -scale to scale, in float64 until the last."""
    return torch.tensor([((a * i + b) % m - m // 2) / m * 2 * scale for i in range(n)], dtype=torch.float64).float()


def examples(n, b):
    x = pattern(n * 6, 17, b, 101, 2.0).reshape(n, 6)
    y = torch.tensor([(i * i + b) % 3 for i in range(n)])
    return x, y


def network():
    net = torch.nn.Sequential(torch.nn.Linear(6, 8, bias=False), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    with torch.no_grad():
        net[0].weight.copy_(pattern(48, 29, 3, 67, 0.8).reshape(8, 6))
        net[1].weight.copy_(1 + pattern(8, 7, 2, 13, 0.4))
        net[1].bias.copy_(pattern(8, 3, 5, 17, 0.2))
        net[1].running_mean.copy_(pattern(8, 11, 4, 19, 0.5))
        net[1].running_var.copy_(1 + pattern(8, 9, 6, 23, 0.5))
        net[3].weight.copy_(pattern(24, 31, 8, 71, 0.7).reshape(3, 8))
        net[3].bias.copy_(pattern(3, 2, 1, 5, 0.1))
    return net


def train(batch, epochs, make, smoothing=0.0, weights=None, frozen=False, clip=0.0):
    net = network()
    x, y = examples(23, 7)
    vx, vy = examples(10, 40)
    optimiser = make(net)
    criterion = torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)
    out = {"losses": [], "validation": []}
    for epoch in range(epochs):
        net.train()
        if frozen:
            net[1].eval()
        for positions in batches(order(23, 42, epoch), batch):
            optimiser.zero_grad()
            loss = criterion(net(x[positions]), y[positions])
            loss.backward()
            if clip:
                torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
            optimiser.step()
            out["losses"].append(loss.item())
        net.eval()
        with torch.no_grad():
            out["validation"].append(torch.nn.functional.cross_entropy(net(vx), vy).item())
    names = {"0.weight": "hidden.weight", "1.weight": "norm.gamma", "1.bias": "norm.beta",
             "1.running_mean": "norm.mean", "1.running_var": "norm.variance", "3.weight": "logits.weight", "3.bias": "logits.bias"}
    out["weights"] = {names[k]: [round(v, 8) for v in t.flatten().tolist()] for k, t in net.state_dict().items() if k in names}
    return out


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)


def adamw(net):
    return torch.optim.AdamW([{"params": [net[0].weight, net[3].weight]},
                              {"params": [net[1].weight, net[1].bias, net[3].bias], "weight_decay": 0.0}],
                             lr=0.01, weight_decay=0.1)


def last(net):
    for part in net[:2]:
        part.requires_grad_(False)
    return torch.optim.Adam(net[3].parameters(), lr=0.02)


with open("training.json", "w") as f:
    json.dump({
        "momentum": train(8, 10, sgd, clip=0.5),
        "adamw": train(11, 15, adamw, smoothing=0.1, weights=torch.tensor([0.5, 1.0, 2.5])),
        "frozen": train(8, 10, last, frozen=True),
    }, f, indent=0)
    f.write("\n")
