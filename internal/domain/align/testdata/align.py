"""Numbers of the published formulas in float64 NumPy, for align_test.go: python align.py > align.json

The forms are those with all matrices in full: CORAL by eigenvectors of d × d covariances, TCA and JDA with the n × n matrix of
weights M as in the authors' programs ("primal").
"""
import json
import numpy as np


def root(a, power):
    values, vectors = np.linalg.eigh(a)
    return vectors * values**power @ vectors.T


def coral(s, t, penalty):
    eye = penalty * np.eye(s.shape[1])
    m = root(np.cov(s.T) + eye, -0.5) @ root(np.cov(t.T) + eye, 0.5)
    return (s - s.mean(0)) @ m + t.mean(0), t


def axes(x, k):
    return np.linalg.eigh(np.cov(x.T))[1][:, ::-1][:, :k]


def subspace(s, t, k):
    a, b = axes(s, k), axes(t, k)
    return (s - s.mean(0)) @ a @ a.T @ b, (t - t.mean(0)) @ b


def components(s, t, ys, yt, k, penalty):
    x = np.vstack([s, t]).T
    ns, nt = len(s), len(t)
    n = ns + nt
    e = np.r_[np.full(ns, 1 / ns), np.full(nt, -1 / nt)][:, None]
    m = e @ e.T * (len(set(ys)) if ys is not None else 1)
    for c in sorted(set(ys)) if yt is not None else []:
        if c in yt:
            e = np.r_[(ys == c) / (ys == c).sum(), -1.0 * (yt == c) / (yt == c).sum()][:, None]
            m = m + e @ e.T
    m = m / np.linalg.norm(m)
    h = np.eye(n) - 1 / n
    b = x @ m @ x.T + penalty * np.eye(len(x))
    half = root(b, -0.5)
    values, vectors = np.linalg.eigh(half @ (x @ h @ x.T) @ half)
    w = half @ vectors[:, ::-1][:, :k] / np.sqrt(values[::-1][:k])
    z = (w.T @ x).T
    z = z - z.mean(0)
    return z[:ns], z[ns:]


def nearest(s, ys, t):
    return ys[((t[:, None] - s[None]) ** 2).sum(2).argmin(1)]


def jda(s, t, ys, k, penalty, rounds):
    labels = None
    for _ in range(rounds):
        a, b = components(s, t, ys, labels, k, penalty)
        now = nearest(a, ys, b)
        if labels is not None and (now == labels).all():
            break
        labels = now
    return a, b


def gram(pair):
    """Inner products of all mapped rows: they do not depend on the signs of eigenvectors."""
    z = np.vstack(pair)
    return (z @ z.T).ravel().tolist()


random = np.random.default_rng(7)
cases = []
for name, ns, nt, d, k in [("tall", 24, 20, 5, 3), ("wide", 9, 8, 20, 4)]:
    ys = np.arange(ns) % 3
    centres = 2 * random.normal(size=(3, d))
    s = (centres[ys] + random.normal(size=(ns, d))).astype(np.float32).astype(float)
    t = ((centres[np.arange(nt) % 3] + random.normal(size=(nt, d))) * np.linspace(0.5, 1.5, d) + 1).astype(np.float32).astype(float)
    case = dict(name=name, width=d, components=k, source=s.ravel().tolist(), target=t.ravel().tolist(), classes=ys.tolist())
    case["coral"] = np.vstack(coral(s, t, 1.0)).ravel().tolist()
    case["coral_small"] = np.vstack(coral(s, t, 0.01)).ravel().tolist()
    case["subspace"] = gram(subspace(s, t, k))
    case["tca"] = gram(components(s, t, None, None, k, 0.5))
    case["jda"] = gram(jda(s, t, ys, k, 0.5, 10))
    cases.append(case)
print(json.dumps(json.loads(json.dumps(cases), parse_float=lambda x: float(f"{float(x):.9g}"))))
