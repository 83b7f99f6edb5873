"""Writes logistic.json: coefficients of scikit-learn's LogisticRegression on small made-up rows.

    python make_logistic.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

sets = []
for seed, classes in ((1, 3), (2, 2), (3, 5)):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, 6))
    y = np.arange(80) % classes
    x = (centres[y] + random.normal(size=(80, 6)) * 1.2).round(3) * [1, 1, 1, 10, 0.1, 1]
    x = x.astype(np.float32)
    fits = []
    for c in (0.01, 1, 100):
        model = LogisticRegression(C=c, tol=1e-12, max_iter=100000).fit(x.astype(np.float64), y)
        fits.append({"c": c, "weights": model.coef_.tolist(), "bias": model.intercept_.tolist()})
    sets.append({"classes": classes, "x": x.tolist(), "y": y.tolist(), "fits": fits})
out = {"scikit-learn": sklearn.__version__, "sets": sets}
pathlib.Path(__file__).with_name("logistic.json").write_text(json.dumps(out))
