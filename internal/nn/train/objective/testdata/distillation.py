"""Writes distillation.json: losses of distillation over 30 steps of gradient descent in PyTorch, made with torch 2.15.0.

The formulas are those of the papers: KD (arXiv:1503.02531), DKD (2203.08679), FitNets (1412.6550), attention transfer
(1612.03928), RKD (1904.05068)."""
import json

import torch
import torch.nn.functional as F

torch.manual_seed(1)
classes = torch.tensor([0, 1, 2, 1, 0, 2])
N, T = len(classes), 4.0


def kd(s, t):
    return F.kl_div(F.log_softmax(s / T, 1), F.log_softmax(t / T, 1), reduction="batchmean", log_target=True) * T * T


def dkd(s, t):
    of = F.one_hot(classes, s.shape[1]).bool()

    def parts(z):
        p = F.softmax(z / T, 1)
        two = torch.stack([p[of], 1 - p[of]], 1)
        others = F.log_softmax((z / T)[~of].reshape(N, -1), 1)
        return two.log(), others

    (s2, so), (t2, to) = parts(s), parts(t)
    kl = lambda a, b: F.kl_div(a, b, reduction="batchmean", log_target=True)
    return T * T * (kl(s2, t2) + 8 * kl(so, to))


def at(s, t):
    size = min(s.shape[1], t.shape[1])

    def attention(x):  # NHWC
        a = x.pow(2).mean(3)
        if a.shape[1] > size:
            a = F.adaptive_avg_pool2d(a, size)
        return F.normalize(a.reshape(N, -1))

    return (attention(s) - attention(t)).pow(2).mean()


def rkd(s, t):
    def distance(x):
        d = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
        return d / (d.sum() / (N * (N - 1)))

    def angle(x):
        e = F.normalize(x[None] - x[:, None], dim=2)
        return torch.bmm(e, e.transpose(1, 2))

    return 25 * F.smooth_l1_loss(distance(s), distance(t)) + 50 * F.smooth_l1_loss(angle(s), angle(t))


cases = {
    "kd": (kd, [3], [3], 2.0),
    "kd and labels": (lambda s, t: 0.9 * kd(s, t) + 0.1 * F.cross_entropy(s, classes), [3], [3], 2.0),
    "dkd": (dkd, [3], [3], 0.5),
    "fitnet": (F.mse_loss, [2, 2, 3], [2, 2, 3], 5.0),
    "at": (at, [2, 2, 3], [4, 4, 3], 5.0),
    "at, smaller teacher": (at, [4, 4, 3], [2, 2, 3], 5.0),
    "rkd": (rkd, [5], [7], 0.02),
}
out = {}
for name, (loss, own, its, rate) in cases.items():
    x = torch.randn(N, *own).double().requires_grad_()
    t = torch.randn(N, *its).double()
    case = {"own": own, "its": its, "rate": rate, "student": x.flatten().tolist(), "teacher": t.flatten().tolist(), "losses": []}
    for _ in range(30):
        y = loss(x, t)
        (g,) = torch.autograd.grad(y, x)
        case["losses"].append(y.item())
        x = (x - rate * g).detach().requires_grad_()
    case["last"] = x.flatten().tolist()
    out[name] = case
with open("distillation.json", "w") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in out.items()) + "\n}\n")
