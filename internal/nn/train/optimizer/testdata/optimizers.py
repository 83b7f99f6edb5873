"""Writes optimizers.json: 50 steps of PyTorch's optimisers, made with torch 2.8.0.

Two parameters, a and b, of three and two elements. The gradient of element i (counted through
both) at step t, from 0, is ((7t + 13i) mod 19 - 9) / 8: exact in float32. The rate is 0.05, from
step 25 on 0.02.
"""
import json

import torch

CASES = {
    "sgd": (torch.optim.SGD, {}, {}),
    "sgd decay": (torch.optim.SGD, {"weight_decay": 0.1}, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}, {}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}, {}),
    "adam": (torch.optim.Adam, {}, {}),
    "adam decay": (torch.optim.Adam, {"weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}, {}),
    "adamw": (torch.optim.AdamW, {"weight_decay": 0.1}, {}),
    "rmsprop": (torch.optim.RMSprop, {}, {}),
    "rmsprop momentum": (torch.optim.RMSprop, {"momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}, {}),
    "groups": (torch.optim.AdamW, {"weight_decay": 0.1}, {"lr": 0.1, "weight_decay": 0.0}),
    "clipped": (torch.optim.SGD, {"momentum": 0.9}, {}),
    "groups, nesterov, clipped": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}, {"lr": 0.1, "weight_decay": 0.0}),
    "groups, rmsprop, clipped": (torch.optim.RMSprop, {"momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}, {"lr": 0.1, "weight_decay": 0.0}),
    "groups, adamw, clipped": (torch.optim.AdamW, {"weight_decay": 0.1}, {"lr": 0.1, "weight_decay": 0.0}),
}


def run(name, optimiser, settings, second):
    a = torch.nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))
    b = torch.nn.Parameter(torch.tensor([1.5, -0.25]))
    groups = [{"params": [a]}, {"params": [b], **{k: v for k, v in second.items() if k != "lr"}}]
    opt = optimiser(groups, lr=0.05, **settings)
    steps = []
    for t in range(50):
        rate = 0.05 if t < 25 else 0.02
        opt.param_groups[0]["lr"] = rate
        opt.param_groups[1]["lr"] = rate * second.get("lr", 1.0)
        g = torch.tensor([((7 * t + 13 * i) % 19 - 9) / 8 for i in range(5)])
        a.grad, b.grad = g[:3].clone(), g[3:].clone()
        if "clipped" in name:
            torch.nn.utils.clip_grad_norm_([a, b], 1.25)
        opt.step()
        steps.append([round(x, 9) for x in a.tolist() + b.tolist()])
    return steps


with open("optimizers.json", "w") as f:
    out = {name: run(name, *case) for name, case in CASES.items()}
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}\n")
