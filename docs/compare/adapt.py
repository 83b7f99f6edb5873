"""Holds trainings on two domains of tlpipe against PyTorch, and closed forms against NumPy: seconds, in turn.

    pip install torch numpy scipy
    python docs/compare/adapt.py [--epochs 20] [--rounds 2] [--threads 2] [--method dann mmd]
    OPENBLAS_NUM_THREADS=2 python docs/compare/adapt.py --closed 20000 --threads 2

10,000 rows of 2,048 features of each domain, 31 classes, batches of 64 + 64, the network for features (128-BN-DO-64-BN-DO-50,
task 32-DO, discriminator 32-DO), Adam; the times are those of an epoch. With --closed instead the closed forms on so many rows of 2,048
features of each domain, against the formulas in NumPy. Times are those that passed and, in brackets, processor time, which depends
less on what else the machine does; with two threads PyTorch's includes the waiting of one for the other. Run it in
the folder of the sources; it needs Go.
"""
import argparse
import re
import subprocess
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

EACH, WIDTH, CLASSES, BATCH = 10_000, 2048, 31, 64


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, by):
        ctx.by = by
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.by * g, None


def layers(*widths, norm, last):
    out = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        end = i == len(widths) - 2
        out += [nn.Linear(a, b)] + ([nn.BatchNorm1d(b)] if norm and not (end and last) else []) + [nn.ReLU()]
        out += [] if end and last else [nn.Dropout(0.3)]
    return nn.Sequential(*out)


def mmd(x, n):
    d = torch.cdist(x, x) ** 2
    k = sum(torch.exp(-d / (2 * 2.0**i * d.detach().mean())) for i in range(-3, 2))
    s = torch.cat([torch.full((n,), 1 / n), torch.full((len(x) - n,), -1 / (len(x) - n))])
    return s @ k @ s


def epoch_of(method, x, y, domain):
    torch.manual_seed(0)
    features, task = layers(WIDTH, 128, 64, 50, norm=True, last=True), layers(50, 32, norm=False, last=False)
    answers = nn.Linear(32, CLASSES)
    inside = 50 * CLASSES if method == "cdan" else 50
    discriminator = nn.Sequential(layers(inside, 32, norm=False, last=False), nn.Linear(32, 2))
    parts = nn.ModuleList([features, task, answers, discriminator])
    optimiser = torch.optim.Adam(parts.parameters(), lr=1e-3)

    def epoch():
        source, target = torch.randperm(EACH), EACH + torch.randperm(EACH)
        for i in range((EACH + BATCH - 1) // BATCH):
            at = torch.cat([source[torch.arange(i * BATCH, (i + 1) * BATCH) % EACH], target[torch.arange(i * BATCH, (i + 1) * BATCH) % EACH]])
            f = features(x[at])
            z = answers(task(f))
            loss = F.cross_entropy(z[:BATCH], y[at[:BATCH]])
            if method == "mmd":
                loss = loss + mmd(f, BATCH)
            elif method == "deep_coral":
                loss = loss + ((torch.cov(f[:BATCH].T) - torch.cov(f[BATCH:].T)) ** 2).sum() / (4 * 50**2)
            elif method == "dann":
                loss = loss + F.cross_entropy(discriminator(Reverse.apply(f, 0.5)), domain[at])
            elif method == "cdan":
                p = F.softmax(z, 1).detach()
                w = 1 + torch.exp((p * p.clamp_min(1e-9).log()).sum(1))
                told = discriminator(Reverse.apply((f[:, :, None] * p[:, None, :]).flatten(1), 0.5))
                loss = loss + (w * F.cross_entropy(told, domain[at], reduction="none")).sum() / w.sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return epoch


def gradient_descent(epochs, rounds, threads, methods):
    torch.set_num_threads(threads)
    x = torch.randn(2 * EACH, WIDTH)
    y = torch.arange(2 * EACH) % CLASSES
    domain = (torch.arange(2 * EACH) >= EACH).long()
    for method in ("direct", "deep_coral", "mmd", "dann", "cdan"):
        if methods and method not in methods:
            continue
        ours, theirs = [], []
        for _ in range(rounds):
            text = subprocess.run(
                ["go", "test", "./internal/domain/method", "-run", "XXX", "-bench", f"Epoch/{method}$", "-benchtime", f"{epochs}x", "-cpu", str(threads)],
                capture_output=True, text=True, check=True,
            ).stdout
            ours.append(timed(text))
            epoch = epoch_of(method, x, y, domain)
            epoch()
            began = time.perf_counter(), time.process_time()
            for _ in range(epochs):
                epoch()
            theirs.append(((time.perf_counter() - began[0]) / epochs, (time.process_time() - began[1]) / epochs))
        tell(f"{method}, {epochs} epochs, {threads} threads", ours, f"PyTorch {torch.__version__}", theirs)


def timed(text):
    """Seconds and seconds of processor time of Go's benchmark."""
    found = re.search(r"(\d+) ns/op\s+([\d.]+) cpu-s/op", text)
    return int(found.group(1)) / 1e9, float(found.group(2))


def tell(what, ours, peer, theirs):
    """Prints the least of the rounds."""
    (wall, used), (their_wall, their_used) = (tuple(map(min, zip(*x))) for x in (ours, theirs))
    print(f"{what}: tlpipe {wall:.3g} s ({used:.3g}), {peer} {their_wall:.3g} s ({their_used:.3g}), ratio {wall / their_wall:.2f} ({used / their_used:.2f})", flush=True)


def closed_forms(rows, rounds, threads, methods):
    """Fits and maps, in NumPy by the formulas, which go through float64 as np.cov does. In turn; both times of the least round."""
    import scipy.linalg

    random = np.random.default_rng(0)
    s, t = (random.standard_normal((rows, WIDTH)).astype(np.float32) for _ in range(2))
    y = np.arange(rows) % CLASSES

    def coral():
        a, b = np.cov(s, rowvar=False) + np.eye(WIDTH), np.cov(t, rowvar=False) + np.eye(WIDTH)
        (va, ua), (vb, ub) = np.linalg.eigh(a), np.linalg.eigh(b)
        return s @ ((ua / np.sqrt(va)) @ ua.T @ (ub * np.sqrt(vb)) @ ub.T).astype(np.float32)

    def subspace():
        axes = [np.linalg.eigh(np.cov(x, rowvar=False))[1][:, -20:] for x in (s, t)]
        return s @ (axes[0] @ (axes[0].T @ axes[1])), t @ axes[1]

    def components(k, deltas, x, scatter):
        top = [WIDTH - k, WIDTH - 1]  # S w = φ (D+λ) w
        _, w = scipy.linalg.eigh(scatter, deltas.T @ deltas + np.eye(WIDTH), subset_by_index=top)
        return (x @ w.astype(np.float32)).astype(np.float32)

    def moments():
        x = np.r_[s, t]
        centred = x.astype(np.float64) - x.mean(0, dtype=np.float64)
        return x, centred.T @ centred

    def tca():
        x, scatter = moments()
        return components(20, (s.mean(0) - t.mean(0))[None], x, scatter)

    def jda():
        x, scatter = moments()
        labels = None
        for _ in range(2):
            deltas = [s.mean(0) - t.mean(0)]
            if labels is not None:
                deltas += [s[y == c].mean(0) - t[labels == c].mean(0) for c in range(CLASSES) if (labels == c).any()]
            z = components(100, np.array(deltas), x, scatter)
            a, b = z[:rows], z[rows:]
            squares = (a * a).sum(1)
            labels = np.concatenate([y[(squares - 2 * b[i : i + 500] @ a.T).argmin(1)] for i in range(0, rows, 500)])
        return z

    for name, form in (("coral", coral), ("subspace", subspace), ("tca", tca), ("jda", jda)):
        if methods and name not in methods:
            continue
        ours, theirs = [], []
        for _ in range(rounds):
            text = subprocess.run(
                ["go", "test", "./internal/domain/align", "-run", "XXX", "-bench", f"Align/{rows}/{name}$", "-benchtime", "1x", "-timeout", "30m", "-cpu", str(threads)],
                capture_output=True, text=True, check=True,
            ).stdout
            ours.append(timed(text))
            began = time.perf_counter(), time.process_time()
            form()
            theirs.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        tell(f"{name}, {rows} × {WIDTH}, {threads} threads", ours, f"NumPy {np.__version__}", theirs)


parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--closed", type=int, default=0, metavar="ROWS")
parser.add_argument("--method", nargs="*", help="only these")
arguments = parser.parse_args()
if arguments.closed:
    closed_forms(arguments.closed, arguments.rounds, arguments.threads, arguments.method)
else:
    gradient_descent(arguments.epochs, arguments.rounds, arguments.threads, arguments.method)
