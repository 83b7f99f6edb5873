"""Writes issues.json: label errors planted in small problems, and which of them cleanlab finds.

    python make_issues.py > issues.json
"""
import json
import sys

import cleanlab
import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

random = np.random.default_rng(3)


def problem(rows, classes, noise, spread):
    """Gaussian clusters; a share of the labels is moved to the next class, unevenly over the classes."""
    centres = random.normal(size=(classes, 6)) * spread
    truth = random.integers(0, classes, rows)
    x = centres[truth] + random.normal(size=(rows, 6))
    given = truth.copy()
    for i in range(rows):
        if random.random() < noise * (1 + truth[i] % 2) / 1.5:
            given[i] = (truth[i] + random.choice([1, 1, 1, 2])) % classes
    p = cross_val_predict(LogisticRegression(max_iter=1000), x, given, cv=5, method="predict_proba").astype(np.float32)
    found = find_label_issues(given, p.astype(np.float64), return_indices_ranked_by="self_confidence")
    return {
        "classes": classes,
        "truth": truth.tolist(),
        "given": given.tolist(),
        "probabilities": [round(float(v), 6) for v in p.flatten()],
        "issues": [int(i) for i in found],
    }


json.dump({"made_with": f"cleanlab {cleanlab.__version__}", "problems": [problem(300, 4, 0.1, 1.5), problem(400, 3, 0.25, 1.0), problem(250, 6, 0.05, 2.5), problem(60, 2, 0.1, 1.0)]}, sys.stdout)
