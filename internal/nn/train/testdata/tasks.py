"""Several tasks of one network, trained by PyTorch: fixed weights, the uncertainties of Kendall et al. (2018) and GradNorm (Chen et
al. 2018) on the values that both heads take. Writes tasks.json: python tasks.py > tasks.json"""
import json

import torch

torch.set_default_dtype(torch.float64)
STEPS, RATE = 6, 0.1
g = torch.Generator().manual_seed(5)
N = 8
x = torch.randn(N, 6, generator=g)
kind = torch.randint(0, 3, (N,), generator=g)
kind[[1, 6]] = -1  # not known
age = torch.randn(N, 1, generator=g) * 3
age[[0, 3, 6]] = float("nan")
start = {
    "hidden.weight": torch.randn(5, 6, generator=g) * 0.5, "hidden.bias": torch.randn(5, generator=g) * 0.1,
    "kind_logits.weight": torch.randn(3, 5, generator=g) * 0.5, "kind_logits.bias": torch.zeros(3),
    "age.weight": torch.randn(1, 5, generator=g) * 0.5, "age.bias": torch.zeros(1),
}


def losses(w):
    z = torch.tanh(x @ w["hidden.weight"].T + w["hidden.bias"])
    a = torch.nn.functional.cross_entropy(z @ w["kind_logits.weight"].T + w["kind_logits.bias"], kind, ignore_index=-1)
    out = z @ w["age.weight"].T + w["age.bias"]
    known = ~torch.isnan(age)
    b = ((out - age)[known] ** 2).mean()
    return z, [a, b]


def train(balance):
    w = {k: v.clone().requires_grad_() for k, v in start.items()}
    sgd = torch.optim.SGD(w.values(), lr=RATE)
    own = torch.zeros(2) if balance == "uncertainty" else torch.ones(2)
    own.requires_grad_()
    adam = torch.optim.Adam([own], lr=RATE if balance == "uncertainty" else 0.025)
    first, used = None, []
    for _ in range(STEPS):
        z, each = losses(w)
        sgd.zero_grad()
        adam.zero_grad()
        if balance == "uncertainty":
            factors = torch.tensor([1.0, 0.5])
            weights = factors * torch.exp(-own)
            used.append(weights.tolist())
            (sum(f * l for f, l in zip(weights, each)) + own.sum() / 2).backward()
        elif balance == "gradient_norm":
            used.append(own.tolist())
            weights = own.detach()
            norms = [own[i] * torch.autograd.grad(each[i], z, retain_graph=True)[0].norm().detach() for i in range(2)]
            now = torch.stack([l.detach() for l in each])
            first = now if first is None else first
            pace = now / first
            target = (sum(n.detach() for n in norms) / 2) * (pace / pace.mean()) ** 1.5
            own.grad = torch.autograd.grad(sum((n - t).abs() for n, t in zip(norms, target)), own)[0]
            sum(f * l for f, l in zip(weights, each)).backward()
        else:
            weights = [2.0, 0.25]
            used.append(weights)
            sum(f * l for f, l in zip(weights, each)).backward()
        if balance != "fixed":
            adam.step()
        sgd.step()
        if balance == "gradient_norm":
            with torch.no_grad():
                own *= 2 / own.sum()
    return {"weights": used, "hidden": w["hidden.weight"].flatten().tolist(), "age": w["age.weight"].flatten().tolist()}


print(json.dumps({
    "x": x.flatten().tolist(), "kind": kind.tolist(), "age": [None if v != v else v for v in age.flatten().tolist()],
    "start": {k: v.flatten().tolist() for k, v in start.items()},
    "trained": {b: train(b) for b in ["fixed", "uncertainty", "gradient_norm"]},
}))
