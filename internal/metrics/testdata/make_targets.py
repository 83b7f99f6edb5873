"""Writes targets.json: small problems of several classes and of numbers, and what scikit-learn says of them.

Made with scikit-learn 1.9.1 and NumPy 2.4.6:

    python make_targets.py > targets.json
"""
import json

import numpy as np
from sklearn import metrics

random = np.random.default_rng(11)
ROWS, CLASSES = 60, 4


def calibration_error(truth, p, weights, bins=10):
    """The expected calibration error of all answers together, by its definition (Naeini et al. 2015)."""
    answers, p = truth.flatten(), p.flatten()
    w = np.repeat(weights, truth.shape[1])
    which = np.clip(np.ceil(p * bins) - 1, 0, bins - 1)
    gaps = [abs((w * (answers - p))[which == k].sum()) for k in range(bins)]
    return float(sum(gaps) / w.sum())


def several(weights, threshold):
    truth = random.random((ROWS, CLASSES)) < [0.5, 0.15, 0.8, 0.3]
    p = 1 / (1 + np.exp(-(2 * truth - 1 + 1.5 * random.normal(size=truth.shape))))
    p = p.astype(np.float32)
    p[:, 1] = np.round(p[:, 1], 1)  # many ties
    predicted = p.astype(np.float64) >= threshold
    p64 = p.astype(np.float64)
    w = {} if weights is None else {"sample_weight": weights}
    score = lambda average: metrics.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0, **w)
    by_class = score(None)
    micro, macro = score("micro"), score("macro")
    eps = np.finfo(np.float32).eps
    losses = [metrics.log_loss(truth[:, c], np.clip(p64[:, c], eps, 1 - eps), labels=[False, True], **w) for c in range(CLASSES)]
    return {
        "classes": CLASSES,
        "threshold": threshold,
        "truth": truth.flatten().tolist(),
        "probabilities": p.flatten().tolist(),
        "weights": None if weights is None else weights.tolist(),
        "subset_accuracy": metrics.accuracy_score(truth, predicted, **w),
        "hamming_loss": metrics.hamming_loss(truth, predicted, **w),
        "micro": micro[:3],
        "macro": macro[:3],
        "by_class": [[float(x[c]) for x in by_class[:3]] for c in range(CLASSES)],
        "average_precision": metrics.average_precision_score(truth, p64, average=None, **w).tolist(),
        "mean_average_precision": metrics.average_precision_score(truth, p64, average="macro", **w),
        "auc": metrics.roc_auc_score(truth, p64, average=None, **w).tolist(),
        "log_loss": float(np.mean(losses)),
        "calibration_error": calibration_error(truth, p64, np.ones(ROWS) if weights is None else weights),
    }


def numbers(weights):
    truth = 40 + 12 * random.normal(size=ROWS)
    predicted = truth + 5 * random.normal(size=ROWS) + 1
    w = {} if weights is None else {"sample_weight": weights}
    return {
        "truth": truth.tolist(),
        "predicted": predicted.tolist(),
        "weights": None if weights is None else weights.tolist(),
        "mean_absolute_error": metrics.mean_absolute_error(truth, predicted, **w),
        "root_mean_squared_error": metrics.root_mean_squared_error(truth, predicted, **w),
        "r2": metrics.r2_score(truth, predicted, **w),
    }


def threshold():
    truth = random.random(80) < 0.3
    p = (1 / (1 + np.exp(-(2 * truth - 1 + random.normal(size=80))))).astype(np.float32).astype(np.float64)
    precision, recall, thresholds = metrics.precision_recall_curve(truth, p)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return {"truth": truth.tolist(), "probabilities": p.tolist(), "f1": float(f1.max())}


draws = lambda: random.integers(0, 4, ROWS).astype(float)
print(json.dumps({
    "several": [several(None, 0.5), several(None, 0.35), several(draws(), 0.6)],
    "numbers": [numbers(None), numbers(draws())],
    "threshold": [threshold(), threshold()],
}, default=float))
