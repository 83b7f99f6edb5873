"""Writes curves.json: ROC and precision-recall curves by scikit-learn.

    python make_curves.py > curves.json
"""
import json
import sys

import numpy as np
import sklearn
from scipy.special import softmax
from sklearn import metrics

random = np.random.default_rng(5)
ROWS, CLASSES = 40, 3
truth = random.integers(0, CLASSES, ROWS)
scores = random.normal(size=(ROWS, CLASSES))
scores[np.arange(ROWS), truth] += 1
p = softmax(scores, axis=1).astype(np.float32)
p[:, 1] = np.round(p[:, 1], 1)  # many ties
weights = random.integers(0, 4, ROWS).astype(float)
one_hot = np.eye(CLASSES)[truth]
p64 = p.astype(np.float64)

roc, pr, means = [], [], []
grid = np.linspace(0, 1, 21)
for c in range(CLASSES):
    x, y, t = metrics.roc_curve(one_hot[:, c], p64[:, c], drop_intermediate=False)
    roc.append([[float(a), float(b), 0.0 if np.isinf(k) else float(k)] for a, b, k in zip(x, y, t)])
    # Of several points at one false-positive rate, the mean takes the last, as interpolation from the right does.
    means.append([y[np.flatnonzero(x <= g)[-1]] if (x == g).any() else np.interp(g, x, y) for g in grid])
    precision, recall, t = metrics.precision_recall_curve(one_hot[:, c], p64[:, c])
    points = [[float(a), float(b), float(k)] for a, b, k in zip(recall, precision, t)][::-1]
    # scikit-learn goes on below the cut-off that finds every row.
    full = next(i for i, q in enumerate(points) if q[0] == 1)
    pr.append(points[: full + 1])

json.dump({
    "made_with": f"scikit-learn {sklearn.__version__}",
    "classes": CLASSES,
    "truth": truth.tolist(),
    "probabilities": p.flatten().tolist(),
    "weights": weights.tolist(),
    "average_precision": metrics.average_precision_score(one_hot, p64, average=None).tolist(),
    "weighted_average_precision": metrics.average_precision_score(one_hot, p64, average=None, sample_weight=weights).tolist(),
    "micro_auc": metrics.roc_auc_score(one_hot, p64, average="micro"),
    "micro_average_precision": metrics.average_precision_score(one_hot, p64, average="micro"),
    "roc": roc,
    "precision_recall": pr,
    "macro_roc": [[float(g), float(np.mean([m[i] for m in means]))] for i, g in enumerate(grid)],
}, sys.stdout)
