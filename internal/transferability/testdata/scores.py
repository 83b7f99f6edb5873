"""Scores of transferability by NumPy, from the definitions: writes scores.json.

LogME: the evidence of the linear model, with the full covariance of the targets (slogdet), at the precisions that the fixed-point
iteration of the paper's code (thuml/LogME) ends in; where there are no more features than rows, also that code's own expression.
H-score: with sklearn.covariance.LedoitWolf, as in the Transfer-Learning-Library (tllib/ranking). LEEP: from the paper's definition.
"""
import json
import os

import numpy as np
from sklearn.covariance import LedoitWolf


def precisions(f, y):
    n = len(f)
    u, s, _ = np.linalg.svd(f, full_matrices=False)
    keep = s > 1e-6 * s[0]
    u, sigma = u[:, keep], s[keep] ** 2
    x2 = (u.T @ y) ** 2
    rest = (y**2).sum() - x2.sum()
    alpha = beta = 1.0
    for _ in range(11):
        t = alpha / beta
        gamma = (sigma / (sigma + t)).sum()
        m2 = (sigma * x2 / (t + sigma) ** 2).sum()
        res2 = (x2 / (1 + sigma / t) ** 2).sum() + rest
        alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (res2 + 1e-5)
        if abs(alpha / beta - t) / t <= 1e-3:
            break
    return alpha, beta, m2, res2, sigma


def log_me(f, y):
    n, d = f.shape
    out = []
    for c in range(y.max() + 1):
        alpha, beta, m2, res2, sigma = precisions(f, (y == c).astype(float))
        # log |A| of A = alpha + beta F'F, as the evidence approximation of Bishop, eq. 3.86, has it
        logdet = np.linalg.slogdet(alpha * np.eye(d) + beta * f.T @ f)[1]
        out.append((d / 2 * np.log(alpha) + n / 2 * np.log(beta) - logdet / 2 - beta / 2 * res2 - alpha / 2 * m2 - n / 2 * np.log(2 * np.pi)) / n)
        if d <= n:
            own = d / 2 * np.log(alpha) + n / 2 * np.log(beta) - 0.5 * np.log(alpha + beta * sigma).sum() - beta / 2 * res2 - alpha / 2 * m2 - n / 2 * np.log(2 * np.pi)
            assert abs(own / n - out[-1]) < 1e-9
    return float(np.mean(out))


def h_score(f, y):
    f = f - f.mean(0)
    made = LedoitWolf(assume_centered=False).fit(f)
    g = np.zeros_like(f)
    for c in range(y.max() + 1):
        g[y == c] = f[y == c].mean(0)
    return float(np.trace(np.linalg.pinv(made.covariance_, rcond=1e-15) @ ((1 - made.shrinkage_) * np.cov(g, rowvar=False))))


def leep(theta, y):
    joint = np.stack([theta[y == c].sum(0) for c in range(y.max() + 1)]) / len(y)
    given = joint / joint.sum(0)
    return float(np.mean(np.log((given[y] * theta).sum(1))))


random = np.random.default_rng(3)
cases = []
for n, d, classes in ((40, 6, 3), (15, 30, 4), (60, 12, 2)):
    y = np.arange(n) % classes
    centres = random.normal(size=(classes, d))
    f = (centres[y] + 1.5 * random.normal(size=(n, d)) + 0.5).astype(np.float32).astype(float)
    p = np.exp(f) / np.exp(f).sum(1, keepdims=True)
    p = p.astype(np.float32).astype(float)
    cases.append({"width": d, "features": f.flatten().tolist(), "probabilities": p.flatten().tolist(), "classes": y.tolist(), "logme": log_me(f, y), "h_score": h_score(f, y), "leep": leep(p, y)})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "scores.json"), "w") as out:
    json.dump(cases, out)
