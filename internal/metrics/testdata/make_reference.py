"""Writes reference.json: a small classification problem and what scikit-learn and SciPy say of it.

Made with scikit-learn 1.9.1, SciPy 1.17.1 and NumPy 2.4.6:

    python make_reference.py > reference.json
"""
import json
import sys
import warnings

import numpy as np
from scipy import stats
from scipy.special import softmax
from sklearn import metrics
from sklearn.neighbors import NearestCentroid

warnings.filterwarnings("ignore")
random = np.random.default_rng(7)
ROWS, CLASSES = 90, 5


def problem(rows, classes, present):
    """Labels of the present classes, and probabilities that lean towards them. One column is
    rounded, so that it has many ties."""
    truth = random.choice(present, rows)
    scores = random.normal(size=(rows, classes))
    scores[np.arange(rows), truth] += 1.2
    p = softmax(1.5 * scores, axis=1).astype(np.float32)
    p[:, 1] = np.round(p[:, 1], 1)
    return truth, p


def calibration(confidence, right, weights, bins):
    edges = np.linspace(0, 1, bins + 1)
    at = np.searchsorted(edges[1:-1], confidence)
    total = 0.0
    rows = []
    for b in range(bins):
        inside = at == b
        w = weights[inside].sum()
        rows.append(float(w))
        if w > 0:
            gap = np.average(right[inside], weights=weights[inside]) - np.average(confidence[inside], weights=weights[inside])
            total += w * abs(gap)
    return float(total / weights.sum()), rows


def scores(truth, p, weights):
    predicted = p.argmax(axis=1)
    classes = np.arange(p.shape[1])
    p64 = p.astype(np.float64)
    seen = np.union1d(truth[weights > 0], predicted[weights > 0])
    out = {
        "accuracy": metrics.accuracy_score(truth, predicted, sample_weight=weights),
        "balanced": metrics.balanced_accuracy_score(truth, predicted, sample_weight=weights),
        # A precision or recall over nothing is 0; the mean is over the classes that occur.
        "macro": metrics.precision_recall_fscore_support(
            truth, predicted, labels=seen, average="macro", sample_weight=weights, zero_division=0)[:3],
        "weighted": metrics.precision_recall_fscore_support(
            truth, predicted, labels=seen, average="weighted", sample_weight=weights, zero_division=0)[:3],
        "classes": [
            metrics.precision_recall_fscore_support(
                truth, predicted, labels=[c], average=None, sample_weight=weights, zero_division=0)
            for c in classes],
        # Probabilities in float32, clipped to its smallest step from 0 and 1.
        "log_loss": float(np.average(-np.log(np.clip(p64[np.arange(len(truth)), truth], 2.0**-23, 1 - 2.0**-23)), weights=weights)),
        "brier": float(np.average(((p64 - np.eye(len(classes))[truth]) ** 2).sum(axis=1), weights=weights)),
        "confusion": metrics.confusion_matrix(truth, predicted, labels=classes).tolist(),
        "auc": [
            metrics.roc_auc_score(truth == c, p64[:, c], sample_weight=weights) if 0 < (truth == c).sum() < len(truth) else None
            for c in classes],
    }
    if len(np.unique(truth)) == len(classes):
        # scikit-learn wants rows that sum to 1, and clips at float64's step.
        normalised = np.maximum(p64, 1e-3)
        normalised /= normalised.sum(axis=1, keepdims=True)
        out["normalised"] = {
            "probabilities": normalised.ravel(),
            "brier": metrics.brier_score_loss(truth, normalised, labels=classes, sample_weight=weights),
            "log_loss": metrics.log_loss(truth, normalised, labels=classes, sample_weight=weights),
        }
    out["top"] = [
        float(np.average((np.argsort(-p, axis=1, kind="stable")[:, :k] == truth[:, None]).any(axis=1), weights=weights))
        for k in range(1, len(classes) + 1)]
    confidence, right = p64.max(axis=1), (predicted == truth).astype(float)
    out["ece"], out["bin_rows"] = calibration(confidence, right, weights, 10)
    return out


def plain(x):
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, np.ndarray):
        return plain(x.tolist())
    if isinstance(x, (np.floating, np.integer)):
        return x.item()
    return x


cases = []
for present, weighted in [([0, 1, 2, 3, 4], False), ([0, 1, 2, 3, 4], True), ([0, 1, 3], False), ([2], True)]:
    truth, p = problem(ROWS, CLASSES, present)
    weights = random.integers(0, 4, ROWS).astype(float) if weighted else np.ones(ROWS)
    cases.append({"truth": truth, "probabilities": p.ravel(), "classes": CLASSES,
                  "weights": weights if weighted else None, "want": scores(truth, p, weights)})

train = random.normal(size=(40, 3)).astype(np.float32)
labels = random.choice([0, 1, 3], 40)
train += labels[:, None].astype(np.float32)
test = (random.normal(size=(25, 3)) + 1).astype(np.float32)
centroids = NearestCentroid().fit(train, labels)
means = np.stack([train[labels == c].astype(np.float64).mean(axis=0) for c in (0, 1, 3)])
variance = sum(((train[labels == c] - m) ** 2).sum() for c, m in zip((0, 1, 3), means)) / ((40 - 3) * 3)
distances = ((test[:, None, :].astype(np.float64) - means[None]) ** 2).sum(axis=2)
gaussian = np.zeros((25, 4))
gaussian[:, [0, 1, 3]] = softmax(-distances / (2 * variance), axis=1)

values = np.sort(random.normal(size=37))
json.dump(plain({
    "cases": cases,
    "centroids": {"train": train.ravel(), "labels": labels, "test": test.ravel(), "dimension": 3, "classes": 4,
                  "predicted": centroids.predict(test), "probabilities": gaussian.ravel()},
    "mcnemar": [[a, b, stats.binomtest(a, a + b, 0.5).pvalue if a + b else 1.0]
                for a, b in [(0, 0), (1, 0), (5, 5), (3, 12), (12, 3), (40, 61), (0, 300), (1000, 1101)]],
    "wilson": [[k, n, *stats.binomtest(k, n).proportion_ci(method="wilson")] for k, n in [(0, 5), (5, 5), (3, 10), (900, 1000)]],
    "quantile": {"values": values, "low": np.quantile(values, 0.025), "high": np.quantile(values, 0.975)},
}), sys.stdout)
