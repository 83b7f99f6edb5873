"""Fits the polynomial that the assembly uses for the normal distribution.

Phi(-x) = exp(-x*x/2) * (c1*t + ... + c8*t**8), t = 1/(1 + p*x/sqrt(2)), for x >= 0, with the least
greatest relative error (Lawson's iteration on Chebyshev nodes). Prints p, the error and c1 ... c8.
"""
import math

import numpy as np

degree, nodes, largest = 8, 600, 9.4
best = None
for p in np.linspace(0.40, 0.46, 25):
    t0 = 1 / (1 + p * largest)
    t = (1 + t0) / 2 + (1 - t0) / 2 * np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes)
    z = (1 / t - 1) / p
    f = np.array([math.exp(v * v) * math.erfc(v) / 2 for v in z])
    a = np.stack([t**k for k in range(1, degree + 1)], 1) / f[:, None]
    w = np.ones(nodes)
    for _ in range(100):
        c = np.linalg.lstsq(a * w[:, None], w, rcond=None)[0]
        e = np.abs(a @ c - 1)
        w *= (e / e.max() + 1e-3) ** 0.3
        w /= w.max()
    if best is None or e.max() < best[1]:
        best = p, e.max(), c
print(best[0], best[1], *map(float, best[2]), sep="\n")
