"""Fits the polynomial that the assembly uses for powers of two in a sigmoid.

2**f = 1 + c1*f + ... + c5*f**5 for |f| <= 1/2, with the least greatest relative error (Lawson's
iteration on Chebyshev nodes). Prints the error and c1 ... c5.
"""
import numpy as np

degree, nodes = 5, 4000
f = np.cos(np.pi * (np.arange(nodes) + 0.5) / nodes) / 2
a = np.stack([f**k for k in range(1, degree + 1)], 1) / np.exp2(f)[:, None]
b = 1 - np.exp2(-f)
w = np.ones(nodes)
for _ in range(60):
    c = np.linalg.lstsq(a * np.sqrt(w)[:, None], b * np.sqrt(w), rcond=None)[0]
    e = np.abs(a @ c - b)
    w *= e
    w /= w.sum()
print(e.max(), *map(float, c), sep="\n")
